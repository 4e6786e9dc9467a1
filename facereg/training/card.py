"""Write a trained model as a weight file with the card that describes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ..models import sha256_of
from ..output import write_file
from ..plugins.pspnet.network import MEAN, STD, PSPNet
from ..regions import CLASSES

#: Side of the crop over the mean side of the detector's box. The training images have 1.57 times
#: the mean side of MTCNN's boxes; a little more keeps the hair of most heads whole.
CROP_SCALE = 1.85


def new_card(network: PSPNet, input_size: int) -> dict[str, Any]:
    """Return what is needed to run a network. Checksum and metrics are added later."""
    return {
        "architecture": "pspnet",
        "config": network.config,
        "backbone": network.config["backbone"],
        "classes": list(CLASSES),
        "input_size": input_size,
        "mean": list(MEAN),
        "std": list(STD),
        "crop_scale": CROP_SCALE,
        "parameters": sum(p.numel() for p in network.parameters()),
    }


@torch.no_grad()
def round_weights(network: nn.Module) -> None:
    """Round the weights of all convolutions to half precision, in place.

    They are stored like this, which halves the file and changes F1 by less than 0.0001. Figures
    measured afterwards are those of the file.
    """
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.copy_(weight.half())


def write_weights(state: dict[str, Tensor], path: Path) -> None:
    """Write weights as safetensors, convolutions in half precision.

    The file appears under its name when it is complete.
    """
    tensors = {
        key: (value.half() if value.ndim == 4 else value).contiguous()
        for key, value in state.items()
    }
    write_file(path, safetensors.torch.save(tensors))


def write_card(card: dict[str, Any], weights: Path) -> None:
    """Write the card next to its weight file, with the checksum of that file.

    ``card["files"]`` names further files of the model in the same folder; their checksums are
    computed too.
    """
    card["sha256"] = sha256_of(weights)
    if names := card.get("files"):
        card["files"] = {name: sha256_of(weights.with_name(name)) for name in names}
    path = weights.with_suffix(".json")
    write_file(path, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
