"""Write a mask dump, frame by frame: maps first, then the line that says they are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ..errors import SinkError
from ..output import append_to, create_file, write_file
from . import repair
from .lines import LINES, Line
from .manifest import MANIFEST, Manifest, encode_json, read_manifest
from .writers import CONTAINERS, MAX_BUFFERED_FRAMES, FrameMaps


class DumpWriter:
    """Writes the frames of one run into a folder.

    Args:
        folder: where; it is empty but for what is kept of an earlier run.
        manifest: of the dump.
        kept: the lines of an earlier run that this one goes on from.

    Attributes:
        manifest: as given.
        kept: the indices of these frames.
        count: lines written, those that were kept included.
        flushed: index of the last frame that, with all before it, a crash leaves so that a run can
            go on from there; -1 if there is none.

    Raises:
        SinkError: it cannot be written.
    """

    def __init__(self, folder: Path, manifest: Manifest, kept: Sequence[Line]) -> None:
        self.kept = frozenset(line["index"] for line in kept)
        self.count = len(kept)
        self._folder, self.manifest = folder, manifest
        self._latest: deque[int] = deque(maxlen=MAX_BUFFERED_FRAMES + 1)  # indices of last lines
        self._latest.extend(line["index"] for line in kept)
        self._was_complete = bool(kept) and _is_complete(folder, len(kept))
        write_file(folder / MANIFEST, manifest.encode())
        self._lines = append_to(folder / LINES) if kept else create_file(folder / LINES)
        self._container = CONTAINERS[manifest.format](folder, manifest)
        # Whether the only copy of the frames that were kept is in videos that were moved aside.
        self._aside = bool(kept) and manifest.format == "ffv1"
        try:
            if self._aside:
                repair.copy_back(folder, manifest, kept, self._container)
        except BaseException:
            self.abandon()
            raise
        self.flushed = self._find_flushed()

    def add(self, line: Line, maps: FrameMaps) -> None:
        """Write a frame's maps and, as soon as they are in files, its line.

        Raises:
            SinkError: they cannot be written.
        """
        self._append(self._container.add(line, maps))
        self.flushed = self._find_flushed()
        if self._aside and self.flushed > max(self.kept):
            self._aside = False
            repair.remove_aside(self._folder)  # a second crash goes on from here

    def close(self) -> None:
        """Write what is left.

        Raises:
            SinkError: it cannot be written.
        """
        try:
            lines = self._container.close()
            self.flushed = self._find_flushed()  # a chunk that is not full is made again
            self._append(lines)
            repair.remove_aside(self._folder)
        except BaseException:
            self._container.abandon()
            raise
        finally:
            self._lines.close()

    def finish(self, *, complete: bool) -> None:
        """Write the manifest as it is after the run.

        A complete dump to which a run that failed has added nothing is still complete.

        Raises:
            SinkError: it cannot be written.
        """
        unchanged = self._was_complete and self.count == len(self.kept)
        done = self.manifest.completed(self.count, complete or unchanged)
        write_file(self._folder / MANIFEST, done.encode())

    def abandon(self) -> None:
        """Release everything after a failure; what is there can be resumed."""
        self._container.abandon()
        self._lines.close()

    def _find_flushed(self) -> int:
        buffered = self._container.buffered
        return self._latest[-1 - buffered] if len(self._latest) > buffered else -1

    def _append(self, lines: Sequence[Line]) -> None:
        for line in lines:
            data = encode_json(line)
            try:
                written = self._lines.write(data)
            except OSError as e:
                raise SinkError(f"{self._folder / LINES}: {e.strerror or e}") from e
            if written != len(data):
                raise SinkError(f"{self._folder / LINES}: no room for a whole line")
            self.count += 1
            self._latest.append(line["index"])


def _is_complete(folder: Path, frames: int) -> bool:
    """Whether a dump that was repaired was complete before, and has so many frames still."""
    old = read_manifest(folder)
    return old.complete and old.values["frames"] == frames
