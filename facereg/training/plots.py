"""Plots of a training run and of a model's errors, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SinkError, missing_extra
from .metrics import Confusion


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("matplotlib", "plot", "a plot") from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=110, format="png")
    except OSError as e:
        raise SinkError(f"{path}: cannot be written: {e.strerror or e}") from e


def plot_confusion(confusion: Confusion, path: Path) -> None:
    """Draw the predicted classes of each true class's pixels, in per cent."""
    counts = confusion.counts.astype(np.float64)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = _figure(9, 8)
    axes = figure.add_subplot()
    axes.imshow(share, cmap="viridis", vmin=0, vmax=1)
    ticks = range(len(confusion.names))
    axes.set_xticks(ticks, confusion.names, rotation=90)
    axes.set_yticks(ticks, confusion.names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for y, x in np.argwhere(share >= 0.005):
        color = "black" if share[y, x] > 0.6 else "white"
        axes.text(x, y, f"{100 * share[y, x]:.0f}", ha="center", va="center", fontsize=6, c=color)
    axes.set_title("per cent of each true class's pixels")
    _save(figure, path)


def plot_history(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw the loss and the mean F1 of a training run over its minutes."""
    figure = _figure(8, 4)
    axes = figure.add_subplot()
    loss = [(row["minutes"], row["loss"]) for row in history if "loss" in row]
    f1 = [(row["minutes"], row["mean_f1"]) for row in history if "mean_f1" in row]
    axes.plot(*zip(*loss, strict=True), color="tab:blue") if loss else None
    axes.set_xlabel("minutes")
    axes.set_ylabel("loss", color="tab:blue")
    twin = axes.twinx()
    twin.plot(*zip(*f1, strict=True), "o-", color="tab:orange") if f1 else None
    twin.set_ylabel("mean F1, held out", color="tab:orange")
    _save(figure, path)
