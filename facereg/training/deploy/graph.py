"""Read, add and remove the constants of an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_constants(graph: Any) -> dict[str, NDArray[Any]]:
    """Read every constant of a graph, by name."""
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def add_constant(graph: Any, name: str, array: NDArray[Any]) -> str:
    """Add a constant. Existing ones are not changed: layers with equal weights may share one."""
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    return name


def remove_unused_constants(graph: Any) -> None:
    """Remove the constants that no node reads."""
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
