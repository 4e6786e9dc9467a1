from __future__ import annotations

from fractions import Fraction

import pytest

from facereg.video.container import Container, exact_rate


def test_frames_that_are_a_moment_apart_do_not_make_a_fast_recording() -> None:
    pairs = tuple(i * 0.04 + j * 0.001 for i in range(60) for j in range(1 + (i % 10 == 0)))
    container = Container(pairs, len(pairs), 0, whole=True, claimed_rate=Fraction(25))
    assert container.rate() == 25


@pytest.mark.parametrize(
    ("claimed", "exact"),
    [
        (23.976023976023978, Fraction(24000, 1001)),
        (29.97002997002997, Fraction(30000, 1001)),
        (59.94005994005994, Fraction(60000, 1001)),
        (29.97, Fraction(2997, 100)),  # some files really say that
        (1e9 / 33366667, Fraction(30000, 1001)),  # Matroska counts whole nanoseconds
        (1e9 / 16666667, Fraction(60)),
        (25.0, Fraction(25)),
        (12.5, Fraction(25, 2)),
        (0.1, Fraction(1, 10)),
    ],
)
def test_rates_lose_nothing_by_being_floats(claimed: float, exact: Fraction) -> None:
    assert exact_rate(claimed) == exact
