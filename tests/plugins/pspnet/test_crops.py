from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from facereg import Box, Detection
from facereg.plugins.pspnet.crops import (
    brighten,
    close_holes,
    crop_matrix,
    cut,
    paste_labels,
    remove_overlaps,
    roll,
)
from tests import clips

# Right eye, left eye, nose, right and left mouth corner of an upright face.
UPRIGHT = np.array([[40, 40], [60, 40], [50, 52], [42, 65], [58, 65]], np.float32)


def turned(degrees: float) -> np.ndarray:
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return ((UPRIGHT - 50) @ matrix.T + 50).astype(np.float32)


@pytest.mark.parametrize("degrees", [-170, -45, 0, 10, 90])
def test_roll_measures_how_a_face_leans(degrees: float) -> None:
    assert math.degrees(roll(turned(degrees))) == pytest.approx(degrees, abs=0.1)


def test_small_holes_within_a_head_are_closed_and_nothing_else_is() -> None:
    logits = np.zeros((3, 96, 96), np.float32)
    logits[0] = 2.0
    logits[1, 20:80, 20:80], logits[2, 20:80, 20:80] = 5.0, 1.0
    logits[0, 40:43, 40:43] = 9.0  # a hole in the skin
    logits[2, 40:43, 40:43] = 6.0  # where the second best is class 2
    logits[0, 60:75, 40:55] = 9.0  # too large for one: what is seen beside an arm
    logits[0, 20:24, 30:33] = 9.0  # open to the outside
    before = logits.argmax(0)
    after = close_holes(logits).argmax(0)
    assert (after[40:43, 40:43] == 2).all()
    after[40:43, 40:43] = 0
    np.testing.assert_array_equal(after, before)


def test_a_dark_face_is_brightened_and_one_in_fair_light_is_not() -> None:
    face = clips.astronaut()[0:224, 110:334]
    assert brighten(face) is face
    dark = np.asarray(face // 6, np.uint8)
    dark[:20] = 255  # a lit window behind
    lit = brighten(dark)
    middle = (slice(56, 168), slice(56, 168))
    assert 150 < np.percentile(cv2.cvtColor(lit[middle], cv2.COLOR_BGR2GRAY), 90) < 170
    colours = face[middle].astype(float) * lit[middle].mean() / face[middle].mean()
    assert np.abs(lit[middle] - colours).mean() < 4
    nothing = np.zeros((96, 96, 3), np.uint8)
    np.testing.assert_array_equal(brighten(nothing), nothing)


def test_a_profile_is_levelled_by_its_mouth() -> None:
    profile = UPRIGHT.copy()
    profile[1] = profile[0] + (1, 3)  # the eyes all but on one another, their line means nothing
    profile[4] = profile[3]
    assert abs(math.degrees(roll(profile))) < 10


def test_the_crop_of_a_leaning_face_is_upright() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    marks = turned(30)
    for x, y in marks[:2]:
        cv2.circle(image, (round(float(x)), round(float(y))), 2, (255, 255, 255), -1)
    crop = cut(image, crop_matrix(Detection(Box(30, 30, 70, 75), 1.0, marks), 1.7, 96), 96)
    rows, columns = np.nonzero(crop[..., 0] > 128)
    left, right = rows[columns < 48], rows[columns >= 48]
    assert abs(left.mean() - right.mean()) < 1.5


def test_paste_brings_a_map_back_to_where_it_was_cut() -> None:
    height, width, size = 200, 260, 96
    truth = np.zeros((height, width), np.uint8)
    cv2.ellipse(truth, (130, 95), (30, 40), 0, 0, 360, 1, -1)
    cv2.ellipse(truth, (118, 85), (6, 4), 0, 0, 360, 5, -1)
    detection = Detection(Box(95, 50, 165, 140), 1.0, turned(20) + np.float32([80, 45]))
    matrix = crop_matrix(detection, 1.7, size * 4)
    planes = np.stack([np.where(truth == label, 8.0, -8.0) for label in range(21)])
    small = cv2.warpAffine  # each plane is cut as the image would be, then averaged to stride 4
    logits = np.stack(
        [
            cv2.resize(
                small(p, matrix, (size * 4,) * 2), (size, size), interpolation=cv2.INTER_AREA
            )
            for p in planes
        ]
    ).astype(np.float32)
    box, labels = paste_labels(logits, matrix, size * 4, (height, width))
    whole = np.zeros_like(truth)
    whole[box.slices] = labels
    for label in (1, 5):
        both = ((whole == label) & (truth == label)).sum()
        assert 2 * both / ((whole == label).sum() + (truth == label).sum()) > 0.93


def test_the_labels_box_lies_in_the_frame_and_beyond_the_crop_is_background() -> None:
    logits = np.full((21, 24, 24), -5.0, np.float32)
    logits[1] = 5.0  # skin everywhere in the crop
    detection = Detection(Box(-20, -10, 30, 50), 1.0, turned(45) - np.float32([45, 30]))
    box, labels = paste_labels(logits, crop_matrix(detection, 1.7, 96), 96, (60, 80))
    assert box.clip(80, 60) == box
    assert labels.shape == (box.height, box.width)
    assert labels[0, 0] == 1
    assert labels[-1, -1] == 0  # the corner of the upright box around a crop turned by 45 degrees


def test_a_large_face_is_averaged_not_sampled() -> None:
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = cut(stripes, crop_matrix(Detection(Box(300, 300, 1300, 1300), 1.0), 1.5, 96), 96)
    assert np.abs(crop[20:-20, 20:-20].astype(int) - 127).max() < 12


@pytest.mark.parametrize("box", [Box(0, 0, 1, 1), Box(-50, -50, 5, 5), Box(0, 0, 5000, 4000)])
def test_any_box_gives_a_crop(box: Box) -> None:
    image = clips.astronaut()
    matrix = crop_matrix(Detection(box, 1.0), 1.7, 96)
    assert cut(image, matrix, 96).shape == (96, 96, 3)
    covered, labels = paste_labels(np.zeros((21, 24, 24), np.float32), matrix, 96, (512, 512))
    assert labels.shape == (covered.height, covered.width)


def test_a_neighbour_in_the_crop_is_left_to_his_own() -> None:
    mine, theirs = Detection(Box(0, 0, 40, 40), 1.0), Detection(Box(40, 0, 80, 40), 1.0)
    boxes = [Box(0, 0, 70, 50), Box(20, 0, 100, 50)]
    maps = [np.ones((50, 70), np.uint8), np.ones((50, 80), np.uint8)]
    remove_overlaps([mine, theirs], boxes, maps)
    assert maps[0][20, 10] == 1
    assert maps[0][20, 60] == 0
    assert maps[1][20, 5] == 0
    assert maps[1][20, 50] == 1


@pytest.mark.parametrize("degrees", [0, 33])
def test_leaving_out_hopeless_classes_changes_next_to_no_label(degrees: float) -> None:
    """The shipped model's logits on a real face, decided with and without the short cut."""
    from facereg.models import find_model
    from facereg.plugins.pspnet import crops
    from facereg.plugins.pspnet.engines import Compute, build_engine

    marks = turned(degrees) + np.float32([clips.FACE[0], clips.FACE[1] + 10])
    matrix = crop_matrix(Detection(Box(*clips.FACE), 1.0, marks), 1.7, 384)
    engine = build_engine(find_model("base"), 384, Compute())
    logits = engine.logits(cut(clips.astronaut(), matrix, 384)[None])[0]
    _, quick = paste_labels(logits, matrix, 384, (512, 512))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crops, "MAX_LOGIT_GAP", 1e9)
        _, full = paste_labels(logits, matrix, 384, (512, 512))
    assert len(np.unique(full)) > 6
    assert (quick != full).mean() < 2e-4
