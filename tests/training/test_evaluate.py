from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facereg.training.card import new_card
from facereg.training.dataset import FaceDataset
from facereg.training.deploy.export import export_onnx
from facereg.training.evaluate import predict_with_onnx, predict_with_torch, predictions, score
from tests.training.networks import small_network


def test_true_labels_score_one(dataset: Path) -> None:
    data = FaceDataset(dataset)
    answers = iter([data.labels(i) for i in range(len(data))])
    confusion = score(data, lambda *_: next(answers))
    assert confusion.summary()["mean_f1"] == 1.0
    assert confusion.counts.sum() == sum(data.labels(i).size for i in range(len(data)))


def test_predictions_have_the_size_of_the_labels(dataset: Path) -> None:
    data = FaceDataset(dataset, "val")
    network = small_network().eval()
    for _, truth, prediction in predictions(data, predict_with_torch(network, 96)):
        assert prediction.shape == truth.shape
        assert prediction.dtype == np.uint8


@pytest.mark.slow
def test_onnx_predicts_as_torch_does(dataset: Path, tmp_path: Path) -> None:
    image = FaceDataset(dataset).image(0)
    network = small_network().eval()
    with torch.no_grad():
        network.classify.weight.mul_(50)  # clear decisions of an untrained network
    export_onnx(network, new_card(network, 96), tmp_path / "a.onnx")
    ours = predict_with_torch(network, 96)(image, (192, 192))
    theirs = predict_with_onnx(tmp_path / "a.onnx", 96)(image, (192, 192))
    assert np.mean(ours == theirs) > 0.98
