"""What computes the network: torch, or ONNX Runtime.

An engine turns crops (N, S, S, 3) uint8 BGR into logits (N, C, S/4, S/4) float32.

The default for a shipped model is its 8-bit file in ONNX Runtime, which needs neither torch nor
safetensors: benchmarks/README.md has the figures.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError, UsageError, missing_extra
from ...models import Model
from ...regions import CLASSES
from ...workers import Workers
from ..onnx_session import load_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from torch import Tensor

    from .network import PSPNet

Crops = NDArray[np.uint8]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Compute:
    """What the user wants of an engine, in the words of the segmenter's options."""

    engine: str = "auto"
    precision: str = "auto"
    threads: int = 0
    device: str = "auto"


class Engine(ABC):
    """Computes logits from crops.

    Attributes:
        name: engine, device and precision, to be shown.
        path: the file that the weights are from.
    """

    name: str
    path: Path

    def logits(self, crops: Crops) -> Logits:
        """Compute logits (N, C, S/4, S/4), C-contiguous, of crops (N, S, S, 3) BGR.

        Raises:
            ModelError: the network fails, or its answer has another shape or is not finite.
        """
        logits = self._compute(crops)
        side = crops.shape[1] // 4
        wanted = (len(crops), len(CLASSES), side, side)
        if logits.shape != wanted:
            raise ModelError(f"{self.path}: computes {logits.shape} for {wanted}; it does not fit")
        if not np.isfinite(logits.sum(dtype=np.float64)):
            raise ModelError(
                f"{self.path}: computes values that are no numbers (NaN or infinity): its weights "
                "are damaged, or its training failed"
            )
        return logits

    @abstractmethod
    def _compute(self, crops: Crops) -> Logits:
        """Compute logits, whatever they are."""


class OnnxEngine(Engine):
    """The network in ONNX Runtime, from one of the model's ``.onnx`` files.

    All threads compute one crop together. If there are as many crops as threads, each thread
    computes crops of its own and waits for no other.
    """

    def __init__(self, model: Model, path: Path, workers: Workers) -> None:
        self.path, self._workers = model.verify(path), workers
        self._together = _session(path, workers.threads)
        # Made now, not when a second face comes: a live picture would freeze for that long.
        self._alone = _session(path, 1) if workers.threads > 1 else self._together
        self.name = "onnx cpu " + ("int8" if path.name.endswith(".int8.onnx") else "fp32")

    def _compute(self, crops: Crops) -> Logits:
        if len(crops) < max(2, self._workers.threads):
            return self._run(self._together, crops)
        one = partial(self._run, self._alone)
        return np.concatenate(self._workers.map(one, np.split(crops, len(crops))))

    def _run(self, session: InferenceSession, crops: Crops) -> Logits:
        try:
            found = session.run(None, {session.get_inputs()[0].name: crops})[0]
        except Exception as e:  # onnxruntime has no common base for its exceptions
            reason = " ".join(str(e).split())[:200]
            raise ModelError(
                f"{self.path}: cannot parse crops of {crops.shape[1]} pixels: {reason}"
            ) from e
        return np.asarray(found, np.float32)


def _session(path: Path, threads: int) -> InferenceSession:
    try:
        return load_session(path, threads)
    except Exception as e:  # onnxruntime has no common base for its exceptions
        raise ModelError(f"{path}: not a network that ONNX Runtime takes: {e}") from e


class TorchEngine(Engine):
    """The network in torch, from its ``.safetensors`` file.

    Args:
        model: the weight file and its card.
        compute: what the user wants.
        reason: why torch is needed, for the error if it is not installed.
    """

    def __init__(self, model: Model, compute: Compute, reason: str = "engine=torch") -> None:
        torch = import_torch(reason)
        self._torch, self.path = torch, model.path
        device = compute.device if compute.device != "auto" else _best_device()
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError("device=cuda: torch finds no CUDA device; use device=cpu")
        if device == "mps" and not torch.backends.mps.is_available():
            raise UsageError("device=mps: torch finds no Metal device; use device=cpu")
        if compute.threads:
            torch.set_num_threads(compute.threads)
        half = {"cuda": torch.float16, "mps": torch.float16, "cpu": torch.bfloat16}[device]
        low = compute.precision == "bf16" or (compute.precision == "auto" and device == "cuda")
        self._cast = half if low else None
        self._device = torch.device(device)
        from .network import Deployed

        deployed = Deployed(load_network(model), model.card["mean"], model.card["std"]).eval()
        self._network = deployed.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        precision = str(half).removeprefix("torch.") if low else "fp32"
        self.name = f"torch {device} {precision}"

    def _compute(self, crops: Crops) -> Logits:
        torch = self._torch
        batch = torch.from_numpy(crops)
        if self._device.type == "cuda":
            batch = batch.pin_memory().to(self._device, non_blocking=True)
        else:
            batch = batch.to(self._device)
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, self._cast, enabled=self._cast is not None),
        ):
            return np.ascontiguousarray(self._network(batch).float().cpu().numpy(), np.float32)


def import_torch(reason: str) -> Any:
    """Import torch and what reads weight files for it.

    Args:
        reason: what needs them, as the start of a sentence.

    Raises:
        FaceregError: one of them is not installed.
    """
    for package in ("torch", "safetensors"):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as e:
            raise missing_extra(package, "torch", reason) from e
    return importlib.import_module("torch")


def load_network(model: Model) -> PSPNet:
    """Build the network that a card describes and load its weights, as data alone.

    Raises:
        ModelError: the file is damaged, does not fit its card, or holds values that are no numbers.
        FaceregError: torch or safetensors is not installed.
    """
    import_torch(f"model {model.name}")
    import safetensors
    import safetensors.torch

    from .network import PSPNet

    path = model.verify()
    try:
        network = PSPNet(**model.card["config"])
        state = safetensors.torch.load_file(path)
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError, safetensors.SafetensorError) as e:
        reason = " ".join(str(e).split())[:200]
        raise ModelError(f"{path}: does not fit its card: {reason}") from e
    check_finite(path, state)
    return network


def check_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are no numbers.

    Raises:
        ModelError: a weight is NaN or infinite; the message names the first layer.
    """
    for name, weights in state.items():
        if weights.is_floating_point() and not weights.isfinite().all():
            raise ModelError(
                f"{path}: {name} holds values that are no numbers (NaN or infinity): the file is "
                "damaged, or its training failed"
            )


def build_engine(
    model: Model, size: int, compute: Compute, workers: Workers | None = None
) -> Engine:
    """Make the engine that a user named; ``auto`` takes ONNX Runtime if it can.

    Args:
        model: the weight file and its card.
        size: side of the crops in pixels; a file for ONNX Runtime takes the card's size alone.
        compute: what the user wants.
        workers: the threads that ONNX Runtime shares its work among; its own by default.

    Raises:
        UsageError: the options contradict one another.
        ModelError: the model has other classes than facereg, has no file for that engine, or the
            file is damaged or does not fit.
        FaceregError: torch is needed and not installed.
    """
    if list(model.card["classes"]) != list(CLASSES):
        raise ModelError(
            f"model {model.name}: its card lists other classes than facereg's {len(CLASSES)}; its "
            "masks would have wrong names"
        )
    if compute.engine == "torch" and compute.precision == "int8":
        raise UsageError("precision=int8 needs engine=onnx")
    if compute.engine == "onnx" and compute.precision == "bf16":
        raise UsageError("precision=bf16 needs engine=torch")
    reasons = {
        "engine=torch": compute.engine == "torch",
        "precision=bf16": compute.precision == "bf16",
        f"size={size}": size != model.card["input_size"],
        f"device={compute.device}": compute.device in ("cuda", "mps"),
    }
    reason = next((option for option, applies in reasons.items() if applies), "")
    path = None if reason else _onnx_file(model, compute.precision)
    if path is not None:
        return OnnxEngine(model, path, workers or Workers(compute.threads))
    if compute.engine == "onnx" or compute.precision == "int8":
        kind = compute.precision if compute.precision != "auto" else "onnx"
        raise ModelError(
            f"model {model.name} has no {kind} file for crops of {size} pixels; use engine=torch"
        )
    return TorchEngine(model, compute, reason or f"model {model.name}")


def _onnx_file(model: Model, precision: str) -> Path | None:
    """Find the model's ONNX file of a precision; 8 bits first if any will do."""
    if precision in ("auto", "int8") and (path := model.file(".int8.onnx")) is not None:
        return path
    return model.file(".fp32.onnx") if precision in ("auto", "fp32") else None


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
