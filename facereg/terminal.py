"""How a command behaves in a terminal: its log lines, and what ends it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class _Line(logging.Formatter):
    """One line a record: notices plain, all else marked with its level."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        # A progress bar may stand in this line of the terminal: clear it first.
        start = "\r\x1b[K" if sys.stderr.isatty() else ""
        return f"{start}facereg: {level}{super().format(record)}"


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
