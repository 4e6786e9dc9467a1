from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from facereg.plugins.pspnet.backbones import BACKBONES
from facereg.plugins.pspnet.network import BINS, MEAN, STD, Deployed, PSPNet, pool_bins


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_logits_are_a_quarter_of_the_crop(backbone: str, output_stride: int) -> None:
    network = PSPNet(backbone, output_stride=output_stride).eval()
    with torch.inference_mode():
        coarse = network.backbone(torch.zeros(1, 3, 96, 96))[-1]
        logits = network(torch.zeros(1, 3, 96, 96))
    assert coarse.shape[2:] == (96 // output_stride,) * 2
    assert logits.shape == (1, 21, 24, 24)


@pytest.mark.parametrize("side", [6, 7, 10, 12, 16])
@pytest.mark.parametrize("bins", BINS)
def test_pooling_is_torch_s_own_if_bins_divide_nothing(side: int, bins: int) -> None:
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))
    torch.testing.assert_close(pool_bins(x, bins), F.adaptive_avg_pool2d(x, bins))


@pytest.mark.slow
def test_the_deployed_network_normalises_as_training_does() -> None:
    from facereg.training.train import normalise

    network = PSPNet().eval()
    crops = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    batch = torch.from_numpy(crops)
    with torch.inference_mode():
        np.testing.assert_allclose(
            Deployed(network, MEAN, STD).eval()(batch).numpy(),
            network(normalise(batch)).numpy(),
            atol=1e-4,
        )
