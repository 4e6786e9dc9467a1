"""The 1 Euro filter smooths at rest and follows in motion."""

from __future__ import annotations

import numpy as np

from facereg.tracking.one_euro import OneEuro


def test_it_keeps_up_with_fast_motion() -> None:
    smooth = OneEuro()
    for i in range(20):
        value = np.array([10.0 * i, 0, 10.0 * i + 60, 60])
        got = smooth(value, 60.0, i / 25)
    assert abs(got[0] - value[0]) < 6


def test_it_calms_a_trembling_box() -> None:
    smooth, rng = OneEuro(), np.random.default_rng(0)
    raw = [np.array([100.0, 100, 160, 160]) + rng.normal(0, 0.5, 4) for _ in range(100)]
    out = [smooth(value, 60.0, i / 25) for i, value in enumerate(raw)]
    steps = [np.abs(np.diff(np.array(values), axis=0)).mean() for values in (raw[20:], out[20:])]
    assert steps[1] < 0.4 * steps[0]


def test_another_length_begins_anew() -> None:
    smooth = OneEuro()
    smooth(np.zeros(4), 60.0, 0.0)
    assert smooth(np.full(14, 5.0), 60.0, 0.04).tolist() == [5.0] * 14


def test_two_observations_at_one_time_do_not_divide_by_zero() -> None:
    smooth = OneEuro()
    smooth(np.zeros(4), 60.0, 1.0)
    assert np.isfinite(smooth(np.ones(4), 60.0, 1.0)).all()
