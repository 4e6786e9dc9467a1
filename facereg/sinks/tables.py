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
from ..measures.table import REASON, USABLE
from ..regions import CLASSES
from ..types import Box

#: The columns of each region: pixels, centroid in pixels of the frame, mean colour.
REGION_COLUMNS = ("area", "x", "y", "b", "g", "r")

#: Rows that are written to a Parquet file at a time.
ROW_GROUP = 4096


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
    """

    def __init__(self, file: IO[bytes], has_clock: bool) -> None:
        self.file, self.has_clock = file, has_clock

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

    def __init__(self, file: IO[bytes], has_clock: bool) -> None:
        super().__init__(file, has_clock)
        self._writer = csv.writer(self, lineterminator="\n")
        self._writer.writerow(columns(has_clock))

    def write(self, text: str) -> None:
        """Take the text of a row, as `csv` writes it."""
        self.file.write(text.encode())

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._writer.writerow(_cells(row, self.has_clock, ""))
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
        }


class ParquetTable(Table):
    """The columns of the CSV file, with their types. It can be read when it is complete.

    Raises:
        FaceregError: pyarrow is not installed.
    """

    def __init__(self, file: IO[bytes], has_clock: bool) -> None:
        super().__init__(file, has_clock)
        try:
            pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
        except ImportError:
            raise missing_extra("pyarrow", "tables", "a .parquet file") from None
        self._arrow: Any = pa
        types = {"index": pa.int64(), "clock": pa.string(), "id": pa.int64()}
        types |= dict.fromkeys(("x0", "y0", "x1", "y1"), pa.int64())
        types |= {USABLE: pa.int64(), REASON: pa.string()}
        kinds = [
            types.get(name, pa.int64() if name.endswith("_area") else pa.float64())
            for name in columns(has_clock)
        ]
        self._schema = pa.schema(list(zip(columns(has_clock), kinds, strict=True)))
        self._rows: list[list[Any]] = []
        self._writer = parquet.ParquetWriter(file, self._schema)

    def add(self, rows: Sequence[Row]) -> None:
        self._rows += [_cells(row, self.has_clock, None) for row in rows]
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


def open_table(path: Path, file: IO[bytes], *, has_clock: bool) -> Table:
    """Begin the kind of table that a path's ending names."""
    return TABLES[path.suffix.lower()](file, has_clock)


def columns(has_clock: bool) -> list[str]:
    """Return the names of the columns."""
    clock = ("clock",) if has_clock else ()
    names = ("index", "time", *clock, "id", "x0", "y0", "x1", "y1", "score")
    regions = (f"{name}_{what}" for name in CLASSES[1:] for what in REGION_COLUMNS)
    return [*names, *regions, *measure_columns()]


def _cells(row: Row, has_clock: bool, nothing: object) -> list[object]:
    """Return a row's values, one a column."""
    cells: list[object] = [row.index, row.time, *((row.clock,) if has_clock else ())]
    if row.id is None:
        return cells + [nothing] * (len(columns(has_clock)) - len(cells))
    cells += [row.id, *(row.box or ()), row.score]
    for name in CLASSES[1:]:
        cells += row.regions.get(name, (0, *[nothing] * (len(REGION_COLUMNS) - 1)))
    return cells + [row.measures.get(name, nothing) for name in measure_columns()]
