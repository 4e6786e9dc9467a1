from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from facereg.errors import PluginError, UsageError
from facereg.plugins.haar import HaarDetector
from facereg.registry.registry import Registry
from facereg.types import Box, Frame, Image
from tests import clips


class Blind:
    """Stands in for a cascade that never finds anything."""

    def detectMultiScale3(self, *_: Any, **__: Any) -> tuple[Any, Any, Any]:  # noqa: N802
        return (), (), ()


def boxes(detector: HaarDetector, image: Image) -> list[Box]:
    return [face.box for face in detector.detect(Frame(image.copy()))]


@pytest.mark.slow
def test_a_face_is_found_once() -> None:
    (face,) = HaarDetector().detect(Frame(clips.astronaut()))

    assert face.box.iou(Box(*clips.FACE)) > 0.6


def test_a_large_frame_has_its_faces_in_frame_pixels() -> None:
    image = cv2.resize(clips.astronaut(), None, fx=3, fy=3)

    face, *_ = HaarDetector(min_face=200).detect(Frame(np.asarray(image, np.uint8)))

    assert face.box.iou(Box(*(3 * side for side in clips.FACE))) > 0.6
    assert 0.5 < face.score <= 1
    assert face.landmarks is None


def test_both_faces_of_a_picture_are_found() -> None:
    found = boxes(HaarDetector(), clips.two_faces(1)[0])

    assert sorted(box.x0 > 256 for box in found) == [False, True]


@pytest.mark.slow
def test_profiles_are_found_in_both_directions() -> None:
    detector = HaarDetector(neighbors=2)
    detector._front = Blind()

    (one,) = boxes(detector, clips.astronaut())
    (other,) = boxes(detector, clips.astronaut()[:, ::-1])

    assert clips.FACE[0] < (one.x0 + one.x1) / 2 < clips.FACE[2]
    assert clips.FACE[1] < (one.y0 + one.y1) / 2 < clips.FACE[3]
    assert one.iou(Box(512 - other.x1, other.y0, 512 - other.x0, other.y1)) > 0.9


@pytest.mark.slow
def test_a_cup_of_coffee_has_no_face() -> None:
    assert not any(boxes(HaarDetector(), image) for image in clips.no_face(5))


def test_smaller_faces_than_wanted_are_not_looked_for() -> None:
    assert not boxes(HaarDetector(min_face=250), clips.astronaut())


@pytest.mark.slow
def test_more_neighbors_find_less() -> None:
    assert not boxes(HaarDetector(neighbors=200), clips.astronaut())


@pytest.mark.parametrize("spec", ["haar:neighbors=0", "haar:min_face=-3"])
def test_an_option_out_of_range_is_told(spec: str) -> None:
    with pytest.raises(UsageError, match=spec.partition(":")[2]):
        Registry().build("detector", spec)


def test_an_opencv_without_cascades_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")  # as OpenCV 5 has it

    with pytest.raises(PluginError, match=r"opencv-python>=4\.10,<5"):
        HaarDetector()
