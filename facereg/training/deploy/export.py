"""Export a network to ONNX, and compare it with torch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import ModelError
from ...output import AtomicFile
from ...plugins.pspnet.network import Deployed, PSPNet

Crops = NDArray[np.uint8]

OPSET = 17


@dataclass(frozen=True)
class Agreement:
    """Difference of an exported network from torch's on the same crops.

    Attributes:
        difference: largest absolute difference of a logit.
        equal: share of pixels with equal labels, at the resolution of the logits.
        crops: number of crops compared.
    """

    difference: float
    equal: float
    crops: int


def export_onnx(network: PSPNet, card: dict[str, Any], path: Path) -> None:
    """Write the network with its preprocessing: ``crops`` (N, S, S, 3) uint8 BGR to ``logits``.

    N is any number; S is the card's input size. The file appears when it is complete.
    """
    deployed = Deployed(network, card["mean"], card["std"]).eval()
    size = int(card["input_size"])
    with AtomicFile(path, overwrite=True) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns about itself
        torch.onnx.export(
            deployed,
            (torch.zeros(1, size, size, 3, dtype=torch.uint8),),
            str(file.part),
            input_names=["crops"],
            output_names=["logits"],
            dynamic_axes={"crops": {0: "faces"}, "logits": {0: "faces"}},
            opset_version=OPSET,
            dynamo=False,
        )


def compare(network: PSPNet, card: dict[str, Any], path: Path, crops: Sequence[Crops]) -> Agreement:
    """Run real crops through torch and through the exported file.

    Raises:
        ModelError: ONNX Runtime cannot load the file.
    """
    import onnxruntime

    deployed = Deployed(network, card["mean"], card["std"]).eval()
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime has no common base for its exceptions
        raise ModelError(f"{path}: ONNX Runtime cannot load it: {e}") from e
    difference, equal = 0.0, 0.0
    for crop in crops:
        with torch.inference_mode():
            ours = deployed(torch.from_numpy(crop[None])).numpy()
        theirs = session.run(None, {"crops": crop[None]})[0]
        difference = max(difference, float(np.abs(ours - theirs).max()))
        equal += float((ours.argmax(1) == theirs.argmax(1)).mean())
    return Agreement(difference, equal / max(1, len(crops)), len(crops))
