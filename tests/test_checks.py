from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from facereg.checks import (
    BATCH_FACES,
    MAX_FACES,
    check_detections,
    check_picture,
    check_regions,
    describe_component,
    detect_faces,
    largest,
    segment_faces,
    wrap_errors,
)
from facereg.components import Segmenter
from facereg.errors import PluginError
from facereg.testing import ScriptedDetector, noise
from facereg.types import Box, Detection, Frame, RegionMasks

BOX = Box(10, 10, 30, 30)
POINTS = np.full((5, 2), 15, np.float32)
NAN_POINTS = np.full((5, 2), np.nan, np.float32)
LABELS = np.ones((20, 20), np.uint8)


@pytest.fixture
def frame() -> Frame:
    return Frame(noise(50, 80), 57)


def test_a_sound_answer_passes_as_it_is(frame: Frame) -> None:
    found = [Detection(BOX, 0.5), Detection(BOX, 1.0, POINTS, track=3)]

    assert check_detections(found, frame, "detector mine") == tuple(found)
    assert check_detections((), frame, "detector mine") == ()


def test_a_box_over_the_edge_stays_and_one_outside_goes(frame: Frame) -> None:
    over, outside = Detection(Box(-5, 40, 20, 60), 0.5), Detection(Box(80, 0, 99, 20), 0.5)

    assert check_detections([over, outside], frame, "detector mine") == (over,)


def test_numbers_of_numpy_become_plain(frame: Frame) -> None:
    box = Box(*np.array([1, 2, 3, 4]))
    (one,) = check_detections([Detection(box, np.float32(1.0000001))], frame, "detector mine")

    assert one.box == (1, 2, 3, 4) and all(type(side) is int for side in one.box)
    assert type(one.score) is float and one.score == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "answered None, not a list or tuple"),
        ((d for d in ()), "answered generator"),
        ("faces", "answered str 'faces'"),
        (np.zeros((2, 5)), "answered an array (2, 5) float64"),
        ([(1, 2, 3, 4)], "face 0: tuple (1, 2, 3, 4) is not a facereg.Detection"),
        ([Detection(BOX, 1.0), None], "face 1: None is not a facereg.Detection"),
        ([Detection(Box(30, 10, 10, 30), 1.0)], "box (30, 10, 10, 30) is empty or inverted"),
        ([Detection(Box(10, 10, 10, 30), 1.0)], "is empty or inverted"),
        ([Detection(Box(1.5, 2, 3, 4), 1.0)], "is not four whole numbers"),  # type: ignore[arg-type]
        ([Detection([1, 2, 3, 4], 1.0)], "is not four whole numbers"),  # type: ignore[arg-type]
        ([Detection(BOX, float("nan"))], "the score is nan; it must be from 0 to 1"),
        ([Detection(BOX, 99.0)], "the score is 99; it must be from 0 to 1"),
        ([Detection(BOX, -0.5)], "the score is -0.5"),
        ([Detection(BOX, "high")], "the score is str 'high', not a number"),  # type: ignore[arg-type]
        ([Detection(BOX, 1.0, POINTS[:4])], "an array (4, 2) float32, not (5, 2) float32"),
        ([Detection(BOX, 1.0, POINTS.astype(float))], "an array (5, 2) float64"),  # type: ignore[arg-type]
        ([Detection(BOX, 1.0, NAN_POINTS)], "landmarks are not finite"),
        ([Detection(BOX, 1.0, track="me")], "track is 'me'"),  # type: ignore[arg-type]
        ([Detection(BOX, 1.0, track=10**25)], "track is 10000000000000000000000000, not None or"),
        ([Detection(Box(0, 0, 10**25, 10**25), 1.0)], "more than 100000 pixels beyond the frame"),
        ([Detection(Box(-(10**6), 0, 9, 9), 1.0)], "pixels beyond the frame of 80x50"),
    ],
)
def test_a_wrong_detection_names_plugin_and_frame(frame: Frame, answer: Any, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)) as error:
        check_detections(answer, frame, "detector mine")
    assert str(error.value).startswith("detector mine, frame 57")
    assert "\n" not in str(error.value)


def test_sound_regions_pass(frame: Frame) -> None:
    regions, empty = RegionMasks(BOX, LABELS), RegionMasks(Box(80, 5, 80, 9), LABELS[:4, :0])

    assert [r.box for r in check_regions([regions, empty], frame, 2, "x")] == [BOX, empty.box]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], "answered 0 regions for 1 faces; one each"),
        ([RegionMasks(BOX, LABELS)] * 2, "answered 2 regions for 1 faces"),
        ([LABELS], "face 0: an array (20, 20) uint8 is not a facereg.RegionMasks"),
        ([RegionMasks(Box(70, 10, 90, 30), LABELS)], "reaches out of the frame of 80x50"),
        ([RegionMasks(Box(-1, 10, 19, 30), LABELS)], "reaches out of the frame"),
        ([RegionMasks(BOX, LABELS[:5])], "an array (5, 20) uint8, not (20, 20) uint8"),
        ([RegionMasks(BOX, LABELS.astype(int))], "an array (20, 20) int64"),  # type: ignore[arg-type]
        ([RegionMasks(BOX, LABELS * 21)], "labels hold 21; the ids of classes are 0 to 20"),
    ],
)
def test_wrong_regions_name_plugin_and_frame(frame: Frame, answer: Any, message: str) -> None:
    with pytest.raises(PluginError, match=re.escape(message)) as error:
        check_regions(answer, frame, 1, "segmenter mine")
    assert str(error.value).startswith("segmenter mine, frame 57")


def test_a_component_is_named_with_where_it_is_from() -> None:
    class Mine(ScriptedDetector):
        name = "mine"

    assert describe_component("detector", ScriptedDetector({})) == "detector scripted"
    assert describe_component("detector", Mine({})) == f"detector mine ({__file__})"


def test_a_read_only_picture_is_copied(frame: Frame) -> None:
    picture = check_picture(frame.image, frame, "view mine")

    assert picture.flags.writeable and picture is not frame.image
    assert check_picture(picture, frame, "view mine") is picture
    with pytest.raises(PluginError, match="view mine, frame 57: drew None"):
        check_picture(None, frame, "view mine")


def test_the_largest_faces_are_kept_in_a_fixed_order() -> None:
    found = [Detection(Box(x, 0, x + side, side), 0.9) for x, side in ((9, 4), (5, 4), (0, 8))]
    assert [d.box.x0 for d in largest(found, 2)] == [0, 5]
    assert largest(found, None) == tuple(found)


def crowd(count: int) -> ScriptedDetector:
    places = [Box(i % 70, i % 40, i % 70 + 5 + i % 3, i % 40 + 5) for i in range(count)]
    return ScriptedDetector({57: [Detection(box, 0.9) for box in places]})


def test_a_crowd_that_cannot_be_handled_is_an_error_with_the_cure(frame: Frame) -> None:
    assert len(detect_faces(crowd(MAX_FACES), frame)) == MAX_FACES
    with pytest.raises(PluginError, match=r"frame 57: found 2000 faces, .*--max-faces 1000"):
        detect_faces(crowd(2000), frame)
    assert len(detect_faces(crowd(2000), frame, max_faces=3)) == 3


def test_a_crowd_is_parsed_in_batches_in_order(frame: Frame) -> None:
    class Drawn(Segmenter):
        name = "drawn"
        batches: ClassVar[list[int]] = []

        def segment(self, frame: Frame, detections: Sequence[Detection]) -> list[RegionMasks]:
            self.batches.append(len(detections))
            return [
                RegionMasks(d.box, np.ones((d.box.height, d.box.width), np.uint8))
                for d in detections
            ]

    found = detect_faces(crowd(150), frame)
    regions = segment_faces(Drawn(), frame, found)
    assert [one.box for one in regions] == [one.box for one in found]
    assert Drawn.batches == [BATCH_FACES, BATCH_FACES, 150 - 2 * BATCH_FACES]


def test_the_numbers_of_a_detector_that_does_not_follow_faces_are_dropped(frame: Frame) -> None:
    detector = ScriptedDetector({57: [Detection(BOX, 0.9, track=4)]})
    assert detect_faces(detector, frame)[0].track is None
    detector.tracks = True  # type: ignore[misc]
    assert detect_faces(detector, frame)[0].track == 4


def test_a_long_message_of_somebody_else_is_cut() -> None:
    with pytest.raises(PluginError) as error, wrap_errors("detector x", None, PluginError):
        raise ValueError("no\n" * 1000)
    assert len(str(error.value)) < 600
    assert "\n" not in str(error.value)
