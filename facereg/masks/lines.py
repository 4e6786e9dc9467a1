"""The lines of ``frames.jsonl``: a frame each, with its faces."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..output import read_inside
from ..types import FrameResult
from .manifest import Format, Manifest, MapKind, is_integer, is_size

Line = dict[str, Any]

LINES = "frames.jsonl"

#: Largest coordinate and count in a line.
MAX_INTEGER = 1 << 53


class Lines(Sequence[Line]):
    """The lines of ``frames.jsonl``, kept as text and parsed when they are asked for.

    Args:
        folder: the dump.
        manifest: its manifest. If the dump is not complete, a last line that is cut off is
            skipped.

    Raises:
        SourceError: a line is damaged.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        path = folder / LINES
        try:
            text = read_inside(path)
        except OSError as e:
            raise SourceError(f"{path}: {e.strerror or e}") from e
        self._rows = text.split(b"\n")
        if self._rows.pop() and manifest.complete:
            raise SourceError(f"{path}: its last line is cut off")
        last = -1
        for number, row in enumerate(self._rows, start=1):
            try:
                last = parse_line(row, manifest, last)["index"]
            except ValueError as e:
                raise SourceError(f"{path}, line {number}: damaged: {e}") from e

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, position: int) -> Line: ...
    @overload
    def __getitem__(self, position: slice) -> list[Line]: ...
    def __getitem__(self, position: int | slice) -> Line | list[Line]:
        if isinstance(position, slice):
            return [json.loads(row) for row in self._rows[position]]
        line: Line = json.loads(self._rows[position])
        return line


def parse_line(row: bytes, manifest: Manifest, last: int) -> Line:
    """Parse and check a line of ``frames.jsonl``.

    Args:
        row: its text.
        manifest: of its dump.
        last: the index of the line before; -1 for none.

    Raises:
        ValueError: it is damaged; the message says what is wrong.
    """
    try:
        line = json.loads(row)
    except (ValueError, RecursionError) as e:
        raise ValueError(f"not JSON: {e}") from e
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  (one error for all damage)
    checks = {
        "index": _is_count(line.get("index")) and line["index"] > last,
        "time": _is_number(line.get("time")),
        "clock": isinstance(line.get("clock", ""), str),
        "file": _is_file_name(line.get("file"), line.get("index"), manifest.format),
        "name": isinstance(line.get("name", ""), str),
        "parsed": isinstance(line.get("parsed", True), bool),
        "size": "size" not in line or (_is_list(line["size"], 2) and is_size(*line["size"][::-1])),
        **{key: key not in line or _is_count(line[key]) for key in CHECKSUMS.values()},
        "faces": isinstance(line.get("faces"), list),
    }
    if wrong := [key for key, right in checks.items() if not right]:
        raise ValueError(f"its {wrong[0]} is {line.get(wrong[0])!r:.60}")
    height, width = map_size(line, manifest)
    for face in line["faces"]:
        if not _is_face(face, height, width):
            raise ValueError(f"a face is {face!r:.60}")
    if line.get(LINE_CHECKSUM, expected := checksum_line(line)) != expected:
        raise ValueError("it is not the line that was written: its checksum is another")
    return line


def map_size(line: Line, manifest: Manifest) -> tuple[int, int]:
    """Return height and width of a frame's maps."""
    if "size" in line:
        return line["size"][1], line["size"][0]
    return manifest.size


def _is_file_name(name: object, index: object, form: Format) -> bool:
    """Whether a line names a file of the dump: no other file is ever read."""
    if form == "ffv1":
        return name == "masks.mkv"
    if form == "png":
        return is_integer(index) and name == f"{index:06d}.png"
    return isinstance(name, str) and re.fullmatch(r"[0-9]{6,20}\.npz", name) is not None


def _is_face(face: object, height: int, width: int) -> bool:
    if not isinstance(face, dict):
        return False
    crop, areas = face.get("crop", [0, 0, 0, 0]), face.get("areas")
    return (
        _is_count(face.get("id"))
        and _is_list(face.get("box"), 4)
        and _is_number(face.get("score"))
        and isinstance(areas, dict)
        and all(map(_is_count, areas.values()))
        and _is_list(crop, 4)
        and 0 <= crop[0] <= crop[2] <= width
        and 0 <= crop[1] <= crop[3] <= height
        and ("landmarks" not in face or _is_landmarks(face["landmarks"]))
    )


def _is_landmarks(value: Any) -> bool:
    """Whether it is a list of five pairs of numbers."""
    return (
        isinstance(value, list)
        and len(value) == 5
        and all(isinstance(point, list) and len(point) == 2 for point in value)
        and all(_is_number(v) for point in value for v in point)
    )


def _is_count(value: Any) -> bool:
    return is_integer(value) and 0 <= value <= MAX_INTEGER


def _is_number(value: Any) -> bool:
    if is_integer(value):
        return bool(abs(value) <= MAX_INTEGER)
    return isinstance(value, float) and math.isfinite(value)


def _is_list(value: Any, length: int) -> bool:
    """Whether it is a list of ``length`` integers of moderate size."""
    return (
        isinstance(value, list)
        and len(value) == length
        and all(is_integer(x) and abs(x) <= MAX_INTEGER for x in value)
    )


# --- writing -------------------------------------------------------------------------------------

#: The key of each map's checksum: CRC-32 of its values, row by row, 16-bit ones little-endian.
CHECKSUMS: dict[MapKind, str] = {"labels": "labels_crc32", "instances": "instances_crc32"}


#: The key of the checksum of a line's other values; see `checksum_line`.
LINE_CHECKSUM = "line_crc32"


def describe(result: FrameResult, maps: Mapping[MapKind, NDArray[Any]], manifest: Manifest) -> Line:
    """Make a frame's line; its container fills in ``file``.

    Args:
        result: the frame and its faces.
        maps: its maps, (H, W).
        manifest: of the dump.
    """
    plain = result.to_dict()
    line: Line = {key: plain.pop(key) for key in ("index", "time", "clock") if key in plain}
    line |= {"file": "", **plain}
    if (size := maps["labels"].shape) != manifest.size:
        line["size"] = [size[1], size[0]]
    return line | {CHECKSUMS[kind]: checksum(values) for kind, values in maps.items()}


def seal(line: Line) -> Line:
    """Add the checksum of a line; it is not changed any more."""
    return {**line, LINE_CHECKSUM: checksum_line(line)}


def checksum_line(line: Line) -> int:
    """Return the CRC-32 of a line but its own checksum: as JSON, sorted by key, without spaces."""
    rest = {key: value for key, value in line.items() if key != LINE_CHECKSUM}
    return zlib.crc32(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def checksum(values: NDArray[Any]) -> int:
    """Return the CRC-32 of a map's values."""
    stored = values if values.dtype == np.uint8 else values.astype("<u2", copy=False)
    return zlib.crc32(np.ascontiguousarray(stored).data)
