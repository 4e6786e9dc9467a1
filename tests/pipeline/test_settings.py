"""Settings are checked when they are made."""

from __future__ import annotations

import pytest

from facereg import UsageError
from facereg.pipeline.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_faces", 0),
        ("detect_every", 0),
        ("duration", -1.0),
        ("duration", float("nan")),
        ("on_error", "ignore"),
        ("on_sink_error", "skip"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{name}={value}: must be"):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_the_defaults_are_fine_and_none_means_no_limit() -> None:
    assert Settings() == Settings(max_faces=None, duration=None)
