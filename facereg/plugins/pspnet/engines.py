"""What computes the network: torch, or ONNX Runtime.

An engine takes crops (N, S, S, 3) uint8 BGR and gives logits (N, C, S/4, S/4) float32.

Of a shipped model, ONNX Runtime's 8-bit file is the default: benchmarks/README.md has the figures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError, UsageError
from ...models import Model
from ...workers import Workers

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from .network import PSPNet

Crops = NDArray[np.uint8]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Compute:
    """What the user wants of an engine; the words are the segmenter's options."""

    engine: str = "auto"
    precision: str = "auto"
    threads: int = 0
    device: str = "auto"


class Engine(ABC):
    """Computes logits from crops.

    Attributes:
        name: engine, device and precision, to be shown.
    """

    name: str

    @abstractmethod
    def logits(self, crops: Crops) -> Logits:
        """Compute logits (N, C, S/4, S/4), C-contiguous, of crops (N, S, S, 3) BGR."""


class OnnxEngine(Engine):
    """The network in ONNX Runtime, from one of the model's ``.onnx`` files.

    All threads compute a crop together. When there is one for each of them, each computes one by
    itself, and waits for no other within it.
    """

    def __init__(self, model: Model, path: Path, workers: Workers) -> None:
        path, self._workers = model.verify(path), workers
        self._together = _session(path, workers.threads)
        # Not when a second face comes: a live picture would stand still, and memory grow late.
        self._alone = _session(path, 1) if workers.threads > 1 else self._together
        self.name = "onnx cpu " + ("int8" if path.name.endswith(".int8.onnx") else "fp32")

    def logits(self, crops: Crops) -> Logits:
        if len(crops) < max(2, self._workers.threads):
            return _run(self._together, crops)
        one = partial(_run, self._alone)
        return np.concatenate(self._workers.map(one, np.split(crops, len(crops))))


def _session(path: Path, threads: int) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin while they wait take the cores from the decoder and the encoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime has no common base for its exceptions
        raise ModelError(f"{path}: not a network that ONNX Runtime takes: {e}") from e


def _run(session: InferenceSession, crops: Crops) -> Logits:
    return np.asarray(session.run(None, {session.get_inputs()[0].name: crops})[0], np.float32)


class TorchEngine(Engine):
    """The network in torch, from its ``.safetensors`` file."""

    def __init__(self, model: Model, compute: Compute) -> None:
        import torch

        self._torch = torch
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

    def logits(self, crops: Crops) -> Logits:
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


def load_network(model: Model) -> PSPNet:
    """Build the network that a card describes and fill it.

    Raises:
        ModelError: the file is damaged, or does not fit its card.
    """
    import safetensors
    import safetensors.torch

    from .network import PSPNet

    path = model.verify()
    try:
        network = PSPNet(**model.card["config"])
        network.load_state_dict(safetensors.torch.load_file(path))
    except (RuntimeError, TypeError, ValueError, safetensors.SafetensorError) as e:
        reason = " ".join(str(e).split())[:200]
        raise ModelError(f"{path}: does not fit its card: {reason}") from e
    return network


def build_engine(
    model: Model, size: int, compute: Compute, workers: Workers | None = None
) -> Engine:
    """Make the engine that a user named; ``auto`` takes ONNX Runtime where it can.

    Args:
        size: side of the crops; a file for ONNX Runtime takes the card's alone.
        workers: what ONNX Runtime shares its work among; its own by default.

    Raises:
        UsageError: the words contradict one another.
        ModelError: the model has no file for that engine, or the file is damaged or unfit.
    """
    if compute.engine == "torch" and compute.precision == "int8":
        raise UsageError("precision=int8 needs engine=onnx")
    if compute.engine == "onnx" and compute.precision == "bf16":
        raise UsageError("precision=bf16 needs engine=torch")
    wants_torch = (
        compute.engine == "torch"
        or compute.precision == "bf16"
        or size != model.card["input_size"]
        or compute.device in ("cuda", "mps")
    )
    path = None if wants_torch else _onnx_file(model, compute.precision)
    if path is not None:
        return OnnxEngine(model, path, workers or Workers(compute.threads))
    if compute.engine == "onnx" or compute.precision == "int8":
        kind = compute.precision if compute.precision != "auto" else "onnx"
        raise ModelError(
            f"model {model.name} has no {kind} file for crops of {size} pixels; use engine=torch"
        )
    return TorchEngine(model, compute)


def _onnx_file(model: Model, precision: str) -> Path | None:
    """Find the model's ONNX file of a precision; 8-bit first where any will do."""
    if precision in ("auto", "int8") and (path := model.file(".int8.onnx")) is not None:
        return path
    return model.file(".fp32.onnx") if precision in ("auto", "fp32") else None


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
