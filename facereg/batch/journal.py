"""The journal of an output folder: what batches began and finished in it.

A JSON object a line, and the last one of a name counts. Thus the same command skips what is
finished, and begins again what is not.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .._version import __version__
from ..errors import SinkError
from ..output import stamp
from .plan import Job

#: Name of the journal, in the output folder.
JOURNAL = ".facereg-batch.jsonl"

#: How a job can end or stand, as the journal has it.
Event = Literal["started", "done", "failed", "interrupted"]


class Journal:
    """The journal of one batch. It is open, and locked, as long as the batch runs.

    Args:
        folder: the output folder.
        options: what the outputs depend on, as plain JSON values.

    Raises:
        SinkError: the folder cannot be written to, or another batch is at work in it.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self._folder, self._options = folder, json.loads(json.dumps(options))
        path = folder / JOURNAL
        try:
            self._file = path.open("a+", encoding="utf-8", errors="replace")
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

    def decide(self, job: Job, *, overwrite: bool) -> None:
        """Decide whether a job must run, and whether it may: skip it, fail it, or let it wait.

        What stands under the name of a job that was begun and not finished is that job's, and may
        be replaced.
        """
        there = [path for path in job.outputs.values() if path.exists()]
        last, own = self._last.get(job.name, {}), self._entry(job, "done")
        if job.state == "failed":
            return
        if there and last == own:
            job.state = "skipped"
        elif there and not overwrite and last.get("state") in (None, "done"):
            what = "from another source or with other options" if last else "not by facereg batch"
            job.fail(f"{there[0]} is there, made {what}; --overwrite replaces it")
        else:
            asked = ("source", "stamp", "version", "options")
            job.replaces = bool(there)
            job.resumes = all(last.get(key) == own[key] for key in asked)

    def write(self, job: Job, event: Event) -> None:
        """Add a line.

        Raises:
            SinkError: it cannot be written.
        """
        entry = self._entry(job, event)
        if job.error is not None:
            entry["error"] = job.error
        try:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
        except OSError as e:
            raise SinkError(f"{self._folder / JOURNAL}: {e.strerror or e}") from e

    def close(self) -> None:
        """Let other batches in."""
        self._file.close()

    def _entry(self, job: Job, event: Event) -> dict[str, Any]:
        """Describe a job. One that was done, and is described so again, is complete."""
        return {
            "name": job.name,
            "state": event,
            "source": job.source.name,
            "stamp": job.stamp,
            "version": __version__,
            "options": self._options,
            # Without their times, so that a copy of the folder is as good.
            "outputs": {
                path.relative_to(self._folder).as_posix(): (stamp(path) or [])[:2]
                for path in job.outputs.values()
            },
        }

    def _lock(self) -> None:
        if sys.platform != "win32":  # which has no such locks
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                raise SinkError(
                    f"{self._folder}: another facereg batch is writing into it"
                ) from None
