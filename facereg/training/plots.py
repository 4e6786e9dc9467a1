"""Pictures of a training run and of a model's mistakes, with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SinkError, UsageError
from .metrics import Confusion


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("pictures need matplotlib: pip install 'facereg[train]'") from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=110, format="png")
    except OSError as e:
        raise SinkError(f"{path}: cannot be written: {e.strerror or e}") from e


def plot_confusion(confusion: Confusion, path: Path) -> None:
    """Draw where the pixels of each true class went, as shares of the row."""
    counts = confusion.counts.astype(np.float64)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = _figure(9, 8)
    axes = figure.add_subplot()
    axes.imshow(share, cmap="viridis", vmin=0, vmax=1)
    places = range(len(confusion.names))
    axes.set_xticks(places, confusion.names, rotation=90)
    axes.set_yticks(places, confusion.names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for y, x in np.argwhere(share >= 0.005):
        color = "black" if share[y, x] > 0.6 else "white"
        axes.text(x, y, f"{100 * share[y, x]:.0f}", ha="center", va="center", fontsize=6, c=color)
    axes.set_title("per cent of each true class's pixels")
    _save(figure, path)


def plot_history(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and mean F1 over the minutes of a training run."""
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
