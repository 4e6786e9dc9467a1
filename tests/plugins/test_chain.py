from __future__ import annotations

import numpy as np
import pytest

from facereg.checks import check_detections
from facereg.components import Detector
from facereg.errors import PluginError, UsageError
from facereg.plugins.chain import ChainDetector
from facereg.registry.registry import Registry
from facereg.testing import ScriptedDetector, noise
from facereg.types import Box, Detection, Frame
from tests import clips

LANDMARKS = np.full((5, 2), 20, np.float32)


def chain(*answers: list[Detection] | Exception) -> ChainDetector:
    return ChainDetector([ScriptedDetector({0: answer}) for answer in answers])


def frame() -> Frame:
    return Frame(noise(100, 200))


@pytest.mark.slow
def test_two_real_detectors_give_each_face_once() -> None:
    detector: Detector = Registry().build("detector", "haar+mtcnn")

    for image in clips.two_faces(3):
        found = detector.detect(Frame(image.copy()))

        assert sorted(face.box.x0 > 256 for face in found) == [False, True]
        assert all(face.landmarks is not None for face in found)  # mtcnn's answers
    assert detector.name == "haar+mtcnn"


@pytest.mark.slow
def test_each_part_has_its_own_options() -> None:
    registry = Registry()
    picture = Frame(clips.astronaut())

    assert not registry.build("detector", "haar:min_face=250+mtcnn:min_face=250").detect(picture)
    assert registry.build("detector", "haar:min_face=250+mtcnn:min_face=60").detect(picture)
    assert registry.build("detector", "haar:min_face=60+mtcnn:min_face=250").detect(picture)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("haar+mtnc", "unknown detector 'mtnc': did you mean mtcnn"),
        ("har+mtcnn", "unknown detector 'har': did you mean haar"),
        ("haar+", "unknown detector ''"),
        ("haar:neighbours=3+mtcnn", "haar: no option 'neighbours': did you mean neighbors"),
        ("haar+mtcnn:score=x", "mtcnn: score=x: must be a number"),
    ],
)
def test_a_mistake_in_a_part_is_told(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        Registry().build("detector", spec)


def test_what_only_one_finds_is_kept() -> None:
    left, right = Detection(Box(0, 0, 40, 40), 0.9), Detection(Box(100, 0, 140, 40), 0.5)

    assert set(chain([left], [right]).detect(frame())) == {left, right}


def test_the_better_score_wins() -> None:
    weak, strong = Detection(Box(0, 0, 40, 40), 0.6), Detection(Box(4, 4, 44, 44), 0.9)

    assert chain([weak], [strong]).detect(frame()) == [strong]


def test_landmarks_win_over_a_score() -> None:
    bare = Detection(Box(0, 0, 40, 40), 0.99)
    marked = Detection(Box(4, 4, 44, 44), 0.7, LANDMARKS)

    assert chain([bare], [marked]).detect(frame()) == [marked]


def test_a_box_inside_another_is_the_same_face() -> None:
    large, small = Detection(Box(0, 0, 80, 80), 0.9), Detection(Box(20, 20, 50, 50), 0.8)

    assert chain([large], [small]).detect(frame()) == [large]


def test_the_part_that_fails_is_named() -> None:
    with pytest.raises(PluginError, match="detector scripted, frame 0: ZeroDivisionError: oh"):
        chain([], ZeroDivisionError("oh")).detect(frame())
    with pytest.raises(PluginError, match=r"frame 0, face 0: the score is nan"):
        chain([Detection(Box(0, 0, 9, 9), float("nan"))]).detect(frame())


def test_every_part_is_closed_even_if_one_fails() -> None:
    class Broken(ScriptedDetector):
        def close(self) -> None:
            raise OSError("stuck")

    last = ScriptedDetector({})
    with pytest.raises(OSError, match="stuck"):
        ChainDetector([Broken({}), last]).close()
    assert last.closed


def test_nothing_found_is_nothing() -> None:
    assert check_detections(chain([], []).detect(frame()), frame(), "x") == ()
