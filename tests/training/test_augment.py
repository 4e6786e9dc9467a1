from __future__ import annotations

from pathlib import Path

import numpy as np

from facereg.regions import IDS
from facereg.training.augment import IGNORE, Augment, mirror
from facereg.training.dataset import FaceDataset


def test_mirroring_swaps_the_persons_sides(dataset: Path) -> None:
    data = FaceDataset(dataset)
    image, labels = data.image(0), data.labels(0)
    flipped, swapped = mirror(image, labels)
    np.testing.assert_array_equal(flipped[:, ::-1], image)
    for left, right in (("left_eye", "right_eye"), ("left_eyebrow", "right_eyebrow")):
        np.testing.assert_array_equal(swapped[:, ::-1] == IDS[left], labels == IDS[right])
    np.testing.assert_array_equal(swapped[:, ::-1] == IDS["nose"], labels == IDS["nose"])
    back = mirror(flipped, swapped)
    np.testing.assert_array_equal(back[1], labels)


def test_views_differ_and_keep_to_the_classes(dataset: Path) -> None:
    data, augment = FaceDataset(dataset), Augment(96)
    views = [
        augment(data.image(0), data.labels(0), np.random.default_rng(seed)) for seed in range(30)
    ]
    assert all(v.shape == (96, 96, 3) and m.shape == (96, 96) for v, m in views)
    assert all(v.dtype == m.dtype == np.uint8 for v, m in views)
    assert len({v.tobytes() for v, _ in views}) == 30
    known = {*np.unique(data.labels(0)), *range(2, 6), *range(11, 15), IGNORE}
    assert all(set(np.unique(m)) <= known for _, m in views)
    assert any((m == IGNORE).any() for _, m in views)


def test_picture_and_labels_move_together() -> None:
    image = np.zeros((192, 192, 3), np.uint8)
    labels = np.zeros((192, 192), np.uint8)
    image[60:130, 70:120], labels[60:130, 70:120] = 255, IDS["nose"]
    augment = Augment(192)
    for seed in range(20):
        moved, truth = augment._warp(image, labels, np.random.default_rng(seed))
        inside = truth != IGNORE
        same = (moved[..., 0] > 127) == (truth == IDS["nose"])
        assert same[inside].mean() > 0.99


def test_unaugmented_views_are_the_picture_or_its_mirror_image(dataset: Path) -> None:
    data, augment = FaceDataset(dataset), Augment(192, unaugmented=1.0)
    picture, labels = data.image(0), data.labels(0)
    ways = [(picture, labels), mirror(picture, labels)]
    seen = set()
    for seed in range(10):
        view, truth = augment(picture, labels, np.random.default_rng(seed))
        same = [bool((view == v).all() and (truth == t).all()) for v, t in ways]
        assert any(same)
        seen.add(same.index(True))
    assert seen == {0, 1}
