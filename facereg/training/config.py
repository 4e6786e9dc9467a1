"""What a training run does."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run does; it is stored with the result."""

    size: int = 384
    batch: int = 8
    lr: float = 2e-3
    backbone_lr: float = 0.3  # as a share of lr
    weight_decay: float = 0.02
    warmup: int = 150
    smoothing: float = 0.02
    dice: float = 0.5
    jewellery: float = 3.0  # weight of earring and necklace: small, rare, and else never guessed
    ema: float = 0.998
    clip: float = 5.0
    seed: int = 0
    minutes: float | None = None
    steps: int | None = None
    compile: bool = False
    frozen: int = 0  # blocks at the backbone's start that stay as they are
    bf16: bool = True  # compute in bfloat16; without hardware for it, backwards is slower so
    threads: int = 0  # of torch; 0 leaves the choice to it
    plain: float = 0.0  # share of the views that are pictures as they are, or mirrored
    start: tuple[str, ...] = ()  # files that the network started from
    teachers: tuple[str, ...] = ()
    teaching: float = 1.0  # weight of the teachers' answers beside the labels

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that is used, 0 to 1."""
        by_step = step / self.steps if self.steps else float(self.steps == 0)
        by_time = seconds / (self.minutes * 60) if self.minutes else 0.0
        return min(1.0, max(by_step, by_time))

    def rate(self, step: int, progress: float) -> float:
        """Learning rate as a share of ``lr``: linear warm-up, then a cosine to zero."""
        return min(1.0, (step + 1) / self.warmup) * (0.5 + 0.5 * math.cos(math.pi * progress))
