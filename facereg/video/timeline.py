"""Place frames on the constant-rate grid of a recording, by their timestamps."""

from __future__ import annotations

from fractions import Fraction

from ..types import SourceInfo

#: Frames a second of a recording whose source has no rate.
DEFAULT_RATE = Fraction(30)

#: The largest numerator and denominator of a rate that ffmpeg takes.
LARGEST = 1_001_000

#: How far, in slots, a frame may be from the next free slot and still take it. More than half, so
#: that timestamps rounded to milliseconds cost no frame; less than one, so that nothing drifts.
REACH = 0.6

#: Seconds by which timestamps may run back or beyond the source's end before they are taken for
#: a break in the source's clock.
BREAK = 1.0


def recording_rate(info: SourceInfo) -> Fraction:
    """Choose the rate of a recording: the source's own, wherever it has one.

    A container that stores the length of a frame in nanoseconds makes 60000/1001 into 19001/317:
    what is so near a rate of cameras is that rate.
    """
    rate = info.fps
    if rate is None or rate <= 0:
        return DEFAULT_RATE
    whole = round(rate)
    for usual in (Fraction(whole), Fraction(whole * 1000, 1001)):
        if usual and abs(usual / rate - 1) < Fraction(1, 1_000_000):
            return usual
    if max(rate.numerator, rate.denominator) <= LARGEST:
        return rate
    return rate.limit_denominator(1001)


class Grid:
    """Slots of equal length, one picture each.

    Args:
        rate: slots a second.
        end: seconds at which the source ends, or None; a frame far beyond it tells that the
            source's clock jumped.

    Attributes:
        filled: slots that have a picture.
        repeated, skipped: pictures that were shown again to fill a gap, and frames that found
            their slot taken.
        breaks: jumps of the source's clock, which were closed up.
    """

    def __init__(self, rate: Fraction, end: float | None = None) -> None:
        self.rate = rate
        self.filled = self.repeated = self.skipped = self.breaks = 0
        self._end = end
        self._origin: float | None = None
        self._last = 0.0

    @property
    def duration(self) -> Fraction:
        """Seconds recorded."""
        return self.filled / self.rate

    def place(self, time: float) -> tuple[int, bool]:
        """Say how often the picture before is repeated first, and whether this one is written.

        Args:
            time: the frame's, in seconds.
        """
        if self._origin is None:
            self._origin = time
        elif time < self._last - BREAK or (self._end is not None and time > self._end + BREAK):
            self.breaks += 1
            self._origin, self._end = time - float(self.duration), None
        self._last = time
        gap = self._position(time) - self.filled
        if abs(gap) <= REACH:
            self.filled += 1
            return 0, True
        repeats = round(gap)
        if repeats < 0:
            self.skipped += 1
            return 0, False
        self.repeated += repeats
        self.filled += repeats + 1
        return repeats, True

    def extend(self, time: float) -> int:
        """Say how often the last picture is repeated, for a recording that ends at that time."""
        repeats = max(0, round(self._position(time)) - self.filled)
        self.repeated += repeats
        self.filled += repeats
        return repeats

    def _position(self, time: float) -> float:
        return (time - (self._origin or 0.0)) * float(self.rate)
