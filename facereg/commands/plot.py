"""``facereg plot``: the areas of regions over time, from files of ``run --stats``."""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import output as target
from ..errors import SinkError, SourceError, missing_extra
from ..regions import CLASSES, IDS, class_ids

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Maximum numbers of regions, if none are named, and of faces.
MAX_REGIONS, MAX_FACES = 6, 8

#: Suffixes of pictures that matplotlib writes.
SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".jpeg")

#: A line breaks if a face is missing for more frames than this.
MAX_GAP_FRAMES = 3

#: The areas of a face: (n,) seconds, and (n, 21) pixels of each class, or shares of the face.
Series = tuple[NDArray[np.float64], NDArray[Any]]


def run(args: argparse.Namespace) -> int:
    """Draw the plot. Returns the exit code."""
    out = Path(args.output)
    target.check_file(out, SUFFIXES, args.overwrite)
    faces = read_all([Path(name) for name in args.stats], args.person)
    regions = args.regions or _largest(faces)
    if not args.pixels:
        faces = {name: as_shares(series) for name, series in faces.items()}
    try:
        with target.AtomicFile(out, overwrite=args.overwrite) as file:
            draw(faces, regions, file.part, "pixels" if args.pixels else "share of the face")
    except OSError as e:
        raise SinkError(f"{out}: {e.strerror or e}") from e
    return 0


def read_all(paths: Sequence[Path], people: Sequence[int] | None) -> dict[str, Series]:
    """Read the areas of several files, by what a panel is called.

    Args:
        paths: the files.
        people: ids of the faces; None for all.

    Raises:
        SourceError: a file cannot be read, or no file has such a face.
    """
    found = {}
    for path in paths:
        for face, series in read(path).items():
            if people is None or face in people:
                found[f"{path.stem}: face {face}" if len(paths) > 1 else f"face {face}"] = series
    if not found:
        names = ", ".join(map(str, people or ()))
        raise SourceError(f"{', '.join(map(str, paths))}: no face {names}")
    return found


def as_shares(series: Series) -> Series:
    """Divide areas by that of the face in the same frame; frames without a face are left out."""
    times, areas = series
    whole = areas[:, list(class_ids(["face"]))].sum(axis=1)
    seen = whole > 0
    return times[seen], areas[seen] / whole[seen, None]


def read(path: Path) -> dict[int, Series]:
    """Read the areas in a file of ``run --stats``, by face.

    Raises:
        SourceError: the file cannot be read, or is of another kind.
    """
    suffix = path.suffix.lower()
    rows = {".jsonl": _json_rows, ".parquet": _parquet_rows}.get(suffix, _csv_rows)
    found: dict[int, tuple[list[float], list[list[int]]]] = defaultdict(lambda: ([], []))
    try:
        mode: dict[str, Any] = (
            {"mode": "rb"} if suffix == ".parquet" else {"encoding": "utf-8", "newline": ""}
        )
        with path.open(**mode) as file:
            for face, time, areas in rows(file):
                found[face][0].append(time)
                found[face][1].append(areas)
    except OSError as e:
        raise SourceError(f"{path}: {e.strerror or e}") from e
    except (ValueError, KeyError, TypeError) as e:
        raise SourceError(f"{path}: not a file of 'facereg run --stats': {e}") from e
    if not found:
        raise SourceError(f"{path}: contains no face")
    return {face: (np.array(t), np.array(a)) for face, (t, a) in sorted(found.items())}


def draw(faces: Mapping[str, Series], regions: Sequence[str], out: Path, unit: str) -> None:
    """Draw one panel for each face, with one line for each region.

    Raises:
        UsageError: a region is unknown.
        FaceregError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_extra("matplotlib", "plot", "facereg plot") from None
    columns = {name: list(class_ids([name])) for name in regions}
    shown = sorted(faces, key=lambda face: -len(faces[face][0]))[:MAX_FACES]
    figure = Figure(figsize=(9, 1 + 2.6 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for face, panel in zip((name for name in faces if name in shown), panels, strict=True):
        _panel(panel, faces[face], columns)
        panel.set_ylabel(f"area, {unit}")
        panel.set_title(face, loc="left", fontsize=10)
    panels[-1].set_xlabel("time in seconds")
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=min(6, len(names)), fontsize=9)
    if len(faces) > len(shown):
        note = f"time in seconds ({len(faces) - len(shown)} faces seen more briefly are left out)"
        panels[-1].set_xlabel(note)
    figure.savefig(out, dpi=120)


def _panel(panel: Axes, series: Series, columns: dict[str, list[int]]) -> None:
    times, areas = series
    step = np.median(np.diff(times)) if len(times) > 1 else 0.0
    breaks = np.flatnonzero(np.diff(times) > MAX_GAP_FRAMES * step) + 1
    mark = "." if len(times) == 1 else ""
    for name, ids in columns.items():
        line = areas[:, ids].sum(axis=1).astype(float)
        panel.plot(
            np.insert(times, breaks, times[breaks]), np.insert(line, breaks, np.nan),
            marker=mark, linewidth=1.3, label=name,
        )  # fmt: skip
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.3)


def _largest(faces: Mapping[str, Series]) -> list[str]:
    """Return the classes with the largest areas, the largest first."""
    total = np.sum([areas.sum(axis=0) for _, areas in faces.values()], axis=0)
    return [CLASSES[i] for i in np.argsort(-total)[:MAX_REGIONS] if total[i]]


def _csv_rows(file: Any) -> Iterator[tuple[int, float, list[int]]]:
    reader = csv.DictReader(file)
    columns = [f"{name}_area" for name in CLASSES[1:]]
    for row in reader:
        if row["id"]:
            yield int(row["id"]), float(row["time"]), [0, *(int(row[c]) for c in columns)]


def _json_rows(file: Any) -> Iterator[tuple[int, float, list[int]]]:
    for text in file:
        row = json.loads(text)
        if row["id"] is None:
            continue
        areas = [0] * len(CLASSES)
        for name, figures in row["regions"].items():
            areas[IDS[name]] = int(figures["area"])
        yield int(row["id"]), float(row["time"]), areas


def _parquet_rows(file: Any) -> Iterator[tuple[int, float, list[int]]]:
    try:
        import pyarrow.parquet as pq  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise missing_extra("pyarrow", "tables", "a .parquet file") from None
    columns = [f"{name}_area" for name in CLASSES[1:]]
    for batch in pq.ParquetFile(file).iter_batches(columns=["id", "time", *columns]):
        for row in batch.to_pylist():
            if row["id"] is not None:
                yield int(row["id"]), float(row["time"]), [0, *(int(row[c]) for c in columns)]
