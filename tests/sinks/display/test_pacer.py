"""When frames are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facereg.sinks.display import pacer
from facereg.sinks.display.pacer import Pacer
from facereg.types import Frame, SourceInfo

FILE = SourceInfo("clip", 4, 4)


def at(index: int, time: float) -> Frame:
    return Frame(np.zeros((4, 4, 3), np.uint8), index, time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time of day, which the test sets."""
    now = [100.0]
    monkeypatch.setattr(pacer.time, "monotonic", lambda: now[0])
    return now


def test_frames_of_a_file_come_at_their_times(clock: list[float]) -> None:
    pace = Pacer(FILE, hold=1.0)
    assert pace.seconds_until(at(0, 0.0)) == 0
    assert pace.seconds_until(at(1, 0.5)) == pytest.approx(0.5)
    clock[0] += 0.6
    assert pace.seconds_until(at(1, 0.5)) == pytest.approx(-0.1)
    assert pace.seconds_until(at(2, 1.0)) == pytest.approx(0.4)


def test_a_late_frame_does_not_hurry_those_after_it(clock: list[float]) -> None:
    pace = Pacer(FILE, hold=1.0)
    pace.seconds_until(at(0, 0.0))
    clock[0] += 5
    assert pace.seconds_until(at(1, 0.5)) == 0
    assert pace.seconds_until(at(2, 1.0)) == pytest.approx(0.5)


def test_after_a_pause_it_goes_on_from_there(clock: list[float]) -> None:
    pace = Pacer(FILE, hold=1.0)
    pace.seconds_until(at(0, 0.0))
    clock[0] += 0.1
    pace.restart()
    assert pace.seconds_until(at(1, 0.5)) == 0


def test_separate_pictures_are_held(clock: list[float]) -> None:
    pace = Pacer(replace(FILE, stills=True), hold=2.0)
    pace.seconds_until(at(0, 0.0))
    assert pace.seconds_until(at(1, 0.04)) == pytest.approx(2.0)


def test_a_live_source_is_never_waited_for(clock: list[float]) -> None:
    assert Pacer(replace(FILE, live=True), hold=1.0).seconds_until(at(9, 900.0)) == 0
