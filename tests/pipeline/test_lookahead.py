from __future__ import annotations

import threading

import numpy as np
import pytest

from facereg.errors import PluginError
from facereg.pipeline.lookahead import Scout
from facereg.types import Box, Detection, Frame

IMAGE = np.zeros((8, 8, 3), np.uint8)


def frame(index: int) -> Frame:
    return Frame(IMAGE, index, index / 10)


class Detector:
    """Finds a face that tells which frame it was found in."""

    def __init__(self, *, fails_at: int = -1) -> None:
        self.calls: list[tuple[int, str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._fails_at = fails_at

    def __call__(self, frame: Frame) -> tuple[Detection, ...]:
        self.gate.wait(5)
        self.calls.append((frame.index, threading.current_thread().name))
        if frame.index == self._fails_at:
            raise PluginError("it failed")
        return (Detection(Box(0, 0, frame.index + 1, 8), 1.0),)


def test_a_frame_is_looked_at_once_whether_it_was_sent_ahead_or_not() -> None:
    detector = Detector()
    scout = Scout(detector)
    scout.send(frame(2))
    scout.send(frame(2))
    assert [scout.fetch(frame(i))[0].box.x1 for i in (1, 2, 3)] == [2, 3, 4]
    scout.close()
    assert sorted(index for index, _ in detector.calls) == [1, 2, 3]
    assert {name.rsplit("_", 1)[0] for _, name in detector.calls} == {"facereg-detector"}


def test_sending_does_not_wait_for_the_detector() -> None:
    detector = Detector()
    detector.gate.clear()
    scout = Scout(detector)
    scout.send(frame(5))
    assert detector.calls == []
    detector.gate.set()
    assert scout.fetch(frame(5))[0].box.x1 == 6
    scout.close()


def test_a_failure_comes_with_its_own_frame_only() -> None:
    scout = Scout(Detector(fails_at=4))
    scout.send(frame(4))
    assert scout.fetch(frame(3))
    with pytest.raises(PluginError, match="it failed"):
        scout.fetch(frame(4))
    scout.send(frame(4))  # in vain, and nobody asks
    assert scout.fetch(frame(5))
    scout.close()


def test_what_was_sent_in_vain_is_dropped() -> None:
    detector = Detector()
    detector.gate.clear()
    scout = Scout(detector)
    for index in (1, 2, 3):  # 1 is under way, the others wait
        scout.send(frame(index))
    threading.Timer(0.05, detector.gate.set).start()
    assert scout.fetch(frame(9))[0].box.x1 == 10
    scout.close()
    assert [index for index, _ in detector.calls] == [1, 9]
