"""Statistics of a run."""

from __future__ import annotations

import time

import pytest

from facereg.pipeline.totals import StageTimes, Totals


def test_time_in_a_stage_within_another_counts_for_the_inner_one_only() -> None:
    times = StageTimes()
    with times.timed("outer"):
        with times.timed("inner"):
            time.sleep(0.05)
        with times.timed("inner"):
            time.sleep(0.05)
    assert times.milliseconds["inner"] >= 100
    assert times.milliseconds["outer"] < times.milliseconds["inner"]


def test_a_stage_that_fails_is_not_counted_and_the_outer_one_is_right() -> None:
    times = StageTimes()

    def fail() -> None:
        with times.timed("inner"):
            time.sleep(0.1)
            raise ValueError("no")

    with times.timed("outer"), pytest.raises(ValueError, match="no"):
        fail()
    assert set(times.milliseconds) == {"outer"}
    assert times.milliseconds["outer"] < 100


def test_totals_are_written_as_means_a_frame() -> None:
    totals = Totals(frames=4, seconds=2.0, stages={"detect": 10.0})
    assert totals.fps == 2.0
    assert totals.as_json()["stages"] == {"detect": 2.5}


def test_a_run_without_frames_divides_by_nothing() -> None:
    assert Totals().as_json()["fps"] == 0.0
