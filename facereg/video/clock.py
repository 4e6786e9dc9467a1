"""Turn the times that a file or stream reports into seconds that only advance."""

from __future__ import annotations

from fractions import Fraction

#: A time that is this much earlier than the one before it comes from a clock that was set back.
SET_BACK_SECONDS = Fraction(1, 2)

#: A pause longer than a day is a clock that was set.
MAX_PAUSE_SECONDS = 86_400

#: The rate of frames that have no time, if the file claims none.
USUAL_RATE = Fraction(25)


class FrameClock:
    """Seconds from the first frame, exact.

    A frame without a time, or with one that is not later than that of the frame before, follows
    1 / rate after it. If the clock was set, as it is in joined recordings, the frames go on
    from there without a pause.
    """

    def __init__(self, rate: Fraction | None) -> None:
        self._step = 1 / (rate or USUAL_RATE)
        self._now: Fraction | None = None
        self._shift = Fraction(0)
        self._latest: Fraction | None = None

    def read(self, reported: Fraction | None) -> Fraction:
        """Return the time of the next frame.

        Args:
            reported: seconds on the file's own clock, or None.
        """
        if self._now is None:
            self._now = Fraction(0)
            self._shift = -(reported or Fraction(0))
        elif reported is None:
            self._now += self._step
        else:
            self._now = self._advance(self._now, reported)
        self._latest = self._latest if reported is None else reported
        return self._now

    def _advance(self, before: Fraction, reported: Fraction) -> Fraction:
        if self._latest is None:  # the first that has a time
            self._shift = before + self._step - reported
        now = reported + self._shift
        if before < now <= before + MAX_PAUSE_SECONDS:
            return now
        follows = before + self._step
        set_back = self._latest is not None and reported < self._latest - SET_BACK_SECONDS
        if set_back or now > before + MAX_PAUSE_SECONDS:
            self._shift = follows - reported
        return follows
