"""The summary of a batch: a table with a row for each recording."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import SinkError, clean_text
from ..output import write_file
from .journal import read_entries, read_figures
from .plan import SUMMARY, Figures, Job
from .store import describe

#: What the summary says of a recording that was neither done nor failed.
UNFINISHED = {"interrupted": "interrupted", "waiting": "not begun", "started": "not finished"}


class Row(NamedTuple):
    """A row of the summary.

    Attributes:
        path: the recording.
        frames, faces, seconds, duration: its figures; None if it was not processed.
        error: why it was not.
    """

    path: str
    frames: int | None
    faces: int | None
    seconds: float | None
    duration: float | None
    error: str | None


def make_row(path: str, state: str, figures: Figures | None, error: str | None) -> Row:
    """Make the row of a recording.

    Args:
        path: the recording.
        state: how far it is, as a job or the journal has it.
        figures: of its run, if there was one.
        error: why it failed.
    """
    reason = error or UNFINISHED.get(state)
    frames, faces, seconds, duration = figures or (None, None, None, None)
    shown = reason and clean_text(reason)
    return Row(clean_text(path), frames, faces, seconds, duration, shown)


def summarize(jobs: Iterable[Job]) -> list[Row]:
    """Make a row for each job."""
    return [make_row(describe(job.source), job.state, job.figures, job.error) for job in jobs]


def merge(folder: Path, jobs: Iterable[Job] = ()) -> list[Row]:
    """Make the rows of all that the journals of a folder know, whichever batch or shard did it.

    Args:
        folder: the output folder.
        jobs: a plan. What the journals do not know of it gets a row, too.

    Raises:
        SinkError: a journal cannot be read, or there is none.
    """
    entries = read_entries(folder)
    if not entries:
        raise SinkError(f"{folder}: no facereg batch has written into it")
    rows = {
        name: make_row(
            str(entry.get("path") or entry.get("source")),
            str(entry.get("state")),
            read_figures(entry) if entry.get("state") == "done" else None,
            entry.get("error"),
        )
        for name, entry in entries.items()
    }
    unknown = {job.name: job for job in jobs if job.name not in entries}
    rows |= dict(zip(unknown, summarize(unknown.values()), strict=True))
    return [rows[name] for name in sorted(rows)]


def write_summary(folder: Path, rows: Iterable[Row]) -> Path:
    """Write the table into the output folder, in place of an earlier one; return its path.

    Raises:
        SinkError: it cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Row._fields)
    table.writerows(rows)
    path = folder / SUMMARY
    write_file(path, text.getvalue().encode())
    return path
