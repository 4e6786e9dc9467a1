from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facereg.regions import CLASSES, IDS
from facereg.training import copy_paste
from facereg.training.copy_paste import PASTED_THINGS, CopyPaste
from facereg.training.textures import TEXTURED_CLASSES
from facereg.types import Image, Labels

SIDE = 96


def portrait(colour: int, **regions: tuple[slice, slice]) -> tuple[Image, Labels]:
    """A face of one colour, and regions of another: (96, 96, 3) and (96, 96) uint8."""
    image = np.full((SIDE, SIDE, 3), colour, np.uint8)
    labels = np.full((SIDE, SIDE), IDS["skin"], np.uint8)
    labels[:, :8] = labels[:, -8:] = IDS["background"]
    labels[44:52, 44:52] = IDS["nose"]
    for name, where in regions.items():
        image[where], labels[where] = 250 - colour, IDS[name]
    return image, labels


def mixed(
    monkeypatch: pytest.MonkeyPatch, name: str, donor: tuple[Image, Labels], seed: int = 1
) -> tuple[Image, Labels, Labels]:
    """Paste one thing of a donor into a bare face; with that face's own labels."""
    only = [replace(thing, probability=float(thing.name == name)) for thing in PASTED_THINGS]
    monkeypatch.setattr(copy_paste, "PASTED_THINGS", tuple(only))
    monkeypatch.setattr(copy_paste, "RETEXTURE_PROBABILITIES", {})
    bare, labels = portrait(100, neck=(slice(80, 96), slice(30, 66)))
    mix = CopyPaste([bare, donor[0]], [labels, donor[1]])
    image, truth = mix(bare, labels, np.random.default_rng(seed))
    assert image.dtype == truth.dtype == np.uint8
    return image, truth, labels


def test_glasses_are_pasted_with_the_eyes_behind_them(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, eye = (slice(30, 42), slice(20, 76)), (slice(34, 38), slice(28, 36))
    donor = portrait(20, glasses=frame, left_eye=eye)
    image, truth, before = mixed(monkeypatch, "glasses", donor)
    pasted = truth == IDS["glasses"]
    assert pasted.sum() == pytest.approx((donor[1] == IDS["glasses"]).sum(), rel=0.2)
    assert ((truth == IDS["left_eye"]) | (truth == IDS["right_eye"])).sum() > 10
    assert (truth[~pasted] == before[~pasted]).mean() > 0.99
    assert (image[56:78, 10:80] == 100).all()


def test_a_hat_hides_what_would_stick_out_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    donor = portrait(20, background=(slice(0, 12), slice(8, 88)))
    donor[1][12:30, 16:80] = IDS["head_covering"]
    _, truth, _ = mixed(monkeypatch, "head_covering", donor)
    assert (truth == IDS["head_covering"]).sum() > 600
    assert (truth[:8, 24:72] == IDS["background"]).all()


def test_a_scrap_of_a_hat_is_not_pasted(monkeypatch: pytest.MonkeyPatch) -> None:
    donor = portrait(20, head_covering=(slice(0, 4), slice(30, 60)))
    _, truth, before = mixed(monkeypatch, "head_covering", donor)
    np.testing.assert_array_equal(truth, before)


def test_a_necklace_hides_no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    donor = portrait(20, necklace=(slice(84, 90), slice(0, 96)))
    _, truth, before = mixed(monkeypatch, "necklace", donor)
    assert (truth == IDS["necklace"]).sum() > 200
    assert ((truth == IDS["background"]) == (before == IDS["background"])).all()


def test_donors_of_another_size_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    image, labels = portrait(20, glasses=(slice(30, 42), slice(20, 76)))
    double = image.repeat(2, 0).repeat(2, 1), labels.repeat(2, 0).repeat(2, 1)
    _, truth, _ = mixed(monkeypatch, "glasses", double)
    assert (truth == IDS["glasses"]).sum() == pytest.approx(12 * 56, rel=0.2)


def test_textures_change_the_picture_where_the_class_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_paste, "PASTED_THINGS", ())
    monkeypatch.setattr(copy_paste, "RETEXTURE_PROBABILITIES", {"clothing": 1.0})
    image, labels = portrait(100, clothing=(slice(70, 96), slice(8, 88)))
    wall = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    mix = CopyPaste([image, wall], [labels, np.zeros((SIDE, SIDE), np.uint8)])
    smooth, rough = 0, 0
    for seed in range(20):
        painted, truth = mix(image, labels, np.random.default_rng(seed))
        np.testing.assert_array_equal(truth, labels)
        np.testing.assert_array_equal(painted[:66], image[:66])
        assert (painted[74:] != image[74:]).any()
        patterned = painted[74:, 12:84].std((0, 1)).max() > 10
        smooth, rough = smooth + (not patterned), rough + patterned
    assert smooth > 3
    assert rough > 3


def test_every_class_that_mixing_names_exists() -> None:
    names = {thing.name for thing in PASTED_THINGS} | set(copy_paste.RETEXTURE_PROBABILITIES)
    covered = {name for thing in PASTED_THINGS for name in thing.covers}
    assert names | covered | set(TEXTURED_CLASSES) <= set(CLASSES)
