"""What an unfinished run wrote besides its masks, and the run that resumes it may replace.

It is noted in a hidden file of the dump until a run has come to its end.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import SinkError
from ..output import discard, stamp, write_file
from .repair import OUTPUTS, is_dump


def remember_outputs(folder: Path, paths: Iterable[Path]) -> None:
    """Note the other outputs of a run that has left a dump unfinished.

    Args:
        folder: the dump's.
        paths: the other outputs.
    """
    stamps = {os.path.realpath(path): stamp(path) for path in paths if path != folder}
    if stamps and is_dump(folder):
        with contextlib.suppress(SinkError):  # then they are replaced only with --overwrite
            write_file(folder / OUTPUTS, json.dumps(_read(folder) | stamps).encode())


def forget_outputs(folder: Path) -> None:
    """Remove the note: the run came to its end."""
    discard(folder / OUTPUTS)


def is_replaceable(folder: Path, path: Path) -> bool:
    """Report whether a file is what an unfinished run wrote, unchanged since.

    Args:
        folder: of the dump that the run left.
        path: the file.
    """
    return stamp(path) is not None and _read(folder).get(os.path.realpath(path)) == stamp(path)


def _read(folder: Path) -> dict[str, list[int] | None]:
    try:
        return dict(json.loads((folder / OUTPUTS).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}
