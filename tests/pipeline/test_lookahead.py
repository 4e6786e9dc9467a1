from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from facereg.components import Detector
from facereg.errors import PluginError
from facereg.pipeline import lookahead
from facereg.pipeline.lookahead import DetectAhead
from facereg.types import Box, Detection, Frame

IMAGE = np.zeros((8, 8, 3), np.uint8)


def frame(index: int) -> Frame:
    return Frame(IMAGE, index, index / 10)


class Numbering(Detector):
    """Finds a face whose box tells which frame it was found in."""

    name = "numbering"

    def __init__(self, *, fails_at: int = -1) -> None:
        self.calls: list[tuple[int, str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.closed = 0
        self._fails_at = fails_at

    def detect(self, frame: Frame) -> Sequence[Detection]:
        self.started.set()
        self.gate.wait(60)
        self.calls.append((frame.index, threading.current_thread().name))
        if frame.index == self._fails_at:
            raise ValueError("it failed")
        return (Detection(Box(0, 0, frame.index + 1, 8), 1.0),)

    def close(self) -> None:
        self.closed += 1


def test_a_frame_is_looked_at_once_whether_it_was_prefetched_or_not() -> None:
    detector = Numbering()
    ahead = DetectAhead(detector)
    ahead.prefetch(frame(2))
    ahead.prefetch(frame(2))
    assert [ahead.result(frame(i))[0].box.x1 for i in (1, 2, 3)] == [2, 3, 4]
    ahead.close()
    assert sorted(index for index, _ in detector.calls) == [1, 2, 3]
    assert {name for _, name in detector.calls} == {"facereg-detector"}
    assert detector.closed == 1


def test_prefetching_does_not_wait_for_the_detector() -> None:
    detector = Numbering()
    detector.gate.clear()
    ahead = DetectAhead(detector)
    ahead.prefetch(frame(5))
    assert detector.calls == []
    detector.gate.set()
    assert ahead.result(frame(5))[0].box.x1 == 6
    ahead.close()


def test_a_failure_comes_with_its_own_frame_only() -> None:
    ahead = DetectAhead(Numbering(fails_at=4))
    ahead.prefetch(frame(4))
    assert ahead.result(frame(3))
    with pytest.raises(PluginError, match=r"numbering \(.*\), frame 4: ValueError: it failed"):
        ahead.result(frame(4))
    ahead.prefetch(frame(4))  # in vain, and nobody asks
    assert ahead.result(frame(5))
    ahead.close()


def test_what_was_prefetched_in_vain_is_dropped() -> None:
    detector = Numbering()
    detector.gate.clear()
    ahead = DetectAhead(detector)
    for index in (1, 2, 3):
        ahead.prefetch(frame(index))
    assert detector.started.wait(60)  # 1 is under way, the others wait
    threading.Timer(0.05, detector.gate.set).start()
    assert ahead.result(frame(9))[0].box.x1 == 10
    ahead.close()
    assert [index for index, _ in detector.calls] == [1, 9]


def test_a_detector_that_was_never_asked_is_closed_without_a_thread() -> None:
    detector = Numbering()
    DetectAhead(detector).close()
    assert (detector.calls, detector.closed) == ([], 1)


def test_the_time_of_both_threads_is_counted() -> None:
    caller = lookahead.StageTimes()
    ahead = DetectAhead(Numbering(), caller_times=caller)
    ahead.result(frame(0))
    ahead.close()
    assert set(ahead.times.milliseconds) == {"detect"}
    assert set(caller.milliseconds) == {"wait"}


def test_a_slow_detector_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lookahead, "SLOW_SECONDS", -1.0)
    ahead = DetectAhead(Numbering())
    for index in range(3):
        ahead.result(frame(index))
    ahead.close()
    told = [r.getMessage() for r in caplog.records if " took " in r.getMessage()]
    assert told == [f"detector numbering ({__file__}) took 0 s for frame 0"]


def test_a_frame_can_be_looked_at_before_its_turn() -> None:
    detector = Numbering(fails_at=6)
    ahead = DetectAhead(detector)
    assert ahead.peek(frame(5))[0].box.x1 == 6
    assert ahead.peek(frame(6)) == ()
    assert [ahead.result(frame(i))[0].box.x1 for i in (2, 5)] == [3, 6]
    with pytest.raises(PluginError, match="frame 6"):
        ahead.result(frame(6))
    ahead.close()
    assert [index for index, _ in detector.calls] == [5, 6, 2]
