"""The jobs of a batch: what each is, their processes, and the journal of what was finished."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import SinkError
from .terminal import rewrite_line, signals_handled_by

log = logging.getLogger(__name__)

#: Variables by which the libraries below us are told how many threads to use.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM",
           "OPENCV_FFMPEG_THREADS")  # fmt: skip

#: Seconds between two looks at the processes, and columns of the bar.
PAUSE, WIDTH = 0.1, 30


@dataclass
class Job:
    """One input.

    Attributes:
        name: by which its outputs are called.
        source: the file or folder.
        pictures: whether it is pictures, which become a folder of pictures.
        outputs: ``run``'s flags, and what each writes.
        stamp: of the source, before it is read; None where there is none.
        state: waiting, running, done, skipped, failed or interrupted.
        error: why it failed.
        totals: what ``run --json`` told.
        replaces: whether it replaces what is there.
    """

    name: str
    source: Path
    pictures: bool
    outputs: dict[str, Path]
    stamp: list[int] | None
    state: str = "waiting"
    error: str | None = None
    totals: dict[str, Any] | None = None
    replaces: bool = False

    def fail(self, reason: str) -> None:
        """Note that it failed, and say so."""
        self.state, self.error = "failed", reason
        log.error("%s: %s", self.source, reason)

    def as_json(self) -> dict[str, Any]:
        """Write it as plain values."""
        there = self.state in ("done", "skipped", "interrupted")
        return {
            "source": str(self.source),
            "state": self.state,
            "outputs": [str(p) for p in self.outputs.values() if p.exists()] if there else [],
            "error": self.error,
            "totals": self.totals,
        }


class Journal:
    """A JSON object a line: what batches began and finished in a folder.

    The last line of each name counts. The file is open, and locked, as long as its batch runs.

    Raises:
        SinkError: the folder cannot be written to, or another batch is at work in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("a+", encoding="utf-8")
        except OSError as e:
            raise SinkError(f"{path}: {e.strerror or e}") from e
        self._lock()
        self._file.seek(0)
        text = self._file.read()
        self._last: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):  # cut off when power failed
                entry = json.loads(line)
                self._last[entry["name"]] = entry
        if text and not text.endswith("\n"):
            self._file.write("\n")

    def _lock(self) -> None:
        if sys.platform != "win32":  # which has no such locks
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                folder = self._path.parent
                raise SinkError(f"{folder}: another facereg batch is writing into it") from None

    def last(self, name: str) -> dict[str, Any]:
        """Find the last line of a name; empty if there is none."""
        return self._last.get(name, {})

    def write(self, entry: dict[str, Any]) -> None:
        """Add a line."""
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Let others in."""
        self._file.close()


@dataclass
class Child:
    """The process of a job. It writes into files, so that it never waits for us to read."""

    job: Job
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]

    def tell(self) -> None:
        """Have it finish its files and end."""
        if sys.platform != "win32":  # where the console tells every process by itself
            self.process.send_signal(signal.SIGINT)

    def texts(self) -> tuple[str, str]:
        """Take what it wrote on stdout and stderr."""
        with self.out, self.err:
            self.out.seek(0)
            self.err.seek(0)
            return self.out.read().decode(errors="replace"), self.err.read().decode(
                errors="replace"
            )


class Pool:
    """Runs jobs as processes, so many at a time.

    Args:
        jobs: all of them, in order.
        at_once: how many may run at a time.
        threads: how many each may compute with; 0 for as many as it likes.
        debug: whether to show what they write on stderr.

    Attributes:
        interrupted: whether a signal came.
    """

    def __init__(self, jobs: Sequence[Job], at_once: int, threads: int, debug: bool) -> None:
        self.interrupted = False
        self._jobs, self._at_once, self._debug = jobs, at_once, debug
        self._environment = {**os.environ}
        if threads:
            self._environment.update(dict.fromkeys(THREADS, str(threads)))
        self._running: list[Child] = []
        self._start = time.monotonic()
        self._ended = 0.0  # seconds when the last one did

    def run(
        self,
        command: Callable[[Job], list[str]],
        note: Callable[[Job, str], None],
        *,
        show: bool,
    ) -> None:
        """Run what is waiting; after a signal, begin nothing more and let the rest finish.

        Args:
            command: makes a job's command line.
            note: is told of each job that is ``started`` and that is ``done``.
            show: whether to keep a line about it on the terminal.
        """
        with signals_handled_by(self._end):
            try:
                while self._begin_more(command, note) or self._running:
                    time.sleep(PAUSE)
                    for child in [c for c in self._running if c.process.poll() is not None]:
                        self._running.remove(child)
                        self._finish(child)
                        if child.job.state == "done":
                            note(child.job, "done")
                    if show:
                        rewrite_line(self.progress())
            finally:
                for child in self._running:  # something went wrong on our side
                    if not self.interrupted:
                        child.tell()
                    child.process.wait()
        if show:
            rewrite_line(self.progress(), "\n")

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._start

    def progress(self) -> str:
        """Write it in one line. The bar goes by the bytes of the inputs."""
        states = Counter(job.state for job in self._jobs)
        ended = len(self._jobs) - states["waiting"] - states["running"]
        sizes: Counter[str] = Counter()
        for job in self._jobs:
            sizes[job.state] += job.stamp[1] if job.stamp else 0
        past, left = sizes["done"] + sizes["failed"], sizes["waiting"] + sizes["running"]
        share = past / max(1, past + left)
        filled = round(share * WIDTH)
        text = f"{'█' * filled}{'░' * (WIDTH - filled)} {ended}/{len(self._jobs)} files"
        if states["failed"]:
            text += f", {states['failed']} failed"
        if self.interrupted:
            text += "  finishing"
        elif share:
            seconds = self._ended / share - self.seconds
            text += f"  {max(0.0, seconds):.0f} s left"
        return f"{text}  {', '.join(child.job.source.name for child in self._running)}"

    def _begin_more(
        self, command: Callable[[Job], list[str]], note: Callable[[Job, str], None]
    ) -> bool:
        """Begin what may begin; tell whether anything did."""
        room = 0 if self.interrupted else self._at_once - len(self._running)
        waiting = [job for job in self._jobs if job.state == "waiting"][:room]
        for job in waiting:
            job.state = "running"
            note(job, "started")
            out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  (texts)
            # In a session of its own, Ctrl-C in a terminal does not reach it but through us, once.
            process = subprocess.Popen(
                command(job), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=self._environment, start_new_session=True,
            )  # fmt: skip
            child = Child(job, process, out, err)
            self._running.append(child)
            if self.interrupted:
                child.tell()
        return bool(waiting)

    def _finish(self, child: Child) -> None:
        """Note how a job ended."""
        job, code = child.job, child.process.returncode
        self._ended = self.seconds
        out, err = child.texts()
        if self._debug:
            sys.stderr.write(err)
        err = err.replace(f": {job.source.absolute()}: ", ": ")  # we name it ourselves
        for line in err.splitlines():
            if line.startswith("facereg: warning: "):
                log.warning("%s: %s", job.source, line.removeprefix("facereg: warning: "))
        with contextlib.suppress(ValueError):
            job.totals = json.loads(out)
        if code == 0:
            job.state = "done"
        elif self.interrupted and (code == 130 or code < 0):
            job.state = "interrupted"
        else:
            job.fail(_reason(err, code))

    def _end(self, *_: object) -> None:
        self.interrupted = True
        for child in self._running:
            child.tell()


def _reason(err: str, code: int) -> str:
    """Find why a process failed in what it wrote on stderr."""
    lines = [line for line in err.splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith("facereg: error: "):
            return line.removeprefix("facereg: error: ")
    how = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"{how}: {lines[-1].strip()}" if lines else how
