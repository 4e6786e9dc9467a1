"""The line below a window's picture."""

from __future__ import annotations

import logging
import time

from .meter import FpsMeter

log = logging.getLogger(__name__)

#: Seconds for which a message takes the place of the line.
MESSAGE_SECONDS = 3.0


class StatusLine:
    """Rate, faces and view; after a key that did something, for a while what it did.

    Args:
        meter: measures the rate.
    """

    def __init__(self, meter: FpsMeter) -> None:
        self.meter = meter
        self._message, self._until = "", 0.0

    def report(self, message: str, level: int = logging.INFO) -> None:
        """Show a message, and log it."""
        log.log(level, "%s", message)
        self._message, self._until = message, time.monotonic() + MESSAGE_SECONDS

    @property
    def message(self) -> str:
        """The message, as long as it is shown."""
        return self._message if time.monotonic() < self._until else ""

    def text(self, title: str, *, paused: bool) -> str:
        """Write the line.

        Args:
            title: what is shown.
            paused: whether the window is paused.
        """
        if self.message:
            return self.message
        line = f"{self.meter.line()}   {title}"
        return f"{line}   paused" if paused else line
