from __future__ import annotations

from fractions import Fraction

import pytest

from facereg.video.clock import FrameClock

STEP = Fraction(1, 25)
DAY = 86_400


@pytest.mark.parametrize(
    ("reported", "seconds"),
    [
        ([0, 0.04, 0.08], [0, 0.04, 0.08]),
        ([1.4e9, 1.4e9 + 1], [0, 1]),  # a recorder's clock of 1970
        ([-0.08, -0.04, 0], [0, 0.04, 0.08]),
        ([None, None, None], [0, 0.04, 0.08]),  # raw H.264
        ([0, 0.04, None], [0, 0.04, 0.08]),  # the last frame of an AVI
        ([None, 5, 6], [0, 0.04, 1.04]),
        ([0, 100, 100.04], [0, 100, 100.04]),  # a slide show
        ([10, 10.04, 0, 0.04], [0, 0.04, 0.08, 0.12]),  # joined recordings
        ([0, 0.04, 0.04, 0.08], [0, 0.04, 0.08, 0.12]),  # twice the same time
        ([0, 0.04, 0.02, 0.2], [0, 0.04, 0.08, 0.2]),  # out of order for once
        ([0, 0.04, 3 * DAY, 3 * DAY + 1], [0, 0.04, 0.08, 1.08]),  # a clock that was set
    ],
)
def test_seconds_from_the_first_frame(reported: list[float | None], seconds: list[float]) -> None:
    clock = FrameClock(1 / STEP)
    exact = [None if t is None else Fraction(t).limit_denominator(1000) for t in reported]
    assert [float(clock.read(t)) for t in exact] == pytest.approx(seconds, abs=1e-9)


def test_times_are_exact() -> None:
    clock = FrameClock(Fraction(24000, 1001))
    times = [clock.read(Fraction(1001 * i, 24000) + 7) for i in range(1000)]
    assert times[-1] == Fraction(1001 * 999, 24000)
