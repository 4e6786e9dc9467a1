"""Frames on a constant-rate timeline: none is lost without need, and time stays true."""

from __future__ import annotations

from fractions import Fraction

import pytest

from facereg.types import SourceInfo
from facereg.video.timeline import DEFAULT_RATE, Timeline, recording_rate


def info(rate: Fraction | None) -> SourceInfo:
    return SourceInfo("clip.mp4", 16, 16, rate)


def slots(timeline: Timeline, times: list[float]) -> list[int]:
    """List the frame that each slot shows."""
    shown: list[int] = []
    last = 0
    for i, time in enumerate(times):
        repeats, wanted = timeline.place(time)
        shown += [last] * repeats + [i] * wanted
        last = i
    return shown


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (None, DEFAULT_RATE),
        (Fraction(0), DEFAULT_RATE),
        (Fraction(25), Fraction(25)),
        (Fraction(24000, 1001), Fraction(24000, 1001)),
        (Fraction(19001, 317), Fraction(60000, 1001)),
        (Fraction(25, 2), Fraction(25, 2)),
        (Fraction(29970001, 1000003), Fraction(29970001, 1000003).limit_denominator(1001)),
    ],
)
def test_the_rate_is_the_sources_own(rate: Fraction | None, expected: Fraction) -> None:
    assert recording_rate(info(rate)) == expected


def test_evenly_spaced_frames_fill_every_slot() -> None:
    timeline = Timeline(Fraction(25))
    assert slots(timeline, [i / 25 for i in range(50)]) == list(range(50))
    assert (timeline.repeated, timeline.skipped, timeline.duration) == (0, 0, 2)


def test_times_rounded_to_milliseconds_cost_no_frame() -> None:
    timeline = Timeline(Fraction(500))
    times = [round(i / 500, 3) + 0.0004 * (-1) ** i for i in range(60)]
    assert slots(timeline, times) == list(range(60))


def test_a_gap_repeats_the_frame_before_it() -> None:
    timeline = Timeline(Fraction(10))
    assert slots(timeline, [0.0, 0.1, 0.5, 0.6]) == [0, 1, 1, 1, 1, 2, 3]
    assert timeline.repeated == 3


def test_frames_a_moment_apart_share_a_slot() -> None:
    timeline = Timeline(Fraction(10))
    assert slots(timeline, [0.0, 0.01, 0.02, 0.1]) == [0, 3]
    assert timeline.skipped == 2


def test_the_first_time_is_the_origin_whatever_it_is() -> None:
    assert slots(Timeline(Fraction(25)), [7000.0, 7000.04]) == [0, 1]


@pytest.mark.parametrize("jump", [95443.8, -50.0])
def test_a_jump_of_the_clock_is_closed_up(jump: float) -> None:
    timeline = Timeline(Fraction(25), end=0.24)
    times = [0.0, 0.04, 0.08, jump, jump + 0.04, jump + 0.08]
    assert slots(timeline, times) == list(range(6))
    assert timeline.breaks == 1


def test_the_end_holds_the_last_frame() -> None:
    timeline = Timeline(Fraction(25))
    timeline.place(0.0)
    assert timeline.extend(0.2) == 4
    assert timeline.extend(0.2) == 0
    assert timeline.duration == Fraction(1, 5)
