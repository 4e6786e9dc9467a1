"""Measure how well a window keeps up, for its status line."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime, timezone

from ...types import FrameResult

#: Seconds over which the rate is measured.
RATE_SECONDS = 2.0


class FpsMeter:
    """Counts results and times pictures.

    Args:
        live: whether frames carry the time of day when they came, which gives the latency.

    Attributes:
        dropped: frames missing between those that were counted.
        latency: milliseconds from a live frame's grab to its display, smoothed.
    """

    def __init__(self, live: bool) -> None:
        self._live = live
        self._last: FrameResult | None = None
        self._shown: deque[float] = deque()
        self.dropped = 0
        self.latency: float | None = None

    def count(self, result: FrameResult) -> None:
        """Count a result."""
        if self._last is not None:
            self.dropped += max(0, result.frame.index - self._last.frame.index - 1)
        self._last = result

    def shown(self, result: FrameResult) -> None:
        """Time a result that is on the screen now."""
        self._shown.append(time.monotonic())
        if result.frame.clock is None:
            return
        spent = 1000 * (datetime.now(timezone.utc) - result.frame.clock).total_seconds()
        self.latency = spent if self.latency is None else 0.9 * self.latency + 0.1 * spent

    @property
    def fps(self) -> float:
        """Pictures shown a second, over the last `RATE_SECONDS`."""
        now = time.monotonic()
        while self._shown and now - self._shown[0] > RATE_SECONDS:
            self._shown.popleft()
        if len(self._shown) < 2:
            return 0.0
        return (len(self._shown) - 1) / (self._shown[-1] - self._shown[0])

    def line(self) -> str:
        """Write it all in one line; a file has its time in place of the latency."""
        if self._last is None:
            return "waiting for the first picture"
        count = len(self._last.faces)
        latency = "-" if self.latency is None else f"{self.latency:.0f}"
        when = f"{latency} ms" if self._live else f"{self._last.frame.time:.1f} s"
        return (
            f"{self.fps:.1f} fps   {when}   {count} face{'' if count == 1 else 's'}   "
            f"{self.dropped} dropped"
        )
