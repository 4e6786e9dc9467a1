"""Count left/right mistakes and holes in a model's label maps of labelled face crops.

    python -m benchmarks.sides DATASET --split val [-s pspnet:weights=FILE]

Judged are frontal faces: both eyes are labelled, and the nose is between them. The line through the
nose's centre, across the line between the eyes, divides the face. A side is *wrong* where at least
`LEAST` pixels, and a tenth, of a left (right) brow, eye, eyelid or ear lie beyond that line; a pair
is *doubled* where its left and right lie on the same side, by their centres. A *hole* is at least
`LEAST` connected pixels called background, enclosed by the head, that the labels do not call so.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray

from facereg.regions import CLASSES
from facereg.registry.registry import Registry
from facereg.training.dataset import FaceDataset
from facereg.training.evaluate import Predict, predictions

LEAST = 20
PAIRS = tuple(
    (CLASSES.index(f"left_{part}"), CLASSES.index(f"right_{part}"))
    for part in ("eyebrow", "eye", "eyelid", "ear")
)
NOSE = CLASSES.index("nose")
Map = NDArray[np.uint8]


def centre(labels: Map, label: int) -> NDArray[np.float64] | None:
    """Find the centre of a class, (x, y); None where there is hardly any of it."""
    rows, columns = np.nonzero(labels == label)
    return None if len(rows) < LEAST else np.array([columns.mean(), rows.mean()])


def across(truth: Map) -> tuple[NDArray[np.float64], float] | None:
    """Find the direction from right to left eye, and where the nose is along it, if frontal."""
    left, right = (centre(truth, label) for label in PAIRS[1])
    nose = centre(truth, NOSE)
    if left is None or right is None or nose is None:
        return None
    direction = (left - right) / np.linalg.norm(left - right)
    place = float((nose - right) @ direction / np.linalg.norm(left - right))
    return (direction, float(nose @ direction)) if 0.3 < place < 0.7 else None


def mistakes(truth: Map, guess: Map) -> Counter[str] | None:
    """Count what is wrong in one frontal face; None if it is not frontal."""
    found = across(truth)
    if found is None:
        return None
    direction, middle = found
    y, x = np.mgrid[: guess.shape[0], : guess.shape[1]]
    leftward = x * direction[0] + y * direction[1] > middle
    counts: Counter[str] = Counter(faces=1)
    for left, right in PAIRS:
        centres = [centre(guess, label) for label in (left, right)]
        sides = [float(c @ direction) > middle for c in centres if c is not None]
        counts["doubled"] += len(sides) == 2 and sides[0] == sides[1]
        for label, beyond in ((left, ~leftward), (right, leftward)):
            area, wrong = (guess == label).sum(), ((guess == label) & beyond).sum()
            counts["wrong"] += bool(wrong >= max(LEAST, area / 10))
    counts["holes"] += holes(truth, guess)
    return counts


def holes(truth: Map, guess: Map) -> int:
    """Count enclosed patches of background that the labels do not call so."""
    count, patches, stats, _ = cv2.connectedComponentsWithStats((guess == 0).view(np.uint8))
    edge = np.concatenate([patches[0], patches[-1], patches[:, 0], patches[:, -1]])
    inner = set(range(1, count)) - set(np.unique(edge).tolist())
    return sum(
        bool(stats[i, cv2.CC_STAT_AREA] >= LEAST and (truth[patches == i] != 0).mean() > 0.5)
        for i in inner
    )


def count(data: FaceDataset, predict: Predict) -> dict[str, int]:
    """Add up a whole dataset."""
    total: Counter[str] = Counter({"faces": 0, "wrong": 0, "doubled": 0, "holes": 0})
    for _, truth, guess in predictions(data, predict):
        total.update(mistakes(truth, guess) or {})
    return dict(total)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--split")
    parser.add_argument("-s", "--segmenter", default="pspnet")
    args = parser.parse_args()
    data = FaceDataset(args.dataset, args.split)
    segmenter = Registry().build("segmenter", args.segmenter)
    print(json.dumps(count(data, segmenter.parse_crop)))


if __name__ == "__main__":
    main()
