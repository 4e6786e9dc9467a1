"""When live frames were taken."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import NamedTuple

from ..types import Frame, Image


class Moment(NamedTuple):
    """A moment on two clocks of this machine.

    Attributes:
        monotonic: seconds of a clock that nobody sets.
        clock: the time of day, in UTC.
    """

    monotonic: float
    clock: datetime

    @classmethod
    def now(cls) -> Moment:
        """Read both clocks."""
        return cls(time.monotonic(), datetime.now(timezone.utc))


class LiveFrames:
    """Makes the frames of a live source: numbered, with their seconds from the first one."""

    def __init__(self) -> None:
        self._count = 0
        self._start: float | None = None

    @property
    def count(self) -> int:
        """Frames made so far."""
        return self._count

    def make(self, image: Image, moment: Moment) -> Frame:
        """Make the next frame.

        Args:
            image: (H, W, 3) uint8 BGR.
            moment: when it was taken.
        """
        if self._start is None:
            self._start = moment.monotonic
        frame = Frame(image, self._count, moment.monotonic - self._start, moment.clock)
        self._count += 1
        return frame
