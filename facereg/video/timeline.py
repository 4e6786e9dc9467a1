"""Place frames on the constant-rate timeline of a recording, by their timestamps."""

from __future__ import annotations

from fractions import Fraction

from ..types import SourceInfo

#: Frames a second of a recording whose source has no rate.
DEFAULT_RATE = Fraction(30)

#: The largest numerator and denominator of a rate that ffmpeg takes.
MAX_RATE_TERM = 1_001_000

#: Two rates that differ by less than this share are the same one, written differently.
SAME_RATE = Fraction(1, 1_000_000)

#: How far, in slots, a frame may be from the next free slot and still take it. More than half, so
#: that timestamps rounded to milliseconds cost no frame; less than one, so that nothing drifts.
MAX_SLOT_DISTANCE = 0.6

#: Seconds by which timestamps may run back, or beyond the source's end, before the source's clock
#: counts as broken.
CLOCK_BREAK_SECONDS = 1.0


def recording_rate(info: SourceInfo) -> Fraction:
    """Choose the rate of a recording: the source's own, if it has one.

    A container that stores the length of a frame in nanoseconds makes 60000/1001 into 19001/317:
    a rate so close to one that cameras use is that rate.

    >>> recording_rate(SourceInfo("clip.mkv", 640, 480, Fraction(19001, 317)))
    Fraction(60000, 1001)
    """
    rate = info.fps
    if rate is None or rate <= 0:
        return DEFAULT_RATE
    whole = round(rate)
    for usual in (Fraction(whole), Fraction(whole * 1000, 1001)):
        if usual and abs(usual / rate - 1) < SAME_RATE:
            return usual
    if max(rate.numerator, rate.denominator) <= MAX_RATE_TERM:
        return rate
    return rate.limit_denominator(1001)


class Timeline:
    """Slots of equal length, one picture each.

    Args:
        rate: slots a second.
        end: seconds at which the source ends, if that is known; a frame far beyond it means that
            the source's clock jumped.

    Attributes:
        filled: slots that have a picture.
        repeated: pictures that were shown again to fill a gap.
        skipped: frames whose slot was taken.
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
        """Place a frame.

        Args:
            time: the frame's, in seconds.

        Returns:
            How often the picture before is repeated first, and whether this one is written.
        """
        if self._origin is None:
            self._origin = time
        elif self._is_break(time):
            self.breaks += 1
            self._origin, self._end = time - float(self.duration), None
        self._last = time
        gap = self._position(time) - self.filled
        if abs(gap) <= MAX_SLOT_DISTANCE:
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
        """Fill the slots up to the recording's end.

        Args:
            time: seconds at which the recording ends.

        Returns:
            How often the last picture is repeated.
        """
        repeats = max(0, round(self._position(time)) - self.filled)
        self.repeated += repeats
        self.filled += repeats
        return repeats

    def _is_break(self, time: float) -> bool:
        beyond_end = self._end is not None and time > self._end + CLOCK_BREAK_SECONDS
        return beyond_end or time < self._last - CLOCK_BREAK_SECONDS

    def _position(self, time: float) -> float:
        """Convert a time into slots from the first one."""
        return (time - (self._origin or 0.0)) * float(self.rate)
