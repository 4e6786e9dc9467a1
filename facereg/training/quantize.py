"""Turn an exported network into 8-bit integers.

Static quantisation, per channel: Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018. The crop's bytes go into the first
convolution as they are: they are 8-bit integers of scale 1 already, and its weights take over the
normalisation.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Image

#: Least share of a concatenation's scale that one of its inputs must have to be given the whole.
SAME_SCALE = 0.7

#: Most that two weights beside one another, of one sign, may come to before they are rounded. Times
#: 255 it fits 16 bits, in which processors without VNNI add up two products, and cut off the rest.
PAIR = 127.5

#: What counts as zero in a crop, and what its outside is padded with: ImageNet's mean, about.
CENTRE = 116

#: Pixels side by side that the first convolution takes as one.
BLOCK = 4


def quantize(source: Path, path: Path, crops: Sequence[Image]) -> None:
    """Write the 8-bit form of a file that `export.export_onnx` wrote.

    Args:
        source: the floating-point ``.onnx`` file.
        path: where to write.
        crops: (S, S, 3) uint8 BGR each; the ranges of all features are measured on them.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Image] = iter(crops)

        def get_next(self) -> dict[str, Image] | None:
            crop = next(self._left, None)
            return None if crop is None else {"crops": crop[None]}

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".quantize-") as folder:
        ready, part = Path(folder) / "ready.onnx", Path(folder) / path.name
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        model = onnx.load(str(ready))
        centred = _fold_normalisation(model.graph)
        _take_blocks(model.graph)
        onnx.save(model, str(ready))
        exactly = {"scale": np.array(1, np.float32), "zero_point": np.array(CENTRE, np.uint8)}
        quantize_static(
            str(ready),
            str(part),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "TensorQuantOverrides": {centred: [exactly], **_weight_ranges(model.graph)}
            },
        )
        model = onnx.load(str(part))
        _take_bytes(model.graph, centred)
        _share_scales(model.graph)
        _drop_unused(model.graph)
        onnx.save(model, str(part))
        os.replace(part, path)


def _fold_normalisation(graph: Any) -> str:
    """Give the first convolution pixels less `CENTRE`, in the crop's own order of colours.

    The graph begins as `network.Deployed` does: Transpose, Cast, Gather (BGR to RGB), Sub (mean),
    Div (deviation), Conv.

    Returns:
        The name of the convolution's input.
    """
    from onnx import numpy_helper

    cast, gather, sub, div, conv = graph.node[1:6]
    values = {tensor.name: tensor for tensor in graph.initializer}

    def read(name: str) -> NDArray[np.float64]:
        return np.asarray(numpy_helper.to_array(values[name]), np.float64)

    mean, std = read(sub.input[1]).ravel(), read(div.input[1]).ravel()
    weights = read(conv.input[1]) / std[:, None, None]
    bias = read(conv.input[2]) + np.einsum("oikl,i->o", weights, CENTRE - mean)
    conv.input[1] = _constant(graph, "first.weight", np.float32(weights[:, ::-1]))
    conv.input[2] = _constant(graph, "first.bias", np.float32(bias))
    sub.input[1] = _constant(graph, "centre", np.float32(CENTRE))
    sub.input[0], conv.input[0] = cast.output[0], sub.output[0]
    for node in (gather, div):
        graph.node.remove(node)
    return str(sub.output[0])


def _constant(graph: Any, name: str, array: NDArray[Any]) -> str:
    """Add a constant of its own: the exporter lets layers whose weights are equal share one."""
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    return name


def _take_blocks(graph: Any) -> None:
    """Have the first convolution (3 x 3, stride 2) take `BLOCK` pixels of a row at a time.

    The same sums, two pixels of its result in one: ONNX Runtime computes bytes fast where their
    channels are a multiple of 4, and three colours are not. Called after `_fold_normalisation`: the
    graph begins with Transpose, Cast, Sub, Conv, Clip. Memory is laid out alike before and after.
    """
    from onnx import helper, numpy_helper

    entrance, conv, clip = (graph.node[i] for i in (0, 3, 4))
    values = {tensor.name: tensor for tensor in graph.initializer}
    narrow, bias = (numpy_helper.to_array(values[name]) for name in conv.input[1:3])
    if narrow.shape[2:] != (3, 3):
        return  # a ResNet's 7 x 7
    results, count = BLOCK // 2, len(narrow)
    wide = np.zeros((results, count, BLOCK, 3, 3, 2), np.float32)
    for result in range(results):
        for column in range(3):
            before, pixel = divmod(2 * result + column - 1, BLOCK)
            wide[result, :, pixel, :, :, 1 + before] = narrow[..., column]
    shape = (results * count, 3 * BLOCK, 3, 2)
    conv.input[1] = _constant(graph, "blocks.weight", wide.reshape(shape))
    conv.input[2] = _constant(graph, "blocks.bias", np.tile(bias, results))
    del conv.attribute[:]
    steps = {"kernel_shape": shape[2:], "strides": (2, 1), "pads": (1, 1, 0, 0)}
    conv.attribute.extend(helper.make_attribute(key, value) for key, value in steps.items())
    side = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    blocks = _constant(graph, "blocks", np.array([0, side, side // BLOCK, 3 * BLOCK]))
    pixels = _constant(graph, "pixels", np.array([0, side // 2, side // 2, count]))
    entrance.input[0], after, clip.output[0] = "crops_in_blocks", clip.output[0], "wide"
    graph.node.insert(5, helper.make_node("Transpose", ["wide"], ["wide_last"], perm=[0, 2, 3, 1]))
    graph.node.insert(6, helper.make_node("Reshape", ["wide_last", pixels], ["narrow_last"]))
    graph.node.insert(7, helper.make_node("Transpose", ["narrow_last"], [after], perm=[0, 3, 1, 2]))
    graph.node.insert(0, helper.make_node("Reshape", ["crops", blocks], [entrance.input[0]]))
    _drop_unused(graph)
    del graph.value_info[:]  # of the old shapes


def _weight_ranges(graph: Any) -> dict[str, list[dict[str, Any]]]:
    """Choose each output channel's range of weights, so that no processor cuts a sum off.

    All give the same then. A range is 1.26 times as wide as the weights, on average; half of the
    range, which ONNX Runtime's ``reduce_range`` leaves, costs 0.003 mean F1, and this nothing.
    """
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType

    values = {tensor.name: tensor for tensor in graph.initializer}
    ranges = {}
    for name in [node.input[1] for node in graph.node if node.op_type == "Conv"]:
        weights = np.asarray(numpy_helper.to_array(values[name]), np.float64)
        if weights.shape[1] == 1:
            continue  # depthwise: added up in 32 bits
        top = np.abs(weights).max((1, 2, 3)).clip(1e-12)
        rows = (127 * weights / top[:, None, None, None]).transpose(0, 2, 3, 1)
        rows = rows.reshape(len(rows), -1)
        pairs = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).reshape(len(rows), -1, 2)
        sums = [np.maximum(sign * pairs, 0).sum(2).max(1) for sign in (1, -1)]
        top = top * np.maximum(1, np.max(sums, 0) / PAIR)
        ranges[name] = [{"rmin": np.float32(-most), "rmax": np.float32(most)} for most in top]
        ranges[name][0] |= {"axis": 0, "quant_type": QuantType.QInt8, "symmetric": True}
    return ranges


def _take_bytes(graph: Any, centred: str) -> None:
    """Leave out Cast, Sub and QuantizeLinear at the entrance: together they do nothing."""
    cast = next(node for node in graph.node if node.op_type == "Cast")
    sub = next(node for node in graph.node if node.output[0] == centred)
    to_bytes = next(node for node in graph.node if node.input[0] == centred)
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == to_bytes.output[0]:
                node.input[i] = cast.input[0]
    for node in (cast, sub, to_bytes):
        graph.node.remove(node)


def _share_scales(graph: Any) -> None:
    """Give what is laid beside one another the scale of the whole: it is copied then, as it is.

    A narrower input keeps its own, which tells its values more finely.
    """
    from onnx import numpy_helper

    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    users = {name: [n for n in graph.node if name in n.input] for name in makers}
    for concat in [node for node in graph.node if node.op_type == "Concat"]:
        scale, zero = users[concat.output[0]][0].input[1:]
        for name in concat.input:
            read = makers[name]
            written = makers[read.input[0]]
            alone = written.op_type == "QuantizeLinear" and len(users[written.output[0]]) == 1
            fits = values[read.input[1]] >= SAME_SCALE * values[scale]
            if alone and fits and values[read.input[2]] == values[zero]:
                for node in (read, written):
                    node.input[1], node.input[2] = scale, zero


def _drop_unused(graph: Any) -> None:
    """Drop what no node takes any more."""
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
