"""Write figures: a row a face a frame, with the area, centre and colour of every region."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import output
from ..components import Run, Sink
from ..errors import SinkError
from ..hookspecs import hookimpl
from ..regions import CLASSES
from ..types import Face, FrameResult, Image, RegionMasks, SourceInfo

#: The columns before those of the regions.
COLUMNS = ("index", "time", "face_id", "x0", "y0", "x1", "y1", "score")

#: The columns of each region: pixels, centroid in pixels of the frame, mean colour.
REGION_COLUMNS = ("area", "x", "y", "b", "g", "r")


class Figures(NamedTuple):
    """What is measured of one region: pixels, centroid in pixels of the frame, mean BGR."""

    area: int
    x: float
    y: float
    b: float
    g: float
    r: float


class StatsSink(Sink):
    """Writes a .csv or .jsonl file, row by row."""

    name = "stats"

    def __init__(self, *, path: Path, overwrite: bool = False) -> None:
        """Name the file.

        Args:
            path: the file; .csv has a column for each figure, .jsonl only the regions that occur.
            overwrite: whether an existing file is replaced.
        """
        self.path, self._overwrite = path, overwrite
        self.report: dict[str, object] = {}
        self._target: output.AtomicFile | None = None
        self._file: IO[str] | None = None
        self._failed = False
        self._rows = 0

    def open(self, info: SourceInfo, run: Run) -> None:
        """Begin the file under a temporary name."""
        self._run = run
        output.check_file(self.path, (".csv", ".jsonl"), self._overwrite)
        self._target = output.AtomicFile(self.path, overwrite=self._overwrite, leftovers="keep")
        self._file = self._target.open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._file, lineterminator="\n")
        if self._is_csv:
            self._put(lambda: self._csv.writerow(header()))

    def write(self, result: FrameResult) -> None:
        """Write the rows of one frame."""
        if self._failed or not result.faces:
            return
        rows = [
            _csv_row(result, face) if self._is_csv else _json_row(result, face)
            for face in result.faces
        ]
        self._put(lambda: self._write_rows(rows))
        self._rows += len(rows)

    def close(self) -> None:
        """Give the file its name; after a failure, leave what was written under the temporary."""
        if self._file is None or self._target is None:
            return
        try:
            self._file.close()
        except OSError as e:
            if not self._failed:  # else it was reported already
                self._target.keep()
                raise SinkError(f"{self.path}: {e.strerror or e}") from e
        if self._run.status().failed_before_first_frame:
            self._target.discard()
        elif self._failed:
            self._target.keep()
        else:
            self._target.commit()
            self.outputs = (str(self.path),)
            self.report = {"path": str(self.path), "rows": self._rows}

    @property
    def _is_csv(self) -> bool:
        return self.path.suffix.lower() == ".csv"

    def _write_rows(self, rows: list[Any]) -> None:
        assert self._file is not None
        if self._is_csv:
            self._csv.writerows(rows)
        else:
            self._file.writelines(json.dumps(row) + "\n" for row in rows)

    def _put(self, write: Any) -> None:
        """Write, and hand it to the system: whoever reads along, or a crash, finds whole rows."""
        assert self._file is not None
        assert self._target is not None
        try:
            write()
            self._file.flush()
        except OSError as e:
            self._failed = True
            with_rows = f"; {self._rows} rows are in {self._target.part}" if self._rows else ""
            raise SinkError(f"{self.path}: {e.strerror or e}{with_rows}") from e


def header() -> list[str]:
    """Name the columns of a .csv file."""
    return [*COLUMNS, *(f"{name}_{what}" for name in CLASSES[1:] for what in REGION_COLUMNS)]


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


def _csv_row(result: FrameResult, face: Face) -> list[object]:
    found = {} if face.regions is None else measure(result.frame.image, face.regions)
    row: list[object] = [*_leading(result, face)]
    for name in CLASSES[1:]:
        row += found.get(name, (0, "", "", "", "", ""))
    return row


def _json_row(result: FrameResult, face: Face) -> dict[str, object]:
    index, time, face_id, *box, score = _leading(result, face)
    found = {} if face.regions is None else measure(result.frame.image, face.regions)
    return {
        "index": index,
        "time": time,
        "face_id": face_id,
        "box": box,
        "score": score,
        "regions": {
            name: {"area": f.area, "centroid": [f.x, f.y], "bgr": [f.b, f.g, f.r]}
            for name, f in found.items()
        },
    }


def _leading(result: FrameResult, face: Face) -> tuple[float, ...]:
    box, score = face.detection.box, round(float(face.detection.score), 4)
    time = round(result.frame.time, 6)
    return (result.frame.index, time, face.id, *map(int, box), score)


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (StatsSink,)
