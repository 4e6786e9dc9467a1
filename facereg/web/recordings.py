"""The finished recordings of the cameras: found on the disk, by their names alone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..types import utc_text
from .camera import Config

#: The time in the name of a recording that was begun by a button, or of a segment.
UTC = r"(\d{8}T\d{6}(?:\.\d{3})?Z)(?:-\d+)?"

#: What browsers are told that a file is.
TYPES = {
    ".mp4": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska",
    ".webm": "video/webm",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A finished recording.

    Attributes:
        camera: the camera's name.
        path: the file.
        size: bytes.
        started: when it begins, if its name says so, else when it was finished; UTC.
    """

    camera: str
    path: Path
    size: int
    started: datetime

    def describe(self) -> dict[str, Any]:
        """Describe it in plain values."""
        return {
            "camera": self.camera,
            "file": self.path.name,
            "bytes": self.size,
            "started": utc_text(self.started),
            "url": f"recordings/{self.camera}/{self.path.name}",
            "plays": self.path.suffix in (".mp4", ".webm"),
        }


class Shelf:
    """Finds the recordings of some cameras.

    Of a camera whose view hides something, only those are found that are sure to hide it: what a
    button recorded under such a view, and what it has written itself since the server began.

    Args:
        configs: the cameras.
    """

    def __init__(self, configs: Sequence[Config]) -> None:
        self._configs = configs
        self._began = time.time()

    def all(self) -> list[Found]:
        """List every finished recording, the newest first."""
        found = {f.path.resolve(): f for config in self._configs for f in self._of(config)}
        return sorted(found.values(), key=lambda f: f.started, reverse=True)

    def find(self, camera: str, name: str) -> Found | None:
        """Find a recording."""
        return next((f for f in self.all() if (f.camera, f.path.name) == (camera, name)), None)

    def _of(self, config: Config) -> Iterator[Found]:
        marked = "-hidden" if config.hides else "(?:-hidden)?"
        by_button = rf"{re.escape(config.name)}-{UTC}{marked}(?:-\d+)?\.mp4"
        yield from self._matching(config, Path(config.folder), by_button, 0.0)
        since = self._began if config.hides else 0.0
        for output in map(Path, config.outputs):
            stem, suffix = re.escape(output.stem), re.escape(output.suffix)
            yield from self._matching(config, output.parent, rf"{stem}(?:-{UTC})?{suffix}", since)

    def _matching(
        self, config: Config, folder: Path, pattern: str, since: float
    ) -> Iterator[Found]:
        try:
            paths = list(folder.iterdir())
        except OSError:
            return
        for path in paths:
            match = re.fullmatch(pattern, path.name)
            if match is None or path.is_symlink() or not path.is_file():
                continue
            try:
                stat = path.stat()
            except OSError:
                continue
            if stat.st_mtime >= since:
                yield Found(config.name, path, stat.st_size, _started(match[1], stat.st_mtime))


def _started(text: str | None, changed: float) -> datetime:
    if text is None:
        return datetime.fromtimestamp(changed, timezone.utc)
    form = "%Y%m%dT%H%M%S.%fZ" if "." in text else "%Y%m%dT%H%M%SZ"
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
