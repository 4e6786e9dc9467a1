"""Read a mask dump back: its lines, and any frame's maps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..types import Labels
from .lines import LINES, Line, Lines
from .manifest import MANIFEST, MapKind, read_manifest
from .readers import READERS

log = logging.getLogger(__name__)


class MaskDump:
    """A mask dump, open for reading.

    ``dump[i]`` is the label map of the source's frame ``i``, (H, W) uint8 class ids; iterating
    yields the maps of all its frames in order, as ``dump.frames`` yields their lines.

    Args:
        path: the folder.

    Attributes:
        path: the folder.
        manifest: the JSON object of ``manifest.json``.
        frames: the lines of ``frames.jsonl``, parsed when they are asked for.

    Raises:
        SourceError: it is no dump, or it is damaged.

    Example:
        >>> with MaskDump("masks") as dump:  # doctest: +SKIP
        ...     for line, labels in zip(dump.frames, dump):
        ...         print(line["time"], (labels == 6).sum())  # pixels of noses
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        manifest = read_manifest(self.path)
        self.manifest = dict(manifest.values)
        self.complete = manifest.complete  #: whether the run that wrote it came to its end
        self.frames = Lines(self.path, manifest)
        self._positions = {line["index"]: i for i, line in enumerate(self.frames)}
        self._has = manifest.kinds
        expected = self.manifest.get("frames")
        if self.complete and expected != len(self.frames):
            raise SourceError(
                f"{self.path}: {MANIFEST} counts {expected} frames, and {LINES} has "
                f"{len(self.frames)}"
            )
        if not self.complete:
            log.warning(
                "%s was not finished: it has %d frames; run again with --resume to complete it",
                self.path,
                len(self.frames),
            )
        self._maps = READERS[manifest.format](self.path, manifest)

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Labels]:
        for line in self.frames:
            yield self[line["index"]]

    def __contains__(self, index: object) -> bool:
        return index in self._positions

    def __getitem__(self, index: int) -> Labels:
        """Read the label map of a frame, (H, W) uint8, by its index in the source.

        Raises:
            IndexError: there is no such frame.
            SourceError: the map is missing or damaged.
        """
        return self._read(index, "labels")

    def instances(self, index: int) -> NDArray[np.int32]:
        """Read the face id of each pixel, (H, W) int32, -1 for nobody.

        Raises:
            IndexError: there is no such frame.
            SourceError: the map is missing or damaged, or the dump has none.
        """
        if "instances" not in self._has:
            raise SourceError(f"{self.path} has no face ids; dump with --sink masks:instances=yes")
        ids = self._read(index, "instances").astype(np.int32)
        return np.where(ids == 0, np.int32(-1), ids)

    def line(self, index: int) -> Line:
        """Return the line of a frame by its index in the source.

        Raises:
            IndexError: there is no such frame.
        """
        return self.frames[self._position(index)]

    def to_coco(self, path: str | Path) -> None:
        """Write every region as a COCO annotation; see `facereg.masks.coco.export`."""
        from .coco import export

        export(self, Path(path))

    def close(self) -> None:
        """Release everything. Reading still works, and starts again."""
        self._maps.close()

    def __enter__(self) -> MaskDump:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def _position(self, index: int) -> int:
        try:
            return self._positions[index]
        except KeyError:
            known = f"{min(self._positions)} to {max(self._positions)}" if len(self) else "none"
            raise IndexError(f"{self.path} has no frame {index}; it has {known}") from None

    def _read(self, index: int, kind: MapKind) -> NDArray[Any]:
        position = self._position(index)
        return self._maps.read(position, self.frames[position], kind)
