from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from facereg.models import find_model
from facereg.training.card import new_card
from facereg.training.dataset import FaceDataset
from facereg.training.deploy.export import export_onnx
from facereg.training.deploy.quantize import quantize
from facereg.training.train import normalise
from tests.training.networks import small_network


def pair_sums(weights: np.ndarray) -> int:
    """Add up neighbouring 8-bit weights (O, I, h, w) of one sign, as a convolution lays them."""
    rows = weights.astype(int).transpose(0, 2, 3, 1).reshape(len(weights), -1)
    rows = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
    return max(int(np.maximum(sign * rows.reshape(-1, 2), 0).sum(1).max()) for sign in (1, -1))


@pytest.mark.slow
def test_rounded_weights_add_nothing_on_average(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, crops = small_network(), [FaceDataset(dataset).image(i) for i in range(6)]
    with torch.no_grad():
        for _ in range(30):  # the statistics of these crops, or features would vanish
            network(normalise(torch.from_numpy(np.stack(crops))))
    exact = tmp_path / "exact.onnx"
    export_onnx(network.eval(), new_card(network, 192), exact)

    def mean_logits(path: Path) -> np.ndarray:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(None, {"crops": np.stack(crops)})[0].mean((0, 2, 3))

    quantize(exact, tmp_path / "corrected.onnx", crops)
    monkeypatch.setattr("facereg.training.deploy.quantize._correct_biases", lambda *_: None)
    quantize(exact, tmp_path / "rounded.onnx", crops)
    corrected, rounded = (
        np.abs(mean_logits(tmp_path / f"{name}.onnx") - mean_logits(exact)).mean()
        for name in ("corrected", "rounded")
    )
    assert corrected < 0.7 * rounded


@pytest.mark.slow
@pytest.mark.parametrize("shipped", [True, False])
def test_8_bit_sums_fit_every_processor(shipped: bool, dataset: Path, tmp_path: Path) -> None:
    path = find_model("base").path.with_name("base.int8.onnx")
    if not shipped:
        network, path = small_network().eval(), tmp_path / "a.int8.onnx"
        export_onnx(network, new_card(network, 192), tmp_path / "a.onnx")
        quantize(tmp_path / "a.onnx", path, [FaceDataset(dataset).image(0)])
    tensors = onnx.load(path).graph.initializer
    arrays = [
        onnx.numpy_helper.to_array(t) for t in tensors if t.data_type == onnx.TensorProto.INT8
    ]
    mixing = [a for a in arrays if a.ndim == 4 and a.shape[1] > 1]
    assert len(mixing) > 20
    assert max(abs(a).max() for a in mixing) > 100
    assert max(pair_sums(a) for a in mixing) * 255 <= 32767
