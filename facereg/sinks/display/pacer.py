"""When a window shows the frames of a file."""

from __future__ import annotations

import time

from ...types import Frame, SourceInfo

#: A picture that is later than this does not make those after it hurry.
MAX_CATCH_UP_SECONDS = 0.25


class Pacer:
    """Shows the frames of a file at their times, and separate pictures one after the other.

    Args:
        info: the source.
        hold: seconds for which each of several separate pictures is shown.
    """

    def __init__(self, info: SourceInfo, hold: float) -> None:
        self._info, self._hold = info, hold
        self._start: float | None = None  # monotonic time of the source's time 0

    def seconds_until(self, frame: Frame) -> float:
        """Return how long to wait before a frame is shown; 0 or less is now."""
        if self._info.live:
            return 0.0
        due = self._hold * frame.index if self._info.stills else frame.time
        now = time.monotonic()
        if self._start is None or now - due - self._start > MAX_CATCH_UP_SECONDS:
            self._start = now - due
        return self._start + due - now

    def restart(self) -> None:
        """Take the next frame's time for now, as after a pause."""
        self._start = None
