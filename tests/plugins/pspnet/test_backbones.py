from __future__ import annotations

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from facereg.plugins.pspnet.backbones import EfficientNetLite, build_backbone
from facereg.plugins.pspnet.network import PSPNet

pytestmark = pytest.mark.slow  # networks of tens of millions of weights


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet18", "resnet50"])
def test_backbones_are_torchvisions_by_name_and_by_value(backbone: str) -> None:
    from torchvision import models

    torch.manual_seed(0)
    theirs = getattr(models, backbone)(weights=None).eval()
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
    with pytest.raises(ValueError, match="known are mobilenet_v2, efficientnet_lite0"):
        PSPNet("vgg16")


@pytest.mark.parametrize("name", ["lite0", "lite1"])
def test_efficientnet_lite_is_its_packages_by_name_and_by_value(name: str) -> None:
    torch.manual_seed(0)
    theirs = EfficientNet.from_name(f"efficientnet-{name}").eval()
    ours = build_backbone(f"efficientnet_{name}", output_stride=32).eval()
    state, own = theirs.state_dict(), ours.state_dict()
    assert {k for k in state if k.startswith(("_conv_stem", "_bn0", "_blocks"))} == own.keys()
    ours.load_state_dict({k: state[k] for k in own})
    assert isinstance(ours, EfficientNetLite)
    x = torch.rand(1, 3, 256, 256)
    y = theirs._swish(theirs._bn0(theirs._conv_stem(x)))
    for block in theirs._blocks[: ours.ends[1]]:
        y = block(y)
    # Theirs pads on the right alone, and so looks 1 + 2 + 4 pixels further at stride 8.
    with torch.inference_mode():
        at8 = ours(x.roll((-7, -7), (2, 3)))[1]
    inside = (..., slice(8, -8), slice(8, -8))
    torch.testing.assert_close(at8[inside], y[inside])
