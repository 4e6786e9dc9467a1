"""The processes of a batch: one a job, a few at a time.

Each speaks JSON objects, a line each, on its stdout:

| event | with it |
|---|---|
| ``opened`` | ``total``: how many frames the job has, or null |
| ``progress`` | ``frames``: how many are done |
| ``warning`` | ``text`` |
| ``finishing`` | all frames are done, the files are being completed |
| ``result`` | ``totals``: the statistics of the run; ``duration``: of what was processed |
| ``error`` | ``text``: why it failed; ``own_fault``: whether that is the recording's fault |

What a process writes on stderr is kept, and only shown if it dies without an ``error``, or on
request.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

from ..errors import clean_text
from .plan import Figures, Job
from .store import describe

log = logging.getLogger(__name__)

#: Seconds between two looks at the processes.
POLL_SECONDS = 0.1

#: A process that has sent nothing for this long hangs, and is killed.
MAX_SILENT_SECONDS = 900.0

#: Seconds that the last words of a process may take after its end.
LAST_WORDS_SECONDS = 2.0

#: Bytes of a dead process's stderr that are read.
STDERR_BYTES = 65536


class Observer(Protocol):
    """What a pool reports to."""

    def started(self, job: Job) -> None:
        """Report that a job was begun."""

    def ended(self, job: Job) -> None:
        """Report that a job ended; its state says how."""

    def tick(self) -> None:
        """Be called about ten times a second."""


class Records:
    """Lines that processes said, in order, until somebody takes them."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Child, bytes]] = queue.SimpleQueue()

    def put(self, child: Child, line: bytes) -> None:
        """Add a line."""
        self._queue.put((child, line))

    def take(self, seconds: float = 0.0) -> Iterator[tuple[Child, bytes]]:
        """Yield what is there; wait for it if there is nothing yet."""
        with contextlib.suppress(queue.Empty):
            yield self._queue.get(timeout=seconds) if seconds else self._queue.get(block=False)
            while True:
                yield self._queue.get(block=False)


@dataclass(eq=False)
class Child:
    """The process of a job.

    Attributes:
        job: what it does.
        process: the process; a thread reads its stdout.
        stderr: a file that it writes into, so that it never waits for us to read.
        heard: when it said something last, on the monotonic clock.
        listener: the thread.
    """

    job: Job
    process: subprocess.Popen[bytes]
    stderr: IO[bytes]
    heard: float = field(default_factory=time.monotonic)
    listener: threading.Thread | None = None

    @classmethod
    def start(
        cls, job: Job, command: Sequence[str], environment: Mapping[str, str] | None, said: Records
    ) -> Child:
        """Start a process, and a thread that puts what it says into ``said``."""
        stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the process has ended)
        # In a session of its own, Ctrl-C in a terminal does not reach it but through us, once.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
            env=environment, start_new_session=True,
        )  # fmt: skip
        child = cls(job, process, stderr)
        child.listener = threading.Thread(target=child._listen, args=(said,), daemon=True)
        child.listener.start()
        return child

    def _listen(self, said: Records) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                said.put(self, line)

    def finish(self, said: Records) -> Iterator[tuple[Child, bytes]]:
        """Wait for the last words of a process that has ended, and yield what was said."""
        assert self.listener is not None
        self.listener.join(LAST_WORDS_SECONDS)  # a process that it started may hold the pipe
        yield from said.take()

    def describe_hang(self, seconds: float) -> bytes:
        """Write the record of a process that said nothing for so long, in its place."""
        text = f"killed: it hung, with no frame for {seconds:.0f} s"
        return json.dumps({"event": "error", "text": text, "own_fault": True}).encode()

    def close(self) -> str:
        """Read the end of its stderr, and close it."""
        with self.stderr:
            return self.last_words()

    def interrupt(self) -> None:
        """Ask it to finish its files and end; asked again, it ends at once."""
        if sys.platform != "win32":  # the console interrupts every process there
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once, with every process that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """Read the end of its stderr."""
        self.stderr.seek(0, os.SEEK_END)
        self.stderr.seek(max(0, self.stderr.tell() - STDERR_BYTES))
        return self.stderr.read().decode(errors="replace")


class Pool:
    """Runs jobs as processes.

    Args:
        jobs: all of them, in order; those that wait are run.
        command: makes a job's command line.
        observer: what is called when a job begins or ends.
        at_once: how many may run at a time.
        environment: of the processes.
        retries: how often a job that failed is begun again.
        debug: whether to show what processes write on stderr.
        max_silent_seconds: after which a process that says nothing is killed.

    Attributes:
        interrupted: whether `interrupt` was called.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        command: Callable[[Job], list[str]],
        observer: Observer,
        *,
        at_once: int,
        environment: Mapping[str, str] | None = None,
        retries: int = 0,
        debug: bool = False,
        max_silent_seconds: float = MAX_SILENT_SECONDS,
    ) -> None:
        self.interrupted = False
        self._jobs, self._command, self._observer = jobs, command, observer
        self._at_once, self._retries, self._debug = at_once, retries, debug
        self._environment = environment
        self._max_silent_seconds = max_silent_seconds
        self._running: list[Child] = []
        self._records = Records()

    def run(self) -> None:
        """Run what is waiting. After `interrupt`, nothing more is begun and the rest finishes."""
        try:
            while self._start_waiting() or self._running:
                self._take(self._records.take(POLL_SECONDS))
                for child in list(self._running):
                    if child.process.poll() is not None:
                        self._end(child)
                    elif time.monotonic() - child.heard > self._max_silent_seconds:
                        take_record(child.job, child.describe_hang(self._max_silent_seconds))
                        child.kill()
                self._observer.tick()
        finally:
            for child in self._running:  # something went wrong on our side
                child.interrupt()
                child.process.wait()

    def interrupt(self, times: int = 1) -> None:
        """Finish what is begun, and begin no more.

        Args:
            times: how often the user has asked; from the third time on, processes are killed.
        """
        self.interrupted = True
        for child in list(self._running):
            if times < 3:
                child.interrupt()
            else:
                child.kill()

    def _start_waiting(self) -> bool:
        """Start as many jobs as may run; report whether there were any."""
        room = 0 if self.interrupted else self._at_once - len(self._running)
        waiting = [job for job in self._jobs if job.state == "waiting"][:room]
        for job in waiting:
            job.begin()
            self._observer.started(job)
            self._start(job)
        return bool(waiting)

    def _start(self, job: Job) -> None:
        child = Child.start(job, self._command(job), self._environment, self._records)
        self._running.append(child)
        if self.interrupted:
            child.interrupt()

    def _take(self, said: Iterable[tuple[Child, bytes]]) -> None:
        for child, line in said:
            child.heard = time.monotonic()
            take_record(child.job, line)

    def _end(self, child: Child) -> None:
        """Note how a job ended."""
        self._take(child.finish(self._records))
        self._running.remove(child)
        job, words = child.job, child.close()
        if self._debug:
            sys.stderr.write(words)
        code = child.process.returncode
        end_job(job, code, words, retries=self._retries, interrupted=self.interrupted)
        if job.state != "waiting":
            self._observer.ended(job)


def take_record(job: Job, line: bytes) -> None:
    """Note what the process of a job said; what is no record is ignored."""
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        record = json.loads(line)
        match record["event"]:
            case "opened":
                job.total = record["total"]
            case "progress":
                job.frames = record["frames"]
            case "warning":
                log.warning("%s: %s", describe(job.source), record["text"])
            case "result":
                totals = job.totals = record["totals"]
                job.frames = job.total = totals["frames"]
                measured = totals["frames"], totals["faces"], totals["seconds"]
                job.figures = Figures(*measured, record["duration"])
            case "error":
                job.error, job.own_fault = record["text"], record["own_fault"]


def end_job(job: Job, code: int, words: str, *, retries: int, interrupted: bool) -> None:
    """Set the state of a job whose process has ended.

    Args:
        job: it waits again if it may be tried again.
        code: of the process.
        words: the end of its stderr.
        retries: how often a job that failed is begun again.
        interrupted: whether the batch was.
    """
    if code == 0:
        job.state = "done"
    elif interrupted and (code == 130 or code < 0):
        job.state = "interrupted"
    elif job.attempts <= retries and not interrupted:
        job.state = "waiting"
        why = job.error or _describe(code, words)
        log.warning("%s: %s; trying again", describe(job.source), why)
    else:
        if job.error is None:
            job.error, job.own_fault = _describe(code, words), True
        job.fail(job.error)


def _describe(code: int, words: str) -> str:
    """Describe the end of a process that said nothing of an error."""
    how = f"ended with exit code {code}"
    if code < 0:
        with contextlib.suppress(ValueError):
            how = f"ended by {signal.Signals(-code).name}"
    lines = [line for line in words.splitlines() if line.strip()]
    return clean_text(f"{how}: {lines[-1].strip()}") if lines else how
