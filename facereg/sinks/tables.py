"""The kinds of table that `facereg.sinks.stats` writes: CSV, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..errors import missing_extra
from ..measures import columns as measure_columns
from ..measures.table import BY_NAME, REASON, USABLE
from ..regions import CLASSES, GROUPS
from ..types import Box

#: The columns of each region: pixels, centroid in pixels of the frame, mean colour.
REGION_COLUMNS = ("area", "x", "y", "b", "g", "r")

#: Rows that are written to a Parquet file at a time.
ROW_GROUP = 4096

#: The last column: what the row is of.
VIDEO = "video"

#: What the columns hold that are no regions and no measures; the files say so, too.
DESCRIPTIONS = {
    "index": "number of the frame in the source, from 0",
    "time": "seconds: presentation time, or since the first frame of a live source",
    "clock": "UTC of a live source's frame",
    "id": "number of the person; empty if the frame has no face",
    **dict.fromkeys(("x0", "y0", "x1", "y1"), "side of the face's box in pixels, half-open"),
    "score": "confidence of the detection, 0 to 1",
    USABLE: "whether the measures should be used: 1 or 0",
    REASON: "why the measures should not be used",
    VIDEO: "name of the source",
}

#: What the columns of a region hold.
REGION_DESCRIPTIONS = {
    "area": "pixels of", "x": "column of the centroid of", "y": "row of the centroid of",
    "b": "mean blue, 0 to 255, of", "g": "mean green, 0 to 255, of", "r": "mean red, 0 to 255, of",
}  # fmt: skip


class Figures(NamedTuple):
    """What is measured of one region: pixels, centroid in the frame, mean BGR if known."""

    area: int
    x: float
    y: float
    b: float | None
    g: float | None
    r: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One face in one frame, or a frame without any.

    Attributes:
        index, time: of the frame.
        clock: when it was taken, of a live source.
        id, box, score: of the face; None if there is none.
        regions: by class, those that occur.
        measures: by column, those that could be measured.
    """

    index: int
    time: float
    clock: str | None = None
    id: int | None = None
    box: Box | None = None
    score: float | None = None
    regions: Mapping[str, Figures] = field(default_factory=dict)
    measures: Mapping[str, float | int | str] = field(default_factory=dict)


class Table(ABC):
    """A file that rows are added to.

    Args:
        file: open for writing bytes.
        has_clock: whether rows have a clock.
        video: what the rows are of, for tables that are put together.
    """

    def __init__(self, file: IO[bytes], has_clock: bool, video: str) -> None:
        self.file, self.has_clock, self.video = file, has_clock, video

    @abstractmethod
    def add(self, rows: Sequence[Row]) -> None:
        """Write the rows of a frame, to the disk if the kind of file allows it.

        Raises:
            OSError: they cannot be written.
        """

    def close(self) -> None:
        """Write what is left, and close the file.

        Raises:
            OSError: it cannot be written.
        """
        self.file.close()


class CsvTable(Table):
    """A column for each figure."""

    def __init__(self, file: IO[bytes], has_clock: bool, video: str) -> None:
        super().__init__(file, has_clock, video)
        self._writer = csv.writer(self, lineterminator="\n")
        self._writer.writerow(columns(has_clock))

    def write(self, text: str) -> None:
        """Take the text of a row, as `csv` writes it."""
        self.file.write(text.encode())

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._writer.writerow(_cells(row, self, ""))
        self.file.flush()


class JsonLinesTable(Table):
    """An object a row, with the regions that occur."""

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.file.write((json.dumps(self._object(row)) + "\n").encode())
        self.file.flush()

    def _object(self, row: Row) -> dict[str, object]:
        return {
            "index": row.index,
            "time": row.time,
            **({"clock": row.clock} if self.has_clock else {}),
            "id": row.id,
            "box": row.box,
            "score": row.score,
            "regions": {
                name: {"area": f.area, "centroid": [f.x, f.y], "bgr": [f.b, f.g, f.r]}
                for name, f in row.regions.items()
            },
            "measures": dict(row.measures),
            "video": self.video,
        }


class ParquetTable(Table):
    """The columns of the CSV file, with their types. It can be read when it is complete.

    Raises:
        FaceregError: pyarrow is not installed.
    """

    def __init__(self, file: IO[bytes], has_clock: bool, video: str) -> None:
        super().__init__(file, has_clock, video)
        try:
            pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError:
            raise missing_extra("pyarrow", "tables", "a .parquet file") from None
        self._arrow: Any = pa
        types = {"index": pa.int64(), "clock": pa.string(), "id": pa.int64()}
        types |= dict.fromkeys(("x0", "y0", "x1", "y1"), pa.int64())
        types |= {USABLE: pa.int64(), REASON: pa.string(), VIDEO: pa.string()}
        kinds = [
            types.get(name, pa.int64() if name.endswith("_area") else pa.float64())
            for name in columns(has_clock)
        ]
        fields = [
            pa.field(name, kind, metadata={"description": describe_column(name)})
            for name, kind in zip(columns(has_clock), kinds, strict=True)
        ]
        self._schema = pa.schema(fields)
        self._rows: list[list[Any]] = []
        self._writer = parquet.ParquetWriter(file, self._schema)

    def add(self, rows: Sequence[Row]) -> None:
        self._rows += [_cells(row, self, None) for row in rows]
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        try:
            self._flush()
            self._writer.close()
        finally:
            super().close()

    def _flush(self) -> None:
        pa = self._arrow
        rows, self._rows = self._rows, []
        if rows:
            values = zip(*rows, strict=True)
            arrays = [pa.array(v, f.type) for v, f in zip(values, self._schema, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))


#: The kind of each ending.
TABLES: dict[str, type[Table]] = {
    ".csv": CsvTable,
    ".jsonl": JsonLinesTable,
    ".parquet": ParquetTable,
}


def open_table(path: Path, file: IO[bytes], *, has_clock: bool, video: str) -> Table:
    """Begin the kind of table that a path's ending names."""
    return TABLES[path.suffix.lower()](file, has_clock, video)


def columns(has_clock: bool) -> list[str]:
    """Return the names of the columns."""
    clock = ("clock",) if has_clock else ()
    names = ("index", "time", *clock, "id", "x0", "y0", "x1", "y1", "score")
    regions = (f"{name}_{what}" for name in CLASSES[1:] for what in REGION_COLUMNS)
    groups = (f"{name}_area" for name in GROUPS)
    return [*names, *regions, *groups, *measure_columns(), VIDEO]


def describe_column(name: str) -> str:
    """Say in one line what a column holds, and in which unit.

    >>> describe_column("eyes_area")
    'pixels of eyes'
    """
    if name in DESCRIPTIONS:
        return DESCRIPTIONS[name]
    if measure := BY_NAME.get(name.removesuffix("_se")):
        error = "standard error: " if name.endswith("_se") else ""
        return f"{error}{measure.meaning} ({measure.unit})"
    region, _, what = name.rpartition("_")
    return f"{REGION_DESCRIPTIONS[what]} {region}"


def _cells(row: Row, table: Table, nothing: object) -> list[object]:
    """Return a row's values, one a column."""
    cells: list[object] = [row.index, row.time, *((row.clock,) if table.has_clock else ())]
    if row.id is None:
        empty = len(columns(table.has_clock)) - len(cells) - 1
        return [*cells, *[nothing] * empty, table.video]
    cells += [row.id, *(row.box or ()), row.score]
    for name in CLASSES[1:]:
        cells += row.regions.get(name, (0, *[nothing] * (len(REGION_COLUMNS) - 1)))
    for members in GROUPS.values():
        cells.append(sum(row.regions[name].area for name in members if name in row.regions))
    return [*cells, *(row.measures.get(name, nothing) for name in measure_columns()), table.video]
