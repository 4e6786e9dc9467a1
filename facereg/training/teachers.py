"""Models that are trained already, and what they answer to the views that another learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UsageError
from ..plugins.pspnet.engines import Compute, Crops, build_engine
from ..regions import CLASSES
from ..weights import find_model, load_card


class Teachers:
    """Several models; their answer is the mean of their probabilities.

    Args:
        names: shipped models by name, others by their ``.safetensors`` file.
        size: side of the views, pixels; a model's 8-bit file is used where it takes that.

    Raises:
        UsageError: no such model, or one of other classes.
        ModelError: its file or its card is missing or damaged.
    """

    def __init__(self, names: Sequence[str], size: int) -> None:
        self._engines = []
        for name in names:
            path = Path(name)
            model = load_card(path) if path.suffix == ".safetensors" else find_model(name)
            if tuple(model.card["classes"]) != CLASSES:
                raise UsageError(f"--teacher {name}: its classes are not facereg's")
            self._engines.append(build_engine(model, size, Compute()))

    def __call__(self, views: Crops) -> Tensor:
        """Answer with probabilities (N, C, S/4, S/4) to views (N, S, S, 3) uint8 BGR."""
        answers = [torch.from_numpy(e.logits(views)).softmax(1) for e in self._engines]
        return torch.stack(answers).mean(0)
