"""One progress bar, that says what it knows and no more."""

from __future__ import annotations

import doctest
import sys
from fractions import Fraction

import pytest

from facereg.batch.plan import Fingerprint, Job
from facereg.commands import progress
from facereg.commands.batch import expected_total
from facereg.commands.progress import Progress, expected_frames, format_time
from facereg.types import SourceInfo


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_examples_are_true() -> None:
    assert doctest.testmod(progress).failed == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (36000 * 11, "110:00:00")]
)
def test_times_are_hours_minutes_seconds(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


def test_without_a_total_there_is_no_bar_and_no_time_left() -> None:
    clock = Clock()
    shown = Progress(clock=clock)
    clock.now = 10.0

    assert shown.describe(250, None, "rtsp://me:1@cam") == "250 frames  25.0/s  rtsp://me:***@cam"


def test_more_frames_than_the_file_claimed_are_no_error() -> None:
    clock = Clock()
    shown = Progress(clock=clock)
    clock.now = 1.0

    assert "12/12 frames" in shown.describe(12, 10)
    assert "0:00:00 left" in shown.describe(12, 10)


def test_the_rate_is_that_of_the_last_minute() -> None:
    clock = Clock()
    shown = Progress("images", done=5000, clock=clock)
    for second in range(1, 200):
        clock.now = float(second)
        line = shown.describe(5000 + (10000 if second > 1 else 0) + 2 * second, None)

    assert line == "15398 images  2.0/s"


def test_a_pipe_gets_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    shown = Progress(clock=clock)
    for frame in range(1, 150):
        clock.now = float(frame)
        shown.update(frame, 600, "in.mp4")
    shown.end(149, 600, "in.mp4")

    assert capsys.readouterr().err.splitlines() == [
        "facereg: 60/600 frames  1.0/s  0:09:00 left  in.mp4",
        "facereg: 120/600 frames  1.0/s  0:08:00 left  in.mp4",
    ]


def test_a_terminal_gets_one_line_that_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "_columns", lambda: 40)
    clock = Clock()
    shown = Progress(clock=clock)
    clock.now = 1.0
    shown.update(5, 10, "a name that is much too long for a terminal.mp4")
    shown.update(6, 10)  # too soon
    shown.end(10, 10)

    lines = capsys.readouterr().err.split("\r\x1b[K")[1:]
    assert len(lines) == 2
    assert all(len(line.rstrip("\n")) < 40 for line in lines)
    assert lines[0].startswith("█" * 10 + "░" * 10 + " 5/10 frames")
    assert lines[1].endswith("\n")


@pytest.mark.parametrize(
    ("count", "duration", "start", "expected"),
    [(100, None, None, 100), (100, 1.0, None, 25), (100, 9.0, 1.0, 75), (100, 0.2, None, 5),
     (None, 1.0, None, 25), (None, None, None, None), (10, None, 5.0, 0)],
)  # fmt: skip
def test_expected_frames(
    count: int | None, duration: float | None, start: float | None, expected: int | None
) -> None:
    info = SourceInfo("a.mp4", 320, 240, fps=Fraction(25), frame_count=count)

    assert expected_frames(info, duration, start) == expected


def test_what_is_not_begun_is_guessed_from_its_bytes() -> None:
    def job(size: int, total: int | None) -> Job:
        return Job("a", "a", False, {}, Fingerprint(size, 0, None), total=total)

    assert expected_total([job(100, None)]) is None
    assert expected_total([job(100, 50), job(300, 150), job(1000, None)]) == 700
