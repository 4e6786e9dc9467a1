"""The journal of an output folder: what batches began and finished in it.

A JSON object a line, and the latest one of a name counts. Thus the same command does what is
missing or has changed, and nothing else. Each shard of a plan has a journal of its own beside the
common one, and everyone reads them all.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .._version import __version__
from ..errors import SinkError
from ..output import append_to, try_lock
from .plan import Figures, Job, Shard
from .store import describe, stamp_of

#: Name of the journal in the output folder, and of all that are there with those of shards.
JOURNAL, JOURNALS = ".facereg-batch.jsonl", ".facereg-batch*.jsonl"

#: How a job can end or stand, as the journal has it.
Event = Literal["started", "done", "failed", "interrupted"]

#: What two lines have in common if they are about the same version of a source.
SOURCE_KEYS = ("source", "size", "time", "checksum")

Entry = dict[str, Any]


class Journal:
    """The journal of one batch. It is open, and locked, as long as the batch runs.

    Args:
        folder: the output folder; of outputs in a store, the local one that stands for it.
        outputs: from where the names of the outputs count, if it is another folder.
        options: what the outputs depend on, as plain JSON values.
        shard: the part of the plan that this batch does, if there are others. Batches of different
            shards may be at work in the folder at the same time.

    Raises:
        SinkError: the folder cannot be written to, or another batch is at work in it.
    """

    def __init__(
        self,
        folder: Path,
        options: Mapping[str, Any],
        shard: Shard | None = None,
        *,
        outputs: Path | None = None,
    ) -> None:
        self._base = folder if outputs is None else outputs
        self._folder, self._options = folder, json.loads(json.dumps(options))
        with contextlib.ExitStack() as opened:
            self._path = folder / JOURNAL
            self._file = opened.enter_context(append_to(self._path))
            free = try_lock(self._file, "write" if shard is None else "read")
            if shard is not None and free:
                self._path = folder / f"{Path(JOURNAL).stem}.{shard.number}-of-{shard.total}.jsonl"
                self._file = opened.enter_context(append_to(self._path))
                free = try_lock(self._file)
            if not free:
                what = "" if shard is None else f", or the same shard {shard},"
                raise SinkError(f"{folder}: another facereg batch{what} is writing into it")
            self._last = read_entries(folder)
            self._end_torn_line()
            self._opened = opened.pop_all()

    @property
    def tries(self) -> Path:
        """A hidden folder beside it, for what is not finished; nobody else uses it."""
        return self._path.with_suffix(".tries")

    def decide(self, job: Job, *, overwrite: bool = False, retry_failed: bool = False) -> None:
        """Decide whether a job must run, and whether it may: skip it, fail it, or let it wait.

        What stands under the name of a job that was begun and not finished is that job's, and may
        be replaced. So may what was made of an earlier version of its source.

        Args:
            job: its state is changed.
            overwrite: whether it may replace what is not its own.
            retry_failed: whether it runs if its recording failed before by its own fault.
        """
        if job.state == "failed":
            return
        there = [path for path in job.outputs.values() if path.exists()]
        last, own = self._last.get(job.name, {}), self._entry(job, "done")
        source = all(last.get(key) == own.get(key) for key in SOURCE_KEYS)
        options = last.get("options") == self._options
        ours = all(last.get("outputs", {}).get(self._key(p)) == _noted(p) for p in there)
        if last.get("state") == "done" and source and options and last["outputs"] == own["outputs"]:
            job.state, job.figures = "skipped", read_figures(last)
        elif last.get("own_fault") and source and options and not retry_failed:
            job.fail(f"{last.get('error')} (in an earlier batch; --retry-failed tries it again)")
        elif there and not overwrite and (refusal := _refuse(last, ours=ours, options=options)):
            job.fail(f"{describe(there[0])} is there, {refusal}; --overwrite replaces it")
        else:
            job.replaces = bool(there)
            job.resumes = source and options and last.get("version") == __version__

    def write(self, job: Job, event: Event) -> None:
        """Add a line.

        Raises:
            SinkError: it cannot be written.
        """
        entry = self._entry(job, event)
        if job.error is not None:
            entry |= {"error": job.error, "own_fault": job.own_fault}
        if job.figures is not None:
            entry |= job.figures._asdict()
        self._last[job.name] = entry
        self._append(f"{json.dumps(entry)}\n".encode())

    def knows(self, job: Job) -> bool:
        """Whether there is a line about a job."""
        return job.name in self._last

    def close(self) -> None:
        """Let other batches in."""
        self._opened.close()

    def _entry(self, job: Job, event: Event) -> Entry:
        """Describe a job as it is now."""
        made = {} if job.fingerprint is None else job.fingerprint._asdict()
        return {
            "name": job.name,
            "state": event,
            "at": round(time.time(), 3),
            "source": job.source.name,
            "path": describe(job.source),
            **made,
            "version": __version__,
            "options": self._options,
            "outputs": {self._key(path): _noted(path) for path in job.outputs.values()},
        }

    def _key(self, path: Path) -> str:
        return path.relative_to(self._base).as_posix()

    def _append(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as e:
            raise SinkError(f"{self._path}: {e.strerror or e}") from e

    def _end_torn_line(self) -> None:
        """End a line that was cut off when power failed, so that the next one is whole."""
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(-1, io.SEEK_END)
            if file.read() != b"\n":
                self._append(b"\n")


def read_entries(folder: Path) -> dict[str, Entry]:
    """Read the journals of a folder: the latest line of each name. Damaged ones are left out.

    Raises:
        SinkError: one cannot be read.
    """
    entries = []
    try:
        for path in sorted(folder.glob(JOURNALS)):
            entries += [entry for line in path.read_bytes().splitlines() if (entry := _parse(line))]
    except OSError as e:
        raise SinkError(f"{e.filename}: {e.strerror or e}") from e
    return {entry["name"]: entry for entry in sorted(entries, key=lambda entry: entry["at"])}


def _parse(line: bytes) -> Entry | None:
    with contextlib.suppress(ValueError, RecursionError):  # cut off when power failed
        entry = json.loads(line)
        known = isinstance(entry, dict) and isinstance(entry.get("name"), str)
        entry = {"at": 0, "outputs": {}, **entry} if known else {}
        if isinstance(entry.get("outputs"), dict) and isinstance(entry["at"], int | float):
            return entry
    return None


def read_figures(entry: Entry) -> Figures | None:
    """Read the figures of a line, if it has them."""
    values = [entry.get(name) for name in Figures._fields]
    known = [value for value in values if isinstance(value, int | float)]
    return Figures(int(known[0]), int(known[1]), *known[2:]) if len(known) == len(values) else None


def _noted(path: Path) -> list[int]:
    """Describe an output without its time, so that a copy of the folder is as good."""
    found = stamp_of(path)
    return [] if found is None else list(found[:2])


def _refuse(last: Entry, *, ours: bool, options: bool) -> str | None:
    """Say why existing outputs may not be replaced, if they may not.

    Args:
        last: the last line about their job; empty if there is none.
        ours: whether they are as that job left them.
        options: whether it had the same options.
    """
    if not last:
        return "made not by facereg batch"
    if last.get("state") != "done":
        return None
    if not ours:
        return "changed since facereg batch made it"
    return None if options else "made with other options"
