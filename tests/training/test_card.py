from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch

from facereg.training.card import round_weights, write_weights
from tests.training.networks import small_network


def test_weights_are_written_in_half_precision_and_measured_so(tmp_path: Path) -> None:
    network = small_network()
    round_weights(network)
    path = tmp_path / "half.safetensors"
    write_weights(network.state_dict(), path)
    assert path.stat().st_size < 2.1 * sum(p.numel() for p in network.parameters()) + 300_000
    written = safetensors.torch.load_file(path)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(written[key].to(value.dtype), value, rtol=0, atol=0)
