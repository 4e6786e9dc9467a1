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


@pytest.mark.parametrize(
    ("settings", "recording", "live"),
    [
        (Settings(), 7, 0),
        (Settings(detect_every=1), 0, 0),
        (Settings(detect_every=100), 15, 0),
        (Settings(look_back=3), 3, 3),
        (Settings(look_back=50), 7, 7),
        (Settings(look_back=50, detect_every=100), 50, 50),
        (Settings(look_back=0), 0, 0),
    ],
)
def test_look_back_is_bounded_by_the_frames_between_two_detections(
    settings: Settings, recording: int, live: int
) -> None:
    assert settings.frames_to_look_back(live=False) == recording
    assert settings.frames_to_look_back(live=True) == live
