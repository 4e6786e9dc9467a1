"""Where an output goes: checks before it is begun, the temporary name, room on the disk."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from .errors import SinkError

log = logging.getLogger(__name__)


def check_file(path: Path, endings: tuple[str, ...], overwrite: bool) -> None:
    """Check that a file may be written.

    Raises:
        SinkError: a wrong ending, no such folder, or it exists and is not to be overwritten.
    """
    if path.suffix.lower() not in endings:
        raise SinkError(f"{path}: the name must end in {' or '.join(endings)}")
    check_parent(path)
    if path.is_dir():
        raise SinkError(f"{path} is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise SinkError(f"{path} exists; --overwrite replaces it")


def check_parent(path: Path) -> None:
    """Check that the folder that something is to be written into exists.

    Raises:
        SinkError: it does not.
    """
    folder = path.parent
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist; create it first"
        raise SinkError(f"{path}: the folder {folder} {problem}")


def temporary(path: Path) -> Path:
    """Create an empty file beside ``path``, to be renamed to it when complete.

    What a killed run has left there is named in the log and kept.

    Raises:
        SinkError: the folder cannot be written to.
    """
    number = 0
    while True:
        number += 1
        tail = f".part{number if number > 1 else ''}{path.suffix}"
        part = path.with_name(f".{path.stem}{tail}")
        try:
            if part.exists() and not part.stat().st_size:
                part.unlink()  # killed before anything was in it
            part.touch(exist_ok=False)
        except FileExistsError:
            log.warning(
                "%s was left by an earlier run that was cut off: move it to keep it, or delete it",
                part,
            )
        except OSError as e:
            raise SinkError(f"{path}: cannot write there: {e.strerror or e}") from e
        else:
            return part


def commit(part: Path, path: Path, overwrite: bool) -> None:
    """Rename a complete temporary file to its final name.

    Raises:
        SinkError: it cannot be; the temporary file is kept.
    """
    if path.exists() and not overwrite:
        raise SinkError(f"{path} appeared in the meantime; what was written is in {part}")
    try:
        os.replace(part, path)
    except OSError as e:
        raise SinkError(f"{path}: {e.strerror or e}; what was written is in {part}") from e


def discard(*paths: Path | None) -> None:
    """Remove temporary files, where they exist."""
    for path in paths:
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()


def check_room(path: Path, needed: float, what: str) -> None:
    """Check that the disk has room.

    Raises:
        SinkError: it has not.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise SinkError(
            f"{path}: {what} needs about {_megabytes(needed)}, and {path.parent.resolve()} has "
            f"{_megabytes(free)} free"
        )


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count < 100e6 else f"{count / 1e9:.1f} GB"


def stamp(path: Path) -> list[int] | None:
    """Count a file's, or a folder's, files and bytes, and tell the last change in nanoseconds."""
    try:
        files = [path] if path.is_file() else [p for p in path.iterdir() if p.is_file()]
        found = [file.stat() for file in files]
    except OSError:
        return None
    last = max((s.st_mtime_ns for s in found), default=0)
    return [len(found), sum(s.st_size for s in found), last]


def replace(path: Path, data: bytes) -> None:
    """Write a whole file under a temporary name and rename it.

    Raises:
        SinkError: it cannot be written; nothing is left under the final name.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise SinkError(f"{path}: {e.strerror or e}") from e
