"""Let the crop's bytes into a quantised network as they are.

They are 8-bit integers of scale 1 already: the first convolution's weights take over the
normalisation, and it takes several pixels at a time, as ONNX Runtime computes those faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .graph import add_constant, constants

#: What counts as zero in a crop, and what its outside is padded with: ImageNet's mean, about.
CENTRE = 116

#: Pixels side by side that the first convolution takes as one.
BLOCK = 4


def fold_normalisation(graph: Any) -> str:
    """Give the first convolution pixels less `CENTRE`, in the crop's own order of colours.

    The graph begins as `network.Deployed` does: Transpose, Cast, Gather (BGR to RGB), Sub (mean),
    Div (deviation), Conv.

    Returns:
        The name of the convolution's input.
    """
    cast, gather, sub, div, conv = graph.node[1:6]
    values = constants(graph)
    mean, std, weights, bias = (
        np.asarray(values[name], np.float64)
        for name in (sub.input[1], div.input[1], *conv.input[1:3])
    )
    weights = weights / std.reshape(-1, 1, 1)
    bias = bias + np.einsum("oikl,i->o", weights, CENTRE - mean.ravel())
    conv.input[1] = add_constant(graph, "first.weight", np.float32(weights[:, ::-1]))
    conv.input[2] = add_constant(graph, "first.bias", np.float32(bias))
    sub.input[1] = add_constant(graph, "centre", np.float32(CENTRE))
    sub.input[0], conv.input[0] = cast.output[0], sub.output[0]
    for node in (gather, div):
        graph.node.remove(node)
    return str(sub.output[0])


def take_blocks(graph: Any) -> None:
    """Have the first convolution (3 x 3, stride 2) take `BLOCK` pixels of a row at a time.

    The same sums, two pixels of its result in one: ONNX Runtime computes bytes fast where their
    channels are a multiple of 4, and three colours are not. Called after `fold_normalisation`: the
    graph begins with Transpose, Cast, Sub, Conv, Clip. Memory is laid out alike before and after.
    """
    from onnx import helper

    entrance, conv, clip = (graph.node[i] for i in (0, 3, 4))
    values = constants(graph)
    narrow, bias = (values[name] for name in conv.input[1:3])
    if narrow.shape[2:] != (3, 3):
        return  # a ResNet's 7 x 7
    results, count = BLOCK // 2, len(narrow)
    # By result, filter, pixel of a block, colour, row, and block: the one before or this.
    wide = np.zeros((results, count, BLOCK, 3, 3, 2), np.float32)
    for result in range(results):
        for column in range(3):
            before, pixel = divmod(2 * result + column - 1, BLOCK)
            wide[result, :, pixel, :, :, 1 + before] = narrow[..., column]
    shape = (results * count, 3 * BLOCK, 3, 2)
    conv.input[1] = add_constant(graph, "blocks.weight", wide.reshape(shape))
    conv.input[2] = add_constant(graph, "blocks.bias", np.tile(bias, results))
    del conv.attribute[:]
    steps = {"kernel_shape": shape[2:], "strides": (2, 1), "pads": (1, 1, 0, 0)}
    conv.attribute.extend(helper.make_attribute(key, value) for key, value in steps.items())
    side = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    blocks = add_constant(graph, "blocks", np.array([0, side, side // BLOCK, 3 * BLOCK]))
    pixels = add_constant(graph, "pixels", np.array([0, side // 2, side // 2, count]))
    entrance.input[0], after, clip.output[0] = "crops_in_blocks", clip.output[0], "wide"
    graph.node.insert(5, helper.make_node("Transpose", ["wide"], ["wide_last"], perm=[0, 2, 3, 1]))
    graph.node.insert(6, helper.make_node("Reshape", ["wide_last", pixels], ["narrow_last"]))
    graph.node.insert(7, helper.make_node("Transpose", ["narrow_last"], [after], perm=[0, 3, 1, 2]))
    graph.node.insert(0, helper.make_node("Reshape", ["crops", blocks], [entrance.input[0]]))
    del graph.value_info[:]  # of the old shapes


def take_bytes(graph: Any, centred: str) -> None:
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
