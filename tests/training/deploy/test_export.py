from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from facereg.training.card import new_card
from facereg.training.dataset import FaceDataset
from facereg.training.deploy.export import compare, export_onnx
from facereg.training.deploy.quantize import quantize
from tests.training.networks import small_network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "size"),
    [("mobilenet_v2", 192), ("mobilenet_v2", 128), ("resnet18", 128)],  # 4 features: not in 6 bins
)
def test_onnx_and_its_8_bit_twin_answer_as_torch_does(
    backbone: str, size: int, dataset: Path, tmp_path: Path
) -> None:
    network = small_network(backbone).eval()
    data = FaceDataset(dataset)
    crops = [cv2.resize(data.image(i), (size, size)) for i in range(6)]
    card = new_card(network, size)
    path, fast = tmp_path / "a.onnx", tmp_path / "a.int8.onnx"
    export_onnx(network, card, path)
    exact = compare(network, card, path, crops)
    assert exact.difference < 1e-3
    assert exact.equal > 0.999
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    logits = session.run(None, {"crops": np.stack(crops[:3])})[0]
    assert logits.shape == (3, 21, size // 4, size // 4)
    quantize(path, fast, crops)
    assert fast.stat().st_size < 0.5 * path.stat().st_size
    assert compare(network, card, fast, crops).equal > 0.7  # of an untrained network
    assert not list(tmp_path.glob(".*"))
    graph = onnx.load(fast).graph
    assert not [node.op_type for node in graph.node if node.op_type in ("Shape", "Slice")]
    weights = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert not [t.name for t in weights if list(t.dims[1:]) == [3, 3, 3]]  # bytes, in blocks
    assert not [t.name for t in weights if len(t.dims) == 2]  # pooling, in floating point
    makers = {node.output[0]: node for node in graph.node}
    last = [node for node in graph.node if node.op_type == "Concat"][-1]
    whole = next(node for node in graph.node if node.input[:1] == last.output[:1])
    assert any(makers[name].input[1] == whole.input[1] for name in last.input)  # as it is
