"""Read back the files that a run wrote."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SourceError, missing_extra
from ..masks.dump import MaskDump
from ..measures.table import REASON, USABLE
from ..measures.table import columns as measure_columns
from ..regions import CLASSES, GROUPS

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

#: The columns before those of the regions, with the types they are read as. A frame without a face
#: has a row with an empty id.
COLUMNS = {
    "index": "int64",
    "time": "float64",
    "clock": "datetime64[ms, UTC]",
    "name": "string",
    "id": "Int64",
    **dict.fromkeys(("x0", "y0", "x1", "y1"), "Int64"),
    "score": "float64",
}


#: The last column: what a row is of.
VIDEO = "video"

#: The columns after those of the regions that are no floats.
MEASURED = {USABLE: "Int64", REASON: "string", VIDEO: "string"}


def open_masks(path: str | Path) -> MaskDump:
    """Open a mask dump for reading: its maps by frame, its lines, its manifest.

    Args:
        path: the folder.

    Returns:
        ``dump[i]`` is the label map of frame ``i``, (H, W) uint8; ``dump.frames`` are the lines of
        ``frames.jsonl``; ``dump.manifest`` is the manifest. It is a context manager.

    Raises:
        SourceError: the folder is no mask dump, or it is damaged.

    >>> with facereg.open_masks("masks") as dump:
    ...     dump[0].shape, dump.frames[0]["faces"][0]["id"]
    ((240, 320), 1)
    """
    return MaskDump(path)


def read_stats(path: str | Path) -> pd.DataFrame:
    """Read the statistics that ``--stats`` wrote, ``.csv``, ``.jsonl`` or ``.parquet``.

    Args:
        path: the file; its ending says what it is.

    Returns:
        A row a face and frame, the same whatever the kind of file: ``index``, ``time`` in seconds,
        ``clock`` in UTC if the source was live, ``id``, box and ``score``, then for each class of
        pixel its ``CLASS_area`` in pixels, its centroid ``CLASS_x`` and ``CLASS_y`` in the frame,
        and its mean colour ``CLASS_b``, ``CLASS_g`` and ``CLASS_r``. A class that does not occur
        has the area 0, and no centroid or colour. ``GROUP_area`` sums up the classes of a group.
        ``video`` is the name of the source. Then the columns that docs/measures.md describes.

    Raises:
        FaceregError: the file cannot be read; pandas, or for Parquet pyarrow, is not installed.

    >>> table = facereg.read_stats("faces.csv")
    >>> float(table["time"].max())
    0.36
    >>> bool((table["upper_lip_area"] > 0).all())
    True
    """
    try:
        import pandas as pd  # noqa: F401
    except ImportError:
        raise missing_extra("pandas", "tables", "read_stats()") from None
    readers = {".csv": _read_csv, ".jsonl": _read_lines, ".parquet": _read_parquet}
    path = Path(path)
    read = readers.get(path.suffix.lower())
    if read is None:
        raise SourceError(f"{path}: statistics are in {', '.join(readers)}")
    try:
        return _typed(read(path))
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise SourceError(f"{path}: not statistics of facereg: {' '.join(str(e).split())}") from e


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    table = pd.read_csv(path, dtype={"name": "string"})
    table[["index", "time"]]  # raises KeyError if these are not statistics
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    if importlib.util.find_spec("pyarrow") is None:
        raise missing_extra("pyarrow", "tables", "read_stats() of a .parquet file")
    return pd.read_parquet(path)


def _read_lines(path: Path) -> pd.DataFrame:
    import pandas as pd

    with path.open(encoding="utf-8") as lines:
        rows = [_flat(json.loads(line)) for line in lines]
    table = pd.DataFrame(rows)
    optional = {"clock", "name"} - set(table.columns)
    table = table.reindex(columns=[name for name in _all_columns() if name not in optional])
    areas = [f"{name}_area" for name in CLASSES[1:]]
    has_face = table["id"].notna()
    table.loc[has_face, areas] = table.loc[has_face, areas].fillna(0)
    for group, members in GROUPS.items():
        table[f"{group}_area"] = table[[f"{name}_area" for name in members]].sum(
            axis=1, min_count=1
        )
    return table


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Turn a line into the columns of a .csv file."""
    row = dict(row)
    row["id"] = row.pop("face_id", row.get("id"))
    row.update(zip(("x0", "y0", "x1", "y1"), row.pop("box", None) or (), strict=False))
    for name, region in (row.pop("regions", None) or {}).items():
        x, y = region["centroid"]
        b, g, r = region["bgr"]
        values = {"area": region["area"], "x": x, "y": y, "b": b, "g": g, "r": r}
        row.update({f"{name}_{what}": value for what, value in values.items()})
    row.update(row.pop("measures", None) or {})
    return row


def _all_columns() -> list[str]:
    figures = ("area", "x", "y", "b", "g", "r")
    regions = (f"{name}_{figure}" for name in CLASSES[1:] for figure in figures)
    return [*COLUMNS, *regions, *(f"{name}_area" for name in GROUPS), *measure_columns(), VIDEO]


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give each column its type: counts and coordinates of boxes are whole numbers, or missing."""
    import pandas as pd

    table = table.rename(columns={"face_id": "id"})
    if "clock" in table:
        table["clock"] = pd.to_datetime(table["clock"], utc=True, format="ISO8601")
    types = {}
    for name in table.columns:
        known = COLUMNS.get(name) or MEASURED.get(name)
        types[name] = known or ("Int64" if name.endswith("_area") else "float64")
    return table.astype(types)
