"""How a command behaves in a terminal: its log lines, and what ends it."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from ..components import Run, Sink
from ..errors import clean_text
from ..types import FrameResult, SourceInfo

#: What ends a run or a batch. Under nohup, a closed terminal does not.
SIGNALS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
    SIGNALS.append(signal.SIGHUP)


class _Line(logging.Formatter):
    """One line a record: notices plain, all else marked with its level."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        # A progress bar may stand in this line of the terminal: clear it first.
        start = "\r\x1b[K" if sys.stderr.isatty() else ""
        return f"{start}facereg: {level}{clean_text(record.getMessage())}{self._details(record)}"

    def _details(self, record: logging.LogRecord) -> str:
        return f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""


@contextmanager
def log_on_stderr(*, quiet: bool, debug: bool) -> Iterator[None]:
    """Show the package's log on stderr, a line a record.

    Args:
        quiet: leave out notices; warnings and errors stay.
        debug: show everything.
    """
    log = logging.getLogger("facereg")
    handlers, level, propagate = log.handlers, log.level, log.propagate
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)  # this also clears the cache of what is enabled


@contextmanager
def sigterm_is_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, with every file finished."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class ProgressBar(Sink):
    """A line on the terminal: frames, rate, time left."""

    name = "progress"
    width = 30

    def open(self, info: SourceInfo, run: Run) -> None:
        self._expected = info.frame_count
        self._start = self._shown = time.monotonic()
        self._done = 0

    def write(self, result: FrameResult) -> None:
        self._done += 1
        self.tick()

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._shown > 0.2:
            self._shown = now
            self._show(now)

    def close(self) -> None:
        self._show(time.monotonic())
        sys.stderr.write("\n")

    def _show(self, now: float) -> None:
        rate = self._done / max(now - self._start, 1e-6)
        text = f"{self._done} frames  {rate:.1f}/s"
        if self._expected:
            share = min(1.0, self._done / self._expected)
            filled = round(share * self.width)
            left = max(0, self._expected - self._done) / max(rate, 1e-6)
            bar = "█" * filled + "░" * (self.width - filled)
            text = f"{bar} {self._done}/{self._expected}  {rate:.1f}/s  {left:.0f} s left"
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def rewrite_line(text: str, end: str = "") -> None:
    """Write over the line that the terminal's cursor is in."""
    with contextlib.suppress(OSError):  # the terminal may be gone; the files are not
        sys.stderr.write(f"\r\x1b[K{text}{end}")
        sys.stderr.flush()


@contextlib.contextmanager
def signals_handled_by(handler: Callable[..., None]) -> Iterator[None]:
    """Have signals handled, but those that we were started to ignore, as nohup does."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number, old in before.items() if old is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
