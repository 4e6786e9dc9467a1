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
    now, before = time.time_ns() - CLOCK_TOLERANCE, _read(folder)
    planned: dict[str, Note] = {
        os.path.realpath(path): _first_change(path, before.get(os.path.realpath(path)), now)
        for path in paths
    }
    if planned:
        _write(folder, before | planned)


def _first_change(path: Path, noted: Note, now: int) -> int:
    """Find the earliest change that can be the run's, or that of a run that it goes on with."""
    if isinstance(noted, int):
        return noted
    if noted is None or stamp(path) != noted:
        return now
    return min((found[2] for file in _files(path) if (found := stamp(file))), default=now)


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
        path: the file, or a folder of pictures.
    """
    noted = _read(folder).get(os.path.realpath(path))
    if isinstance(noted, list):
        return stamp(path) == noted
    return noted is not None and all(_is_newer(file, noted) for file in _files(path))


def _files(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except NotADirectoryError:
        return [path]
    except OSError:
        return []


def _is_newer(path: Path, since: int) -> bool:
    found = stamp(path)
    return found is not None and found[2] >= since


def _read(folder: Path) -> dict[str, Note]:
    try:
        return dict(json.loads(read_inside(folder / OUTPUTS)))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def _write(folder: Path, notes: dict[str, Note]) -> None:
    write_file(folder / OUTPUTS, json.dumps(notes).encode())
