"""Every failure is one line with its exit code."""

from __future__ import annotations

import doctest

import pytest

from facereg.commands import failures
from facereg.errors import ModelError, UsageError


def test_the_examples_are_true() -> None:
    assert doctest.testmod(failures).failed == 0


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (ModelError("base: damaged;\n  install again"), "base: damaged; install again", 1),
        (UsageError("unknown region"), "unknown region", 2),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device", 1),
        (KeyError("card"), "KeyError: 'card' (a fault of facereg's: --debug shows where)", 1),
    ],
)
def test_failures(error: Exception, line: str, code: int) -> None:
    assert failures.describe_failure(error) == (line, code)
