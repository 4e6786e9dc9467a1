"""The one progress bar: of run, batch and train."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable

from ..components import Run, Sink
from ..errors import clean_text
from ..types import FrameResult, SourceInfo

#: Seconds between two pictures of the bar, and between two lines if stderr is no terminal.
BAR_SECONDS, LINE_SECONDS = 0.2, 60.0

#: Seconds that the rate is measured over: what was slow long ago, or came from an earlier run, does
#: not count.
RATE_SECONDS = 60.0

#: Frames by which a product of seconds and a rate may be off.
ROUNDING = 1e-6

#: Columns of the bar itself, and of a terminal that does not say how many it has.
BAR_COLUMNS, TERMINAL_COLUMNS = 20, 80


def format_time(seconds: float) -> str:
    """Write a length of time as h:mm:ss.

    >>> format_time(3723.4)
    '1:02:03'
    """
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


class Progress:
    """Shows on stderr how far something is: count, rate, time left, and what it is working on.

    On a terminal it is a bar that is drawn over itself; elsewhere a line a minute.

    Args:
        unit: what is counted.
        done: how many are done already.
        clock: seconds, on a clock that only goes forward.

    Example:
        >>> progress = Progress(clock=iter([0.0, 90.0]).__next__)
        >>> progress.describe(900, 3600, "in.mp4")
        '█████░░░░░░░░░░░░░░░ 900/3600 frames  10.0/s  0:04:30 left  in.mp4'
    """

    def __init__(
        self,
        unit: str = "frames",
        *,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._unit, self._clock = unit, clock
        self._shown = clock()
        self._samples = deque([(self._shown, done)])  # when it was shown, and how many were done
        self._bar = sys.stderr.isatty()

    def update(self, done: int, total: int | None, doing: str = "") -> None:
        """Show it, if the last time was long enough ago.

        Args:
            done: how many are done.
            total: how many there are, or will be at a guess; None if nobody knows.
            doing: what is being worked on.
        """
        now = self._clock()
        if now - self._shown >= (BAR_SECONDS if self._bar else LINE_SECONDS):
            self._shown = now
            self._write(self.describe(done, total, doing))

    def end(self, done: int, total: int | None, doing: str = "") -> None:
        """Show it for the last time."""
        if self._bar:
            self._write(self.describe(done, total, doing) + "\n")

    def describe(self, done: int, total: int | None, doing: str = "") -> str:
        """Write it in one line."""
        rate = self._measure_rate(done)
        parts = [f"{done} {self._unit}", f"{rate:.1f}/s"]
        if total:
            total = max(total, done)
            filled = done * BAR_COLUMNS // total
            bar = "█" * filled + "░" * (BAR_COLUMNS - filled)
            parts[0] = f"{bar} {done}/{total} {self._unit}"
            if rate:
                parts.append(f"{format_time((total - done) / rate)} left")
        return "  ".join([*parts, clean_text(doing)] if doing else parts)

    def _measure_rate(self, done: int) -> float:
        now = self._clock()
        while len(self._samples) > 1 and now - self._samples[1][0] >= RATE_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        self._samples.append((now, done))
        return (done - before) / max(now - since, 1e-6)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone; the files are not
            if self._bar:
                end = "\n" if text.endswith("\n") else ""
                sys.stderr.write(f"\r\x1b[K{text.rstrip()[: _columns() - 1]}{end}")
            else:
                sys.stderr.write(f"facereg: {text.lstrip('█░ ')}\n")
            sys.stderr.flush()


class ProgressSink(Sink):
    """Shows the progress of a run.

    Args:
        duration: of the run, in seconds, if it was limited.
        start: seconds of the source that are left out at its beginning.
    """

    name = "progress"

    def __init__(self, duration: float | None = None, start: float | None = None) -> None:
        self._duration, self._start = duration, start
        self._done = 0
        self._total: int | None = None

    def open(self, info: SourceInfo, run: Run) -> None:
        self._total = expected_frames(info, self._duration, self._start)
        self._doing = info.name
        self._progress = Progress()

    def write(self, result: FrameResult) -> None:
        self._done += 1
        self.tick()

    def tick(self) -> None:
        self._progress.update(self._done, self._total, self._doing)

    def close(self) -> None:
        self._progress.end(self._done, self._total, self._doing)


def expected_frames(
    info: SourceInfo, duration: float | None = None, start: float | None = None
) -> int | None:
    """Guess how many frames a run will have; None if the source does not say.

    Args:
        info: of the source.
        duration: of the run, in seconds, if it was limited.
        start: seconds of the source that are left out at its beginning.
    """
    rate, total = float(info.fps or 0), info.frame_count
    if total is not None:
        total = max(0, total - math.floor(rate * (start or 0.0) + ROUNDING))
    if duration is not None and rate:
        limit = math.ceil(rate * duration - ROUNDING)
        total = limit if total is None else min(total, limit)
    return total


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or TERMINAL_COLUMNS
    except (OSError, ValueError):
        return TERMINAL_COLUMNS
