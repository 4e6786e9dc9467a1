from __future__ import annotations

from pathlib import Path

import pytest
import torch

from facereg.regions import CLASSES
from facereg.training.calibrate import calibrate
from facereg.training.dataset import FaceDataset
from tests.training.networks import small_network


@pytest.mark.slow
def test_calibration_takes_back_what_is_named_too_readily(dataset: Path) -> None:
    network = small_network()
    earring = CLASSES.index("earring")
    with torch.no_grad():
        network.classify.weight.zero_()
        assert network.classify.bias is not None
        network.classify.bias.zero_()
        network.classify.bias[earring] = 1.0  # earring everywhere, skin just behind it
        network.classify.bias[1] = 0.5
    moves = calibrate(network, FaceDataset(dataset), 192)
    assert list(moves) == ["earring"]
    assert moves["earring"] == pytest.approx(-0.6)
    assert int(network.classify.bias.argmax()) == 1
