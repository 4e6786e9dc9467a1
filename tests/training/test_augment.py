from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facereg.regions import CLASSES, IDS
from facereg.training.augment import IGNORE, Augment, mirror
from facereg.training.dataset import FaceDataset
from facereg.training.loader import REST, Batches, Data, repeat_factors


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
        moved, truth = augment._geometry(image, labels, np.random.default_rng(seed))
        inside = truth != IGNORE
        same = (moved[..., 0] > 127) == (truth == IDS["nose"])
        assert same[inside].mean() > 0.99


def test_plain_views_are_the_picture_or_its_mirror_image(dataset: Path) -> None:
    data, augment = FaceDataset(dataset), Augment(192, plain=1.0)
    picture, labels = data.image(0), data.labels(0)
    ways = [(picture, labels), mirror(picture, labels)]
    seen = set()
    for seed in range(10):
        view, truth = augment(picture, labels, np.random.default_rng(seed))
        same = [bool((view == v).all() and (truth == t).all()) for v, t in ways]
        assert any(same)
        seen.add(same.index(True))
    assert seen == {0, 1}


def test_the_same_step_gives_the_same_batch(dataset: Path) -> None:
    data = Data(FaceDataset(dataset, "train"))
    one, two = (Batches(data, Augment(96), 4, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.at(7)[0], two.at(7)[0])
    assert (one.at(7)[0] != one.at(8)[0]).any()
    assert (one.at(7)[0] != Batches(data, Augment(96), 4, seed=4).at(7)[0]).any()


def test_images_with_a_rare_class_come_more_often() -> None:
    present = np.zeros((100, 3), bool)
    present[:, 0] = True
    present[:3, 2] = True
    factors = repeat_factors(present)
    assert (factors[3:] == 1).all()
    np.testing.assert_allclose(factors[:3], np.sqrt(0.3 / 0.03))


def test_every_kind_of_data_gets_its_share(dataset: Path, tmp_path: Path) -> None:
    for part in ("images", "labels"):
        shutil.copytree(dataset / part, tmp_path / part)
    for path in (tmp_path / "labels").iterdir():  # a folder that knows hair alone
        labels = np.array(Image.open(path))
        Image.fromarray(np.where(labels == IDS["hair"], labels, 0).astype(np.uint8)).save(path)
    main = FaceDataset(dataset, "train")
    data = Data(main, [FaceDataset(dataset, "val")], FaceDataset(tmp_path), share=0.4)
    batches = Batches(data, Augment(96), 10, seed=1)
    assert [CLASSES[i] for i in np.flatnonzero(batches.judged)] == ["hair"]
    seen = [np.unique(labels) for step in range(20) for labels in batches.at(step)[1]]
    partial = np.mean([REST in values for values in seen])
    # 6 of the 7 further pictures are partial, so they are 6/7 of 0.4 of all that is drawn
    assert partial == pytest.approx(0.343, abs=0.03)
    for values in seen:
        assert REST not in values or set(values) <= {IDS["hair"], REST, IGNORE}
