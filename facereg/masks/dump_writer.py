"""Write a mask dump, frame by frame: maps first, then the line that says they are there."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ..errors import SinkError
from ..output import append_to, write_file
from . import repair
from .lines import LINES, Line, seal
from .manifest import MANIFEST, Manifest, encode_json
from .repair import Kept
from .writers import CONTAINERS, MAX_BUFFERED_FRAMES, FrameMaps


class DumpWriter:
    """Writes the frames of one run into a folder.

    A dump that is resumed is not touched before the first frame is added to it.

    Args:
        folder: where; it is empty, or has the dump that is resumed.
        manifest: of the dump.
        kept: what is kept of the dump that is resumed; None for a new one.

    Attributes:
        manifest: as given.
        kept: the indices of the frames that are kept.
        count: lines written, those that were kept included.
        flushed: index of the last frame that, with all before it, a crash leaves so that a run can
            go on from there; -1 if there is none.

    Raises:
        SinkError: it cannot be written.
    """

    def __init__(self, folder: Path, manifest: Manifest, kept: Kept | None = None) -> None:
        self.manifest = manifest
        self._folder, self._resumed = folder, kept or Kept()
        indices = [line["index"] for line in self._resumed.lines]
        self.kept, self.count = frozenset(indices), len(indices)
        self.flushed = max(indices, default=-1)
        self._latest = deque(indices, maxlen=MAX_BUFFERED_FRAMES + 1)  # indices of the last lines
        self._container = CONTAINERS[manifest.format](folder, manifest)
        self._lines: io.FileIO | None = None
        # Whether the only copy of the frames that are kept is in videos that are moved aside.
        self._aside = bool(indices) and manifest.format == "ffv1"
        if kept is None:
            self._begin()

    def add(self, line: Line, maps: FrameMaps) -> None:
        """Write a frame's maps and, as soon as they are in files, its line.

        Raises:
            SinkError: they cannot be written.
        """
        if self._lines is None:
            self._begin()
        self._append(self._container.add(line, maps))
        self.flushed = max(self.flushed, self._find_flushed())
        if self._aside and self.flushed > max(self.kept):
            self._aside = False
            repair.remove_aside(self._folder)  # a second crash goes on from here

    def close(self, *, complete: bool, ended: bool) -> None:
        """Write what is left, and the manifest; a dump that nothing was added to stays as it is.

        Args:
            complete: whether the dump is to be complete.
            ended: whether the run came to its own end.

        Raises:
            SinkError: it cannot be written.
        """
        if self._lines is None:
            if self._resumed.is_all or not ended:
                return
            self._begin()
        assert self._lines is not None
        try:
            lines = self._container.close()
            self.flushed = self._find_flushed()  # a chunk that is not full is made again
            self._append(lines)
            repair.remove_aside(self._folder)
            done = self.manifest.completed(self.count, complete)
            write_file(self._folder / MANIFEST, done.encode())
        except BaseException:
            self._container.abandon()
            raise
        finally:
            self._lines.close()

    def abandon(self) -> None:
        """Release everything after a failure; what is there can be resumed."""
        self._container.abandon()
        if self._lines is not None:
            self._lines.close()

    def _begin(self) -> None:
        """Write the manifest, and keep what is kept of an earlier run."""
        kept = self._resumed.lines
        write_file(self._folder / MANIFEST, self.manifest.encode())
        repair.keep_only(self._folder, self.manifest, kept)
        self._lines = append_to(self._folder / LINES)
        if self._aside:
            repair.copy_back(self._folder, self.manifest, kept, self._container)

    def _find_flushed(self) -> int:
        buffered = self._container.buffered
        return self._latest[-1 - buffered] if len(self._latest) > buffered else -1

    def _append(self, lines: Sequence[Line]) -> None:
        assert self._lines is not None
        for line in lines:
            data = encode_json(seal(line))
            try:
                written = self._lines.write(data)
            except OSError as e:
                raise SinkError(f"{self._folder / LINES}: {e.strerror or e}") from e
            if written != len(data):
                raise SinkError(f"{self._folder / LINES}: no room for a whole line")
            self.count += 1
            self._latest.append(line["index"])
