"""``facereg evaluate``: score a model on labelled images."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .._api.components import SEGMENTER
from ..errors import SinkError, UsageError
from ..output import check_file
from ..plugins.pspnet.segmenter import PSPNetSegmenter
from ..regions import CLASSES, COLORS, GROUPS
from ..registry.registry import Registry
from ..training.dataset import FaceDataset
from ..training.evaluate import predictions
from ..training.metrics import Confusion, merge_groups


def run(args: argparse.Namespace) -> int:
    """Run the command line: score, print, save. Returns the exit code."""
    data = FaceDataset(args.dataset, args.split)
    segmenter = Registry(args.plugin).build("segmenter", args.segmenter or SEGMENTER)
    if not isinstance(segmenter, PSPNetSegmenter):
        raise UsageError(
            f"segmenter {segmenter.name} cannot be evaluated: it does not parse face crops"
        )
    folder = _label_folder(args.save_labels, args.overwrite)
    if args.confusion:
        check_file(Path(args.confusion), (".png",), args.overwrite)
    confusion = Confusion()
    for name, truth, prediction in predictions(data, segmenter.parse_crop):
        confusion.add(truth, prediction)
        if folder is not None:
            _save_labels(prediction, folder / f"{name}.png")
    if args.confusion:
        from ..training.plots import plot_confusion

        plot_confusion(confusion, Path(args.confusion))
    if args.by_region:
        confusion = merge_groups(confusion, GROUPS)
    summary = {"images": len(data), **segmenter.describe(), **confusion.summary()}
    print(json.dumps(summary) if args.json else _table(summary))
    return 0


def _label_folder(path: str | None, overwrite: bool) -> Path | None:
    if path is None:
        return None
    folder = Path(path)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise SinkError(f"{folder}: is not empty; --overwrite writes into it")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _save_labels(labels: NDArray[np.uint8], path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(labels, "P")
    image.putpalette([value for color in COLORS for value in color])
    image.save(path)


def _table(summary: dict[str, Any]) -> str:
    rows = [f"{'class':<16}{'F1':>8}{'IoU':>8}"]
    classes = cast(dict[str, dict[str, float | None]], summary["classes"])
    for name, scores in classes.items():
        cells = ["-" if scores[key] is None else f"{scores[key]:.4f}" for key in ("f1", "iou")]
        rows.append(f"{name:<16}{cells[0]:>8}{cells[1]:>8}")
    rows.append(f"{'mean':<16}{summary['mean_f1']:>8.4f}{summary['mean_iou']:>8.4f}")
    if tuple(classes) == CLASSES:
        plain = summary["mean_f1_without_jewellery"]
        rows.append(f"{'  without jewellery':<19}{plain:>7.4f}")
    rows.append(f"{summary['images']} images; the means leave out background")
    return "\n".join(rows)
