"""Write figures: a row a face and frame, with the area, centre and colour of every region."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import output
from ..components import Run, Sink
from ..errors import SinkError, clean_text
from ..hookspecs import hookimpl
from ..measures import Motion, cells
from ..regions import CLASSES
from ..types import Box, FrameResult, Image, RegionMasks, SourceInfo, utc_text
from .tables import TABLES, Figures, Row, Table, open_table


class StatsSink(Sink):
    """Writes a .csv, .jsonl or .parquet file.

    Every frame has a row for each face, or one with an empty id if there is none.
    """

    name = "stats"

    def __init__(self, *, path: Path, overwrite: bool = False) -> None:
        """Name the file.

        Args:
            path: the file; .csv and .parquet have a column for each figure, .jsonl only the
                regions that occur.
            overwrite: whether an existing file is replaced when the new one is complete.
        """
        self.path, self._overwrite = path, overwrite
        self.report: dict[str, object] = {}
        self._target: output.AtomicFile | None = None
        self._table: Table | None = None
        self._failed = False
        self._motion = Motion()
        self._rows = 0

    def open(self, info: SourceInfo, run: Run) -> None:
        """Begin the file under a temporary name."""
        self._run = run
        output.check_file(self.path, tuple(TABLES), self._overwrite)
        self._target = output.AtomicFile(self.path, overwrite=self._overwrite, leftovers="keep")
        file = self._target.open()
        try:
            self._table = open_table(
                self.path, file, has_clock=info.live, video=clean_text(info.name)
            )
        except BaseException as e:
            file.close()
            if isinstance(e, OSError):
                raise SinkError(f"{self.path}: {e.strerror or e}") from e
            raise

    def write(self, result: FrameResult) -> None:
        """Write the rows of one frame."""
        if self._failed:
            return
        assert self._table is not None
        assert self._target is not None
        rows = self._rows_of(result)
        try:
            self._table.add(rows)
        except OSError as e:
            self._failed = True
            there = f"; {self._rows} rows are in {self._target.part}" if self._rows else ""
            raise SinkError(f"{self.path}: {e.strerror or e}{there}") from e
        self._rows += len(rows)

    def _rows_of(self, result: FrameResult) -> list[Row]:
        """Make the rows of a frame, with the measures of each face."""
        rows = measure_frame(result)
        if not result.faces:
            return rows
        time, follow = result.frame.time, self._motion.follow
        measures = [cells(follow(face.id, time, face.measures)) for face in result.faces]
        return [replace(row, measures=m) for row, m in zip(rows, measures, strict=True)]

    def close(self) -> None:
        """Give the file its name; after a failure, leave what was written under the temporary."""
        if self._target is None:
            return
        try:
            if self._table is not None:
                self._table.close()
        except OSError as e:
            if not self._failed:  # else it was reported already
                self._failed = True
                raise SinkError(f"{self.path}: {e.strerror or e}") from e
        finally:
            self._finish(self._target)

    def _finish(self, target: output.AtomicFile) -> None:
        status = self._run.status()
        if self._table is None or status.failed_before_first_frame:
            target.discard()
        elif self._failed:
            target.keep()
        else:
            path = target.finish(failed=status.failed)
            self.outputs = (str(path),)
            self.report = {"path": str(path), "rows": self._rows}


def measure_frame(result: FrameResult) -> list[Row]:
    """Make the rows of a frame: one for each face, or one without a face."""
    frame = result.frame
    clock = None if frame.clock is None else utc_text(frame.clock)
    time = round(frame.time, 6)
    if not result.faces:
        return [Row(frame.index, time, clock)]
    return [
        Row(
            frame.index, time, clock, face.id, Box(*map(int, face.detection.box)),
            round(float(face.detection.score), 4),
            {} if face.regions is None else measure(frame.image, face.regions),
        )
        for face in result.faces
    ]  # fmt: skip


def measure(image: Image, regions: RegionMasks) -> dict[str, Figures]:
    """Measure every region that occurs in one face.

    Args:
        image: (H, W, 3) uint8 BGR, the frame.
        regions: the face's regions in it.
    """
    labels, (height, width) = regions.labels.astype(np.intp), regions.labels.shape
    # Counting (class, value) pairs is several times faster than adding up values by class.
    rows = _histogram(labels, np.arange(height)[:, None], height)
    columns = _histogram(labels, np.arange(width), width)
    counts = rows.sum(axis=1)
    part = image[regions.box.slices]
    sums = [
        columns @ np.arange(width) + regions.box.x0 * counts,
        rows @ np.arange(height) + regions.box.y0 * counts,
        *(_histogram(labels, part[..., channel], 256) @ np.arange(256) for channel in range(3)),
    ]
    return {
        CLASSES[i]: Figures(int(counts[i]), *(round(float(s[i] / counts[i]), 2) for s in sums))
        for i in np.flatnonzero(counts)
        if i
    }


def _histogram(labels: NDArray[np.intp], values: NDArray[Any], size: int) -> NDArray[np.intp]:
    """Count how often each class has each value: (21, size)."""
    pairs = labels * size + values
    counts = np.bincount(pairs.ravel(), minlength=len(CLASSES) * size)
    return counts.reshape(len(CLASSES), size)


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (StatsSink,)
