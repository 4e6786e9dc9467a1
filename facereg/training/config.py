"""The recipe of a training run, and the TOML file that holds it."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from ..errors import UsageError, missing_extra, nearest
from ..output import write_file


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run does, except for the dataset it learns from.

    Shares are fractions from 0 to 1. Folders and files are relative to the current directory.

    Attributes:
        name: what the model's card calls the model; the file's name if empty.
        data_name: what the card calls the data; the dataset folder's name if empty.
        data_terms: the licence of the data, for the card.
        backbone: one of `backbones.BACKBONES`; if empty, that of ``weights``, or mobilenet_v2.
        output_stride: 8, 16 or 32, the stride of the backbone's last features.
        init: ImageNet weights of the backbone, a file; none if empty.
        weights: models to start from, by name or file; their weights are averaged.
        frozen_blocks: blocks at the start of an EfficientNet-Lite that keep their weights.
        split: the images of the dataset to learn from.
        val: the images to measure the model on; none if empty.
        also: further datasets, fully or partly labelled.
        partial: a dataset that labels some classes only; its 0 means "none of these".
        extra_share: share of the samples that come from ``also`` and ``partial``.
        extra_weights: sampling weight of each folder of ``also``, then of ``partial``; the number
            of its images if empty.
        unaugmented: share of the samples that are not augmented, or only mirrored.
        copy_paste: share of the dataset's samples that get glasses, hats, jewellery or textures
            of other images.
        occlude: share of the samples that get objects in front of the face.
        teachers: trained models, by name or file, whose answers are learnt from.
        teacher_weight: weight of the distillation loss; the labels' loss has weight 1.
        size: side of the model's input, pixels.
        train_size: side of the samples while training, pixels; ``size`` if 0.
        batch: samples in a step.
        lr: peak learning rate.
        backbone_lr: learning rate of the backbone, as a share of ``lr``.
        weight_decay: of AdamW.
        warmup: steps in which the learning rate rises.
        smoothing: label smoothing of the cross-entropy.
        dice: weight of the Dice loss.
        jewellery: weight of earring and necklace in the cross-entropy; they are small and rare.
        ema: decay of the moving average of the weights.
        clip: maximum norm of the gradient.
        seed: of all random numbers.
        minutes: length of the run; no limit if None.
        steps: length of the run; no limit if None, no training if 0.
        compile: whether torch.compile is used.
        bf16: whether the forward pass runs in bfloat16.
        threads: threads that torch computes with; torch decides if 0.
    """

    name: str = ""
    data_name: str = ""
    data_terms: str = "unknown"
    backbone: str = ""
    output_stride: int = 32
    init: str = ""
    weights: tuple[str, ...] = ()
    frozen_blocks: int = 0
    split: str = "train"
    val: str = "val"
    also: tuple[str, ...] = ()
    partial: str = ""
    extra_share: float = 0.25
    extra_weights: tuple[float, ...] = ()
    unaugmented: float = 0.0
    copy_paste: float = 0.0
    occlude: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 1.0
    size: int = 384
    train_size: int = 0
    batch: int = 8
    lr: float = 2e-3
    backbone_lr: float = 0.3
    weight_decay: float = 0.02
    warmup: int = 150
    smoothing: float = 0.02
    dice: float = 0.5
    jewellery: float = 3.0
    ema: float = 0.998
    clip: float = 5.0
    seed: int = 0
    minutes: float | None = None
    steps: int | None = None
    compile: bool = False
    bf16: bool = True
    threads: int = 0

    def __post_init__(self) -> None:
        """Check what can be checked without opening a file.

        Raises:
            UsageError: a value is out of its range.
        """
        for name in ("extra_share", "unaugmented", "copy_paste", "occlude"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"recipe: {name} must be from 0 to 1, not {getattr(self, name)}")
        for name in ("size", "train_size"):
            if getattr(self, name) % self.output_stride:
                raise UsageError(
                    f"recipe: {name} {getattr(self, name)}: must be a multiple of "
                    f"{self.output_stride}"
                )
        folders = len(self.also) + bool(self.partial)
        if self.extra_weights and len(self.extra_weights) != folders:
            raise UsageError(
                f"recipe: extra_weights has {len(self.extra_weights)} values for {folders} datasets"
            )

    @property
    def sample_size(self) -> int:
        """Side of the samples while training, pixels."""
        return self.train_size or self.size

    def progress(self, step: int, seconds: float) -> float:
        """Return how much of the run is done, 0 to 1."""
        by_step = step / self.steps if self.steps else float(self.steps == 0)
        by_time = seconds / (self.minutes * 60) if self.minutes else 0.0
        return min(1.0, max(by_step, by_time))

    def rate(self, step: int, progress: float) -> float:
        """Return the learning rate as a share of ``lr``: linear warm-up, then a cosine to zero."""
        return min(1.0, (step + 1) / self.warmup) * (0.5 + 0.5 * math.cos(math.pi * progress))


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from a TOML file; what it does not name keeps its default.

    Raises:
        UsageError: the file cannot be read, or has an unknown name or a wrong value.
    """
    parse = _toml_parser()
    try:
        values = parse(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise UsageError(f"{path}: {e.strerror or e}") from e
    except ValueError as e:
        raise UsageError(f"{path}: not a TOML file: {e}") from e
    defaults = {field.name: field.default for field in fields(Recipe)}
    for name, value in values.items():
        if name not in defaults:
            raise UsageError(f"{path}: unknown name {name!r}: {nearest(name, defaults)}")
        values[name] = _converted(path, name, value, defaults[name])
    return replace(Recipe(), **values)


def _toml_parser() -> Callable[[str], dict[str, Any]]:
    """Find the TOML parser of this Python."""
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return cast(Callable[[str], dict[str, Any]], importlib.import_module(name).loads)
    except ImportError as e:
        raise missing_extra(name, "train", "--recipe") from e


def _converted(path: Path, name: str, value: Any, default: Any) -> Any:
    """Check the type of a value; whole numbers are floats too, and lists become tuples."""
    if isinstance(default, tuple) and isinstance(value, list):
        kind: tuple[type, ...] = (int, float) if name == "extra_weights" else (str,)
        if all(isinstance(item, kind) and not isinstance(item, bool) for item in value):
            return tuple(value)
    elif isinstance(default, float) or name == "minutes":
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif type(value) is (int if default is None else type(default)):
        return value
    raise UsageError(f"{path}: {name} = {json.dumps(value)} has the wrong type")


def write_recipe(recipe: Recipe, path: Path, comment: str) -> None:
    """Write every value of a recipe as TOML, below a comment.

    The file appears under its name when it is complete.
    """
    lines = [f"# {comment}"]
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if value is not None:
            value = list(value) if isinstance(value, tuple) else value
            lines.append(f"{field.name} = {json.dumps(value, ensure_ascii=False)}")
    write_file(path, ("\n".join(lines) + "\n").encode())
