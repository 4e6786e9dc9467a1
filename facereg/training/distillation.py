"""Models that are trained already, and what they answer to the views that another learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..models import find_model, load_card
from ..plugins.pspnet import tta
from ..plugins.pspnet.crops import cut
from ..plugins.pspnet.engines import Compute, Crops, Engine, build_engine
from ..regions import CLASSES


class Teachers:
    """Several models; their answer is the mean of their probabilities.

    Each looks twice, as at faces in pictures, at its own input size, and also at the run's where
    that is another.

    Args:
        names: shipped models by name, others by their ``.safetensors`` file.
        size: side of the views, pixels.

    Raises:
        UsageError: no such model, or one of other classes.
        ModelError: its file or its card is missing or damaged.
    """

    def __init__(self, names: Sequence[str], size: int) -> None:
        self._teachers: list[list[tuple[int, Engine]]] = []
        for name in names:
            path = Path(name)
            model = load_card(path) if path.suffix == ".safetensors" else find_model(name)
            if tuple(model.card["classes"]) != CLASSES:
                raise UsageError(f"--teacher {name}: its classes are not facereg's")
            own = int(model.card["input_size"])
            engines = [(own, build_engine(model, own, Compute()))]
            if own != size:
                engines.append((size, build_engine(model, size, Compute(precision="bf16"))))
            self._teachers.append(engines)

    def __call__(self, views: Crops) -> Tensor:
        """Answer with probabilities (N, C, S/4, S/4) to views (N, S, S, 3) uint8 BGR."""
        answers = [
            torch.stack([_ask(engine, size, views) for size, engine in teacher]).mean(0)
            for teacher in self._teachers
        ]
        return torch.stack(answers).mean(0)


def _ask(engine: Engine, size: int, views: Crops) -> Tensor:
    """Have an engine answer to views of any size, looking twice: (N, C, S/4, S/4)."""
    side = views.shape[1]
    if size != side:
        how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
        views = np.stack([cv2.resize(v, (size, size), interpolation=how) for v in views])
    to_inner = tta.zoomed_mirror(np.eye(2, 3), size)
    looks = engine.logits(views), engine.logits(np.stack([cut(v, to_inner, size) for v in views]))
    logits = torch.from_numpy(
        np.stack([tta.merge_logits(*pair) for pair in zip(*looks, strict=True)])
    )
    # Not probabilities: borders between them would be blurred.
    return F.interpolate(logits, side // 4, mode="bilinear").softmax(1)
