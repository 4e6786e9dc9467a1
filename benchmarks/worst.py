"""Show the labelled images that the shipped model parses worst: image, truth, prediction.

    python benchmarks/worst.py DATASET --split val -o worst.png
    python benchmarks/worst.py DATASET --split val --class glasses -o worst.png

They are sorted by mean F1; with ``--class`` by the number of that class's wrong pixels, and each
image's share of all wrong pixels is printed.
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

#: Images to show, columns of the sheet, and side of an image in pixels.
COUNT, COLUMNS, SIDE = 12, 3, 150


def mean_f1(truth: Labels, prediction: Labels) -> float:
    """Return the mean F1 of one image over the foreground classes that occur."""
    confusion = Confusion()
    confusion.add(truth, prediction)
    return float(np.nanmean(confusion.f1()[1:]))


def errors(truth: Labels, prediction: Labels, label: int) -> int:
    """Count the missing and the false pixels of a class."""
    return int(np.count_nonzero((truth == label) != (prediction == label)))


def panel(image: Image, truth: Labels, prediction: Labels) -> Image:
    """Place image, truth and prediction side by side."""
    parts = [image, PALETTE[truth], PALETTE[prediction]]
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
    answers = [pair[1:] for pair in predictions(data, PSPNetSegmenter().parse_crop)]
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
