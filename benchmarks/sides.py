"""Count left/right errors and holes in a model's label maps of labelled face crops.

    python -m benchmarks.sides DATASET --split val [-s pspnet:weights=FILE]

Only frontal faces count: both eyes are labelled, and the nose is between them. A line through the
center of the nose, perpendicular to the line between the eyes, divides the face. A side is *wrong*
if at least `MIN_PIXELS` pixels, and a tenth, of a left (right) eyebrow, eye, eyelid or ear lie
across that line. A pair is *doubled* if the centers of its left and right part are on one side. A
*hole* is at least `MIN_PIXELS` connected pixels of predicted background, enclosed by the head, that
are mostly not background in the labels.
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

MIN_PIXELS = 20
PAIRS = tuple(
    (CLASSES.index(f"left_{part}"), CLASSES.index(f"right_{part}"))
    for part in ("eyebrow", "eye", "eyelid", "ear")
)
NOSE = CLASSES.index("nose")
Map = NDArray[np.uint8]


def center(labels: Map, label: int) -> NDArray[np.float64] | None:
    """Return the center of a class, (x, y); None if it has fewer than `MIN_PIXELS` pixels."""
    rows, columns = np.nonzero(labels == label)
    return None if len(rows) < MIN_PIXELS else np.array([columns.mean(), rows.mean()])


def face_axis(truth: Map) -> tuple[NDArray[np.float64], float] | None:
    """Return the direction from right to left eye and the nose's position along it, if frontal."""
    left, right = (center(truth, label) for label in PAIRS[1])
    nose = center(truth, NOSE)
    if left is None or right is None or nose is None:
        return None
    direction = (left - right) / np.linalg.norm(left - right)
    place = float((nose - right) @ direction / np.linalg.norm(left - right))
    return (direction, float(nose @ direction)) if 0.3 < place < 0.7 else None


def count_errors(truth: Map, prediction: Map) -> Counter[str] | None:
    """Count the errors in one face; None if it is not frontal."""
    axis = face_axis(truth)
    if axis is None:
        return None
    direction, middle = axis
    y, x = np.mgrid[: prediction.shape[0], : prediction.shape[1]]
    leftward = x * direction[0] + y * direction[1] > middle
    counts: Counter[str] = Counter(faces=1)
    for left, right in PAIRS:
        centers = [center(prediction, label) for label in (left, right)]
        sides = [float(c @ direction) > middle for c in centers if c is not None]
        counts["doubled"] += len(sides) == 2 and sides[0] == sides[1]
        for label, beyond in ((left, ~leftward), (right, leftward)):
            area, wrong = (prediction == label).sum(), ((prediction == label) & beyond).sum()
            counts["wrong"] += bool(wrong >= max(MIN_PIXELS, area / 10))
    counts["holes"] += count_holes(truth, prediction)
    return counts


def count_holes(truth: Map, prediction: Map) -> int:
    """Count enclosed patches of background that are something else in the labels."""
    count, patches, stats, _ = cv2.connectedComponentsWithStats((prediction == 0).view(np.uint8))
    edge = np.concatenate([patches[0], patches[-1], patches[:, 0], patches[:, -1]])
    inner = set(range(1, count)) - set(np.unique(edge).tolist())
    return sum(
        bool(stats[i, cv2.CC_STAT_AREA] >= MIN_PIXELS and (truth[patches == i] != 0).mean() > 0.5)
        for i in inner
    )


def count_dataset(data: FaceDataset, predict: Predict) -> dict[str, int]:
    """Add up the errors of a dataset."""
    total: Counter[str] = Counter({"faces": 0, "wrong": 0, "doubled": 0, "holes": 0})
    for _, truth, prediction in predictions(data, predict):
        total.update(count_errors(truth, prediction) or {})
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
    print(json.dumps(count_dataset(data, segmenter.parse_crop)))


if __name__ == "__main__":
    main()
