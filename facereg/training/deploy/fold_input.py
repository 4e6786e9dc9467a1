"""Feed the bytes of a crop to a quantised network without converting them.

They are 8-bit integers of scale 1 already. The normalisation is folded into the first convolution,
which takes several pixels at a time, because ONNX Runtime computes those faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .graph import add_constant, read_constants

#: Zero point of a crop's bytes, and the colour of its padding: roughly ImageNet's mean.
ZERO_POINT = 116

#: Neighbouring pixels that the first convolution takes as one.
PIXELS_PER_BLOCK = 4


def fold_normalisation(graph: Any) -> str:
    """Give the first convolution pixels minus `ZERO_POINT`, in BGR order.

    The graph begins as `network.Deployed` does: Transpose, Cast, Gather (BGR to RGB), Sub (mean),
    Div (deviation), Conv.

    Returns:
        The name of the convolution's input.
    """
    cast, gather, sub, div, conv = graph.node[1:6]
    values = read_constants(graph)
    mean, std, weights, bias = (
        np.asarray(values[name], np.float64)
        for name in (sub.input[1], div.input[1], *conv.input[1:3])
    )
    weights = weights / std.reshape(-1, 1, 1)
    bias = bias + np.einsum("oikl,i->o", weights, ZERO_POINT - mean.ravel())
    conv.input[1] = add_constant(graph, "first.weight", np.float32(weights[:, ::-1]))
    conv.input[2] = add_constant(graph, "first.bias", np.float32(bias))
    sub.input[1] = add_constant(graph, "zero_point", np.float32(ZERO_POINT))
    sub.input[0], conv.input[0] = cast.output[0], sub.output[0]
    for node in (gather, div):
        graph.node.remove(node)
    return str(sub.output[0])


def widen_first_convolution(graph: Any) -> None:
    """Make the first convolution (3 x 3, stride 2) take `PIXELS_PER_BLOCK` pixels of a row at once.

    It computes two pixels of its result together; the sums are the same. ONNX Runtime is fast on
    bytes whose channels are a multiple of 4, and three colours are not. The graph begins as
    `fold_normalisation` leaves it: Transpose, Cast, Sub, Conv, Clip. The memory layout is the same
    before and after. Other first convolutions stay as they are.
    """
    from onnx import helper

    first, conv, clip = (graph.node[i] for i in (0, 3, 4))
    values = read_constants(graph)
    narrow, bias = (values[name] for name in conv.input[1:3])
    if narrow.shape[2:] != (3, 3):
        return  # a ResNet's 7 x 7
    results, count = PIXELS_PER_BLOCK // 2, len(narrow)
    # Indices: result, filter, pixel of a block, colour, row, block (the previous one or this one).
    wide = np.zeros((results, count, PIXELS_PER_BLOCK, 3, 3, 2), np.float32)
    for result in range(results):
        for column in range(3):
            before, pixel = divmod(2 * result + column - 1, PIXELS_PER_BLOCK)
            wide[result, :, pixel, :, :, 1 + before] = narrow[..., column]
    shape = (results * count, 3 * PIXELS_PER_BLOCK, 3, 2)
    conv.input[1] = add_constant(graph, "blocks.weight", wide.reshape(shape))
    conv.input[2] = add_constant(graph, "blocks.bias", np.tile(bias, results))
    del conv.attribute[:]
    attributes = {"kernel_shape": shape[2:], "strides": (2, 1), "pads": (1, 1, 0, 0)}
    conv.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    side = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    in_blocks = np.array([0, side, side // PIXELS_PER_BLOCK, 3 * PIXELS_PER_BLOCK])
    blocks = add_constant(graph, "blocks", in_blocks)
    pixels = add_constant(graph, "pixels", np.array([0, side // 2, side // 2, count]))
    first.input[0], after, clip.output[0] = "crops_in_blocks", clip.output[0], "wide"
    graph.node.insert(5, helper.make_node("Transpose", ["wide"], ["wide_last"], perm=[0, 2, 3, 1]))
    graph.node.insert(6, helper.make_node("Reshape", ["wide_last", pixels], ["narrow_last"]))
    graph.node.insert(7, helper.make_node("Transpose", ["narrow_last"], [after], perm=[0, 3, 1, 2]))
    graph.node.insert(0, helper.make_node("Reshape", ["crops", blocks], [first.input[0]]))
    del graph.value_info[:]  # its shapes are no longer true


def skip_conversion(graph: Any, centered: str) -> None:
    """Remove Cast, Sub and QuantizeLinear at the input: together they change nothing.

    Args:
        graph: the quantised graph.
        centered: the result of Sub.
    """
    cast = next(node for node in graph.node if node.op_type == "Cast")
    sub = next(node for node in graph.node if node.output[0] == centered)
    quantize = next(node for node in graph.node if node.input[0] == centered)
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == quantize.output[0]:
                node.input[i] = cast.input[0]
    for node in (cast, sub, quantize):
        graph.node.remove(node)
