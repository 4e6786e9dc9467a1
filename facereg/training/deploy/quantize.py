"""Quantise an exported network to 8-bit integers.

Static quantisation, per channel: Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018. The mean error that rounded weights add to
each channel is subtracted from its bias: Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", ICCV 2019, with measured means.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...output import write_file
from ...types import Image
from .fold_input import (
    ZERO_POINT,
    fold_normalisation,
    skip_conversion,
    widen_first_convolution,
)
from .graph import read_constants, remove_unused_constants

#: An input of a concatenation takes over the scale of the result if its own is at least this
#: fraction of it.
MIN_SCALE_RATIO = 0.7

#: Maximum sum of two neighbouring weights of equal sign, before rounding. Times 255 it fits into 16
#: bits, in which processors without VNNI add two products; larger sums would saturate.
MAX_PAIR_SUM = 127.5


def quantize(source: Path, path: Path, crops: Sequence[Image]) -> None:
    """Write the 8-bit twin of a file that `export.export_onnx` wrote.

    Args:
        source: the floating-point ``.onnx`` file.
        path: the file to write.
        crops: (S, S, 3) uint8 BGR each; the ranges of all activations are measured on them.
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
        exact = onnx.load(str(ready))
        centered = fold_normalisation(exact.graph)
        widen_first_convolution(exact.graph)
        remove_unused_constants(exact.graph)
        onnx.save(exact, str(ready))
        input_scale = {
            "scale": np.array(1, np.float32),
            "zero_point": np.array(ZERO_POINT, np.uint8),
        }
        quantize_static(
            str(ready),
            str(part),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            # Pooling over uneven cells: little work, and sums that would saturate.
            nodes_to_exclude=[node.name for node in exact.graph.node if node.op_type == "MatMul"],
            extra_options={
                "TensorQuantOverrides": {centered: [input_scale], **_weight_ranges(exact.graph)}
            },
        )
        model = onnx.load(str(part))
        skip_conversion(model.graph, centered)
        _correct_biases(model.graph, exact, crops)
        _share_scales(model.graph)
        remove_unused_constants(model.graph)
        onnx.save(model, str(part))
        write_file(path, part.read_bytes())


def _weight_ranges(graph: Any) -> dict[str, list[dict[str, Any]]]:
    """Choose the weight range of each output channel so that no sum saturates on any processor.

    All processors then give equal results. The ranges are 1.26 times as wide as the weights, on
    average, at no cost; ONNX Runtime's ``reduce_range`` doubles them and costs 0.003 mean F1.
    """
    from onnxruntime.quantization import QuantType

    values = read_constants(graph)
    ranges = {}
    for name in [node.input[1] for node in graph.node if node.op_type == "Conv"]:
        weights = np.asarray(values[name], np.float64)
        if weights.shape[1] == 1:
            continue  # depthwise: summed in 32 bits
        top = np.abs(weights).max((1, 2, 3)).clip(1e-12)
        rows = (127 * weights / top[:, None, None, None]).transpose(0, 2, 3, 1)
        rows = rows.reshape(len(rows), -1)
        pairs = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).reshape(len(rows), -1, 2)
        sums = [np.maximum(sign * pairs, 0).sum(2).max(1) for sign in (1, -1)]
        top = top * np.maximum(1, np.max(sums, 0) / MAX_PAIR_SUM)
        ranges[name] = [{"rmin": np.float32(-most), "rmax": np.float32(most)} for most in top]
        ranges[name][0] |= {"axis": 0, "quant_type": QuantType.QInt8, "symmetric": True}
    return ranges


def _correct_biases(graph: Any, exact: Any, crops: Sequence[Image]) -> None:
    """Subtract from each bias the mean error that rounded weights add to its channel.

    Args:
        graph: the quantised graph.
        exact: the model before quantisation.
        crops: crops to measure the means on.
    """
    from onnx import numpy_helper

    weights, means = read_constants(exact.graph), _input_means(exact, crops)
    values = read_constants(graph)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for conv in [node for node in graph.node if node.op_type == "Conv"]:
        (rounded, scale, _), (bias, unit, _) = (makers[read].input for read in conv.input[1:])
        name = rounded.removesuffix("_quantized")
        steps = values[rounded] * values[scale][:, None, None, None]
        error = (weights[name] - steps).sum((2, 3))  # (O, I), of a depthwise one (O, 1)
        depthwise = error.shape[1] == 1
        missing = error[:, 0] * means[name] if depthwise else error @ means[name]
        whole = values[bias] + np.rint(missing / values[unit])
        tensors[bias].CopyFrom(numpy_helper.from_array(whole.astype(np.int32), bias))


def _input_means(model: Any, crops: Sequence[Image]) -> dict[str, NDArray[np.float64]]:
    """Measure the channel means of each convolution's input, by the name of its weights."""
    import onnxruntime
    from onnx import TensorProto, helper

    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    inputs = sorted({conv.input[0] for conv in convs})
    observed = copy.deepcopy(model)
    observed.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs
    )
    session = onnxruntime.InferenceSession(
        observed.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    sums: dict[str, Any] = dict.fromkeys(inputs, 0.0)
    for crop in crops:
        for name, features in zip(inputs, session.run(inputs, {"crops": crop[None]}), strict=True):
            sums[name] = sums[name] + features.mean((0, 2, 3), dtype=np.float64)
    return {conv.input[1]: sums[conv.input[0]] / len(crops) for conv in convs}


def _share_scales(graph: Any) -> None:
    """Give the inputs of a concatenation the scale of its result, so that they are only copied.

    An input with a much smaller range keeps its finer scale.
    """
    values = read_constants(graph)
    makers = {name: node for node in graph.node for name in node.output}
    users = {name: [n for n in graph.node if name in n.input] for name in makers}
    for concat in [node for node in graph.node if node.op_type == "Concat"]:
        scale, zero = users[concat.output[0]][0].input[1:]
        for name in concat.input:
            read = makers[name]
            written = makers[read.input[0]]
            alone = written.op_type == "QuantizeLinear" and len(users[written.output[0]]) == 1
            fits = values[read.input[1]] >= MIN_SCALE_RATIO * values[scale]
            if alone and fits and values[read.input[2]] == values[zero]:
                for node in (read, written):
                    node.input[1], node.input[2] = scale, zero
