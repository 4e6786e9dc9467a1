"""Show the labelled pictures that the shipped model parses worst: picture, truth, answer.

Usage: python benchmarks/worst.py DATASET --split val -o worst.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from facereg.drawing import PALETTE
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.training.dataset import FaceDataset
from facereg.training.evaluate import predictions
from facereg.training.scores import Confusion
from facereg.types import Image, Labels

COUNT, COLUMNS, SIDE = 12, 3, 150


def mean_f1(truth: Labels, guess: Labels) -> float:
    """Score one picture: the mean over the foreground classes in its truth or in its answer."""
    confusion = Confusion()
    confusion.add(truth, guess)
    return float(np.nanmean(confusion.f1()[1:]))


def panel(image: Image, truth: Labels, guess: Labels) -> Image:
    """Lay picture, truth and answer side by side."""
    parts = [image, PALETTE[truth], PALETTE[guess]]
    return np.hstack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in parts])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    data = FaceDataset(args.dataset, args.split)
    found = predictions(data, PSPNetSegmenter().parse_crop)
    scored = [(mean_f1(truth, guess), i, truth, guess) for i, (_, truth, guess) in enumerate(found)]
    worst = sorted(scored, key=lambda entry: entry[0])[:COUNT]
    panels = [panel(data.image(i), truth, guess) for _, i, truth, guess in worst]
    rows = [np.hstack(panels[i : i + COLUMNS]) for i in range(0, COUNT, COLUMNS)]
    cv2.imwrite(str(args.output), np.vstack(rows))
    print([round(score, 3) for score, *_ in worst])


if __name__ == "__main__":
    main()
