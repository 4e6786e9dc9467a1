"""A run as a process of ``facereg batch``: it speaks JSON lines, as `facereg.batch.pool` says."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
import traceback
from typing import Any

from ..batch.store import Transfers
from ..components import Run, Sink
from ..errors import ModelError, SinkError, clean_text
from ..types import FrameResult, SourceInfo
from .failures import describe_failure
from .progress import expected_frames
from .run import execute
from .terminal import log_with, sigterm_is_ctrl_c

#: Seconds between two records of how far it is.
PROGRESS_SECONDS = 0.5

#: What an argument begins with that says what is fetched and uploaded.
TRANSFERS = "--transfers="

#: Errors that are not the recording's fault: another time it may go well.
SURROUNDINGS = (SinkError, ModelError, OSError, MemoryError)


class Channel:
    """Sends records to the batch.

    What was stdout is the channel; what others print goes to stderr.
    """

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        os.dup2(2, 1)

    def send(self, event: str, **values: Any) -> None:
        """Send a record. If the batch is gone, end this process, as nobody wants its results."""
        line = json.dumps({"event": event, **values}) + "\n"
        data = memoryview(line.encode())
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            os._exit(1)


class ReportingSink(Sink):
    """Reports how far the run is, and measures what it has processed."""

    name = "progress"

    def __init__(self, channel: Channel, args: argparse.Namespace) -> None:
        self._channel, self._args = channel, args
        self._frames, self._sent = 0, 0.0
        self._first, self._end = 0.0, 0.0  # when the first frame is shown, and the last one ends

    def open(self, info: SourceInfo, run: Run) -> None:
        self._frame_seconds = 1 / float(info.fps) if info.fps else 0.0
        total = expected_frames(info, self._args.duration, self._args.start)
        self._channel.send("opened", total=total)

    def write(self, result: FrameResult) -> None:
        if not self._frames:
            self._first = result.frame.time
        self._end = result.frame.time + self._frame_seconds
        self._frames += 1
        self.beat()

    def close(self) -> None:
        self._channel.send("finishing")

    def beat(self) -> None:
        """Report that something goes on, though no frame was made."""
        now = time.monotonic()
        if now - self._sent >= PROGRESS_SECONDS:
            self._sent = now
            self._channel.send("progress", frames=self._frames)

    @property
    def duration(self) -> float:
        """Seconds of the recording that were processed."""
        return round(self._end - self._first, 3)


class _RecordHandler(logging.Handler):
    """Sends warnings; everything is written to stderr, too."""

    def __init__(self, channel: Channel, source: str) -> None:
        super().__init__()
        self._channel, self._source = channel, source

    def emit(self, record: logging.LogRecord) -> None:
        text = clean_text(_without_source(record.getMessage(), self._source))
        print(f"{record.levelname.lower()}: {text}", file=sys.stderr)
        if record.levelno >= logging.WARNING:
            self._channel.send("warning", text=text)


def take_transfers(arguments: list[str]) -> Transfers | None:
    """Take what is to be fetched and uploaded out of a command line, if it begins with that."""
    if len(arguments) > 1 and arguments[1].startswith(TRANSFERS):
        return Transfers.of_argument(arguments.pop(1).removeprefix(TRANSFERS))
    return None


def run(args: argparse.Namespace, transfers: Transfers | None = None) -> int:
    """Run the command line of a job. Returns the exit code."""
    channel = Channel()
    handler = _RecordHandler(channel, args.source)
    report = ReportingSink(channel, args)
    try:
        level = logging.DEBUG if args.debug else logging.WARNING
        with log_with(handler, level), sigterm_is_ctrl_c():
            if transfers is None:
                totals, interrupted = execute(args, [report])
            else:
                with transfers.around(report.beat):
                    totals, interrupted = execute(args, [report])
                    if not interrupted:
                        transfers.upload(report.beat)
        channel.send("result", totals=totals.as_json(), duration=report.duration)
    except KeyboardInterrupt:
        return 130
    except Exception as e:
        traceback.print_exc()
        text, code = describe_failure(e)
        own_fault = not isinstance(e, SURROUNDINGS)
        channel.send("error", text=_without_source(text, args.source), own_fault=own_fault)
        return code
    return 130 if interrupted else 0


def _without_source(text: str, source: str) -> str:
    """Leave the name of the source out of a message: the batch says which job it is of."""
    return text.removeprefix(f"{source}: ")
