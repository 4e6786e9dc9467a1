"""Teachers: trained models whose answers another model learns from."""

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
    """Several models whose probabilities are averaged.

    Each parses a view twice, as faces in pictures are: at its own input size, and also at the
    size of the views if that is another.

    Args:
        names: shipped models by name, others by their ``.safetensors`` file.
        size: side of the views, pixels.
        threads: threads to compute with, 0 for as many as there are cores.

    Raises:
        UsageError: there is no such model, or it has other classes.
        ModelError: its file or its card is missing or damaged.
    """

    def __init__(self, names: Sequence[str], size: int, threads: int = 0) -> None:
        self._teachers: list[list[tuple[int, Engine]]] = []
        for name in names:
            path = Path(name)
            model = load_card(path) if path.suffix == ".safetensors" else find_model(name)
            if tuple(model.card["classes"]) != CLASSES:
                raise UsageError(f"--teacher {name}: its classes are not facereg's")
            own = int(model.card["input_size"])
            engines = [(own, build_engine(model, own, Compute(threads=threads)))]
            if own != size:
                compute = Compute(precision="bf16", threads=threads)
                engines.append((size, build_engine(model, size, compute)))
            self._teachers.append(engines)

    def __call__(self, views: Crops) -> Tensor:
        """Return probabilities (N, C, S/4, S/4) for views (N, S, S, 3) uint8 BGR."""
        answers = [
            torch.stack([_parse_twice(engine, size, views) for size, engine in teacher]).mean(0)
            for teacher in self._teachers
        ]
        return torch.stack(answers).mean(0)


def _parse_twice(engine: Engine, size: int, views: Crops) -> Tensor:
    """Parse views of any size with test-time augmentation, to probabilities (N, C, S/4, S/4)."""
    side = views.shape[1]
    if size != side:
        how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
        views = np.stack([cv2.resize(v, (size, size), interpolation=how) for v in views])
    to_inner = tta.zoomed_mirror(np.eye(2, 3), size)
    looks = engine.logits(views), engine.logits(np.stack([cut(v, to_inner, size) for v in views]))
    logits = torch.from_numpy(
        np.stack([tta.merge_logits(*pair) for pair in zip(*looks, strict=True)])
    )
    # Resizing logits, not probabilities, keeps the borders sharp.
    return F.interpolate(logits, side // 4, mode="bilinear").softmax(1)
