"""From a frame to its faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from facereg import Box, Detection, Detector, Frame, PluginError, RegionMasks, Segmenter
from facereg.pipeline import parser as parser_module
from facereg.pipeline.parser import Parser
from facereg.pipeline.settings import Settings
from facereg.tracking.tracker import Tracker
from tests.tracking.scene import frame, mask


class Two(Detector):
    """Finds the same two faces in every frame."""

    name = "two"

    def __init__(self, fail_at: int = -1) -> None:
        self.asked: list[int] = []
        self._fail_at = fail_at

    def detect(self, frame: Frame) -> Sequence[Detection]:
        self.asked.append(frame.index)
        if frame.index == self._fail_at:
            raise ValueError("out of memory")
        return [Detection(Box(20, 80, 80, 140), 0.99), Detection(Box(200, 80, 270, 150), 0.99)]


class Remembers(Segmenter):
    """Draws a face, and counts how often it was asked about a track."""

    name = "remembers"

    def __init__(self, refuses: bool = False) -> None:
        self.counts: dict[str, int] = {}
        self.closed = 0
        self._refuses = refuses

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        for one in detections:
            self.counts[str(one.track)] = self.counts.get(str(one.track), 0) + 1
        return [mask(d.box.x0, d.box.y0, d.box.width) for d in detections]

    def state(self) -> Mapping[str, Any]:
        return {"counts": dict(self.counts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        if self._refuses:
            self.counts["broken"] = 1
            self._refuses = False
            raise KeyError("counts")
        self.counts = dict(state["counts"])

    def close(self) -> None:
        self.closed += 1


def build(
    detector: Detector, segmenter: Segmenter | None, *, follows: bool = True, **settings: Any
) -> Parser:
    chosen = Settings(**settings)
    tracker = Tracker(chosen.detect_every) if follows else None
    return Parser.build(detector, segmenter, tracker, chosen)


def ids(parser: Parser, indices: Sequence[int]) -> list[list[int]]:
    return [[face.id for face in parser.parse(frame(i)).faces] for i in indices]


def test_faces_are_followed_and_the_detector_is_asked_now_and_then() -> None:
    detector = Two()
    parser = build(detector, Remembers(), detect_every=3)
    assert ids(parser, range(6)) == [[1, 2]] * 6
    parser.close()
    assert detector.asked == [0, 3]


def test_pictures_that_have_nothing_to_do_with_one_another_are_looked_at_one_by_one() -> None:
    detector = Two()
    parser = build(detector, Remembers(), follows=False)
    assert ids(parser, range(3)) == [[1, 2]] * 3
    parser.close()
    assert detector.asked == [0, 1, 2]


def test_only_the_largest_faces_are_parsed() -> None:
    segmenter = Remembers()
    parser = build(Two(), segmenter, max_faces=1)
    (face,) = parser.parse(frame(0)).faces
    assert face.detection.box.width == 70
    parser.close()
    assert segmenter.counts == {"1": 1}


def test_without_a_segmenter_faces_have_no_regions() -> None:
    parser = build(Two(), None)
    assert [face.regions for face in parser.parse(frame(0)).faces] == [None, None]
    parser.close()


def test_a_frame_that_fails_ends_the_run_or_is_skipped() -> None:
    for on_error in ("stop", "skip"):
        parser = build(Two(fail_at=0), Remembers(), on_error=on_error)
        if on_error == "stop":
            with pytest.raises(PluginError, match="frame 0: ValueError: out of memory"):
                parser.parse(frame(0))
        else:
            assert ids(parser, [0, 1]) == [[], [1, 2]]
            assert parser.skipped == 1
        parser.close()


def test_skipped_frames_are_logged_until_there_are_many(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parser_module, "MAX_LOGGED_SKIPS", 2)

    class Never(Two):
        def detect(self, frame: Frame) -> Sequence[Detection]:
            raise ValueError("no")

    parser = build(Never(), None, on_error="skip")
    ids(parser, range(5))
    parser.close()
    assert parser.skipped == 5
    assert len(caplog.records) == 2
    assert caplog.records[1].getMessage().endswith("; further ones are only counted")


def test_another_parser_continues_where_one_ended() -> None:
    one, other = (build(Two(), Remembers(), detect_every=3) for _ in range(2))
    ids(one, range(4))
    state = one.state()
    assert state is not None
    other.restore(state)
    assert ids(one, range(4, 9)) == ids(other, range(4, 9))
    assert one.state() is not None
    assert str(one.state()) == str(other.state())
    one.close()
    other.close()


def test_a_parser_that_cannot_take_up_a_state_is_as_it_was() -> None:
    one, segmenter = build(Two(), Remembers()), Remembers(refuses=True)
    other = build(Two(), segmenter)
    ids(one, range(2))
    before, state = str(other.state()), one.state()
    assert state is not None
    with pytest.raises(PluginError, match="segmenter cannot go on from its stored state: KeyError"):
        other.restore(state)
    assert str(other.state()) == before
    with pytest.raises(PluginError, match="the stored state is one of tracker"):
        other.restore({"tracker": {}})
    one.close()
    other.close()


def test_a_segmenter_that_cannot_tell_its_state_leaves_none() -> None:
    class Silent(Remembers):
        def state(self) -> None:  # type: ignore[override]
            return None

    parser = build(Two(), Silent())
    assert parser.state() is None
    parser.close()


def test_a_detector_that_cannot_be_closed_keeps_no_segmenter_open() -> None:
    class Stuck(Two):
        def close(self) -> None:
            raise OSError("busy")

    segmenter = Remembers()
    with pytest.raises(PluginError, match=r"detector two \(.*\): OSError: busy"):
        build(Stuck(), segmenter).close()
    assert segmenter.closed == 1


def test_time_is_counted_by_stage() -> None:
    parser = build(Two(), Remembers())
    ids(parser, range(2))
    parser.close()
    assert set(parser.stages) == {"detect", "segment", "track", "wait"}


def test_regions_of_the_wrong_size_are_the_segmenters_fault() -> None:
    class Wrong(Remembers):
        def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
            return [RegionMasks(Box(0, 0, 4, 4), np.zeros((2, 2), np.uint8)) for _ in detections]

    parser = build(Two(), Wrong())
    with pytest.raises(PluginError, match=r"segmenter remembers \(.*\), frame 0, face 0: labels"):
        parser.parse(frame(0))
    parser.close()
