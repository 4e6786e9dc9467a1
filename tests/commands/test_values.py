"""What may be typed for a value, and what is refused in words that help."""

from __future__ import annotations

import argparse
import doctest
from collections.abc import Callable

import pytest

from facereg.commands import values


def test_the_examples_are_true() -> None:
    assert doctest.testmod(values).failed == 0


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (values.positive_int, "007", 7),
        (values.whole_int, "0", 0),
        (values.positive_number, "2e-3", 0.002),
        (values.positive_number, ".5", 0.5),
        (values.fraction, "0.25", 0.25),
        (values.fraction, ".0", 0.0),
        (values.seconds, "0", 0.0),
        (values.seconds, "1:02:03.25", 3723.25),
        (values.positive_seconds, "90", 90.0),
        (values.names, "eyes, lips", ["eyes", "lips"]),
    ],
)
def test_a_value_is_read(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "why"),
    [
        (values.positive_int, "0", "not a whole number from 1"),
        (values.positive_int, "2.5", "not a whole number from 1"),
        (values.positive_int, "٣", "not a whole number from 1"),
        (values.whole_int, "-1", "not a whole number from 0"),
        (values.positive_number, "0.0", "not a number above 0"),
        (values.positive_number, "inf", "not a number above 0"),
        (values.fraction, "1.0", "not a fraction below 1"),
        (values.seconds, "1:2:3:4", r"neither seconds nor \[HH:\]MM:SS"),
        (values.seconds, "nan", r"neither seconds nor \[HH:\]MM:SS"),
        (values.positive_seconds, "0:00", "longer than 0 seconds"),
        (values.names, "eyes,,lips", "not a list such as eyes,lips"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_right(
    read: Callable[[str], object], text: str, why: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=why):
        read(text)
