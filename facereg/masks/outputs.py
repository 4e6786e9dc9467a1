"""What an unfinished run wrote besides its masks, and the run that resumes it may replace.

It is noted in a hidden file of the dump until a run has come to its own end: when the run begins,
the names, as a kill may come between one file's completion and the next; and after Ctrl-C or an
error, the files exactly.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from ..errors import SinkError
from ..output import discard, read_inside, stamp, write_file
from .repair import OUTPUTS, is_dump

#: Nanoseconds by which a file system's clock may be behind.
CLOCK_TOLERANCE = 2_000_000_000

#: What is known of a file: its stamp, or the earliest change that can be the run's, in nanoseconds.
Note = list[int] | int | None


def plan_outputs(folder: Path, paths: Iterable[Path]) -> None:
    """Note what else a run will write, as it begins.

    Args:
        folder: the dump's.
        paths: the other outputs.

    Raises:
        SinkError: it cannot be noted.
    """
    since = time.time_ns() - CLOCK_TOLERANCE
    planned: dict[str, Note] = {os.path.realpath(path): since for path in paths}
    if planned:
        _write(folder, planned | _read(folder))


def remember_outputs(folder: Path, paths: Iterable[Path]) -> None:
    """Note the other outputs of a run that has left a dump unfinished.

    Args:
        folder: the dump's.
        paths: the other outputs.
    """
    stamps: dict[str, Note] = {
        os.path.realpath(path): stamp(path) for path in paths if path != folder
    }
    if stamps and is_dump(folder):
        with contextlib.suppress(SinkError):  # then they are replaced only with --overwrite
            _write(folder, _read(folder) | stamps)


def forget_outputs(folder: Path) -> None:
    """Remove the note: the run came to its end."""
    discard(folder / OUTPUTS)


def is_replaceable(folder: Path, path: Path) -> bool:
    """Report whether a file is what an unfinished run wrote, unchanged since.

    Args:
        folder: of the dump that the run left.
        path: the file.
    """
    noted, found = _read(folder).get(os.path.realpath(path)), stamp(path)
    if noted is None or found is None:
        return False
    return found == noted if isinstance(noted, list) else found[2] >= noted


def _read(folder: Path) -> dict[str, Note]:
    try:
        return dict(json.loads(read_inside(folder / OUTPUTS)))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def _write(folder: Path, notes: dict[str, Note]) -> None:
    write_file(folder / OUTPUTS, json.dumps(notes).encode())
