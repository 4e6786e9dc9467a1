"""facereg's contract, and what this detector promises beyond it."""

from __future__ import annotations

import facereg
import numpy as np
import pytest
import skimage.data
from facereg.testing import DetectorContract

from facereg_yolo_style import YoloStyleDetector

ASTRONAUT = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
FACE = facereg.Box(176, 66, 270, 186)


class TestYoloStyleDetector(DetectorContract):
    component = YoloStyleDetector
    picture = ASTRONAUT


def test_the_astronauts_face_is_found_once() -> None:
    (face,) = YoloStyleDetector().detect(facereg.Frame(ASTRONAUT.copy()))

    assert face.box.iou(FACE) > 0.6


def test_a_cup_of_coffee_has_no_face() -> None:
    coffee = np.ascontiguousarray(skimage.data.coffee()[..., ::-1])

    assert not YoloStyleDetector().detect(facereg.Frame(coffee))


@pytest.mark.parametrize("option", ["min_face", "score", "overlap"])
def test_an_option_out_of_range_is_told(option: str) -> None:
    with pytest.raises(facereg.UsageError, match=f"{option}=-1"):
        YoloStyleDetector(**{option: -1})
