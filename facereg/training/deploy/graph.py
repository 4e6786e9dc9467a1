"""What an ONNX graph keeps as constants: read, added, dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def constants(graph: Any) -> dict[str, NDArray[Any]]:
    """Read every constant of a graph, by name."""
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def add_constant(graph: Any, name: str, array: NDArray[Any]) -> str:
    """Add a constant of its own: the exporter lets layers whose weights are equal share one."""
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    return name


def drop_unused(graph: Any) -> None:
    """Drop what no node takes any more."""
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
