"""Show the labelled pictures that the shipped model parses worst: picture, truth, answer.

    python benchmarks/worst.py DATASET --split val -o worst.png
    python benchmarks/worst.py DATASET --split val --class glasses -o worst.png

Worst by mean F1; with ``--class`` by the pixels of that class that are missed or invented, and the
share of all such pixels that each picture has is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.regions import CLASSES, IDS
from facereg.training.dataset import FaceDataset
from facereg.training.evaluate import predictions
from facereg.training.metrics import Confusion
from facereg.types import Image, Labels
from facereg.views import PALETTE

COUNT, COLUMNS, SIDE = 12, 3, 150


def mean_f1(truth: Labels, guess: Labels) -> float:
    """Score one picture: the mean over the foreground classes in its truth or in its answer."""
    confusion = Confusion()
    confusion.add(truth, guess)
    return float(np.nanmean(confusion.f1()[1:]))


def errors(truth: Labels, guess: Labels, label: int) -> int:
    """Count the pixels of a class that an answer misses or invents."""
    return int(np.count_nonzero((truth == label) != (guess == label)))


def panel(image: Image, truth: Labels, guess: Labels) -> Image:
    """Lay picture, truth and answer side by side."""
    parts = [image, PALETTE[truth], PALETTE[guess]]
    return np.hstack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in parts])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--class", dest="name", choices=CLASSES, metavar="CLASS")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    data = FaceDataset(args.dataset, args.split)
    answers = [found[1:] for found in predictions(data, PSPNetSegmenter().parse_crop)]
    if args.name is None:
        scores = np.array([mean_f1(*answer) for answer in answers])
        order = np.argsort(scores)
    else:
        wrong = np.array([errors(*answer, IDS[args.name]) for answer in answers])
        scores = wrong / max(int(wrong.sum()), 1)
        order = np.argsort(-scores)
    panels = [panel(data.image(i), *answers[i]) for i in order[:COUNT].tolist()]
    rows = [np.hstack(panels[i : i + COLUMNS]) for i in range(0, COUNT, COLUMNS)]
    cv2.imwrite(str(args.output), np.vstack(rows))
    for i in order[:COUNT].tolist():
        print(f"{data.names[i]}: {scores[i]:.3f}")


if __name__ == "__main__":
    main()
