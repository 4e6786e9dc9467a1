from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from facereg.sources.live import LiveFrames, Moment


def test_times_count_from_the_first_frame_whatever_is_done_to_the_clock() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
    frames = LiveFrames()
    first = frames.make(image, Moment(5000.0, noon))
    second = frames.make(image, Moment(5000.04, noon - timedelta(hours=1)))  # it was set back
    assert (first.index, first.time, first.clock) == (0, 0.0, noon)
    assert (second.index, second.time) == (1, pytest.approx(0.04))
    assert frames.count == 2


def test_now_is_utc() -> None:
    assert Moment.now().clock.tzinfo is timezone.utc
    assert abs(Moment.now().clock - datetime.now(timezone.utc)) < timedelta(minutes=1)
