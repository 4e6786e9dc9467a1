from __future__ import annotations

import cv2
import numpy as np
import pytest

from facereg.regions import IDS
from facereg.training.occluders import draw_hand, draw_medical_mask, draw_object, face_shape
from tests.training.faces import SIDE, SKIN, drawn_face


def test_a_face_is_measured_in_its_labels() -> None:
    shape = face_shape(drawn_face()[1])
    assert shape.right_eye == pytest.approx([50, 52], abs=1)
    assert shape.left_eye == pytest.approx([78, 52], abs=1)
    assert shape.nose == pytest.approx([64, 68], abs=1)
    assert shape.mouth == pytest.approx([64, 88], abs=2)
    assert shape.size == pytest.approx(np.sqrt(shape.face.sum()))


def test_what_is_not_labelled_is_not_there() -> None:
    labels = drawn_face()[1]
    labels[labels == IDS["left_eye"]] = IDS["skin"]
    assert face_shape(labels).left_eye is None
    assert face_shape(np.zeros((64, 64), np.uint8)).size == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_hand_is_in_one_piece_and_of_skin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    skin = np.array(SKIN, np.float64)
    pixels, cover = draw_hand((256, 256), np.array([128.0, 128.0]), 50, skin, rng)
    hand = (cover > 0.5).astype(np.uint8)
    assert 0.04 < hand.mean() < 0.5
    assert cv2.connectedComponents(hand)[0] == 2  # the background, and the hand
    tone = pixels[hand > 0].mean(0)
    np.testing.assert_allclose(tone / tone.sum(), skin / skin.sum(), atol=0.06)


@pytest.mark.parametrize("seed", range(12))
def test_an_object_is_where_it_was_put(seed: int) -> None:
    rng = np.random.default_rng(seed)
    surface = np.full((128, 128, 3), 200, np.uint8)
    _, cover = draw_object((128, 128), np.array([64.0, 64.0]), 40, surface, rng)
    assert cover.min() == 0
    assert cover.max() == 1
    assert (cover[44:84, 44:84] > 0.5).any()


@pytest.mark.parametrize("seed", range(8))
def test_a_drawn_mask_covers_the_mouth_and_no_eye(seed: int) -> None:
    image, labels = drawn_face()
    shape = face_shape(labels)
    surface = np.full((SIDE, SIDE, 3), 200, np.uint8)
    drawn = draw_medical_mask(image, shape, surface, np.random.default_rng(seed))
    assert drawn is not None
    covered = drawn[1] > 0.5
    assert covered[labels == IDS["lower_lip"]].mean() > 0.9
    assert not covered[np.isin(labels, [IDS["left_eye"], IDS["right_eye"]])].any()


def test_a_face_without_a_mouth_gets_no_drawn_mask() -> None:
    image, labels = drawn_face()
    labels[np.isin(labels, [IDS["upper_lip"], IDS["lower_lip"]])] = IDS["skin"]
    surface = np.zeros((SIDE, SIDE, 3), np.uint8)
    shape = face_shape(labels)
    assert draw_medical_mask(image, shape, surface, np.random.default_rng(0)) is None
