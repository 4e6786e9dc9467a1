"""How a command behaves in a terminal: its log lines, its JSON, and what ends it."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from ..errors import clean_lines, clean_text, hide_secrets

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
        if not record.exc_info:
            return ""
        return f"\n{clean_lines(self.formatException(record.exc_info))}"


@contextmanager
def log_on_stderr(*, quiet: bool, debug: bool) -> Iterator[None]:
    """Show the package's log on stderr, a line a record.

    Args:
        quiet: only show warnings and errors.
        debug: show everything.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    level = logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO
    with log_with(handler, level):
        yield


@contextmanager
def log_with(handler: logging.Handler, level: int) -> Iterator[None]:
    """Send the package's log to one handler alone, from a level on."""
    log = logging.getLogger("facereg")
    before = log.handlers, log.level, log.propagate
    log.handlers, log.propagate = [handler], False
    log.setLevel(level)
    try:
        yield
    finally:
        log.handlers, log.propagate = before[0], before[2]
        log.setLevel(before[1])  # this also clears the cache of what is enabled


def print_json(value: object, indent: int | None = None) -> None:
    """Print plain values as JSON on stdout, without the secrets in their texts."""
    print(json.dumps(_without_secrets(value), indent=indent))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, Mapping):
        return {hide_secrets(str(key)): _without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value


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
