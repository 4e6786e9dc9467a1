from __future__ import annotations

import re
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from facereg.plugins.pspnet.network import BACKBONES, Deployed, PSPNet, build_backbone


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_logits_are_a_quarter_of_the_crop(backbone: str, output_stride: int) -> None:
    network = PSPNet(backbone, output_stride=output_stride).eval()
    with torch.inference_mode():
        coarse = network.backbone(torch.zeros(1, 3, 96, 96))[-1]
        logits = network(torch.zeros(1, 3, 96, 96))
    assert coarse.shape[2:] == (96 // output_stride,) * 2
    assert logits.shape == (1, 21, 24, 24)


@pytest.fixture(scope="module")
def torchvision_models() -> ModuleType:
    """Import torchvision's models, also where its operators were built for another torch."""
    while True:
        try:
            from torchvision import models
        except RuntimeError as e:
            missing = re.fullmatch(r"operator (torchvision::\w+) does not exist", str(e))
            if missing is None:
                raise
            torch.library.define(missing[1], "(Tensor a) -> Tensor")
            for name in [name for name in sys.modules if name.startswith("torchvision")]:
                del sys.modules[name]
        else:
            break
    return models


@pytest.mark.parametrize("backbone", BACKBONES)
def test_backbones_are_torchvisions_by_name_and_by_value(
    torchvision_models: ModuleType, backbone: str
) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision_models, backbone)(weights=None).eval()
    ours = build_backbone(backbone, output_stride=32).eval()
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if k in ours.state_dict()})
    features = (
        theirs.features[:-1]
        if backbone == "mobilenet_v2"
        else torch.nn.Sequential(*list(theirs.children())[:-2])
    )
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x)[-1], features(x))


def test_an_unknown_backbone_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="known are mobilenet_v2, resnet18, resnet50"):
        PSPNet("vgg16")


def test_the_deployed_network_normalises_as_training_does() -> None:
    from facereg.training.init import MEAN, STD
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
