"""The lines and the manifest of a mask dump."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, overload

from ..errors import SourceError
from ..types import Face, FrameResult

Line = dict[str, Any]
Format = Literal["png", "npz", "ffv1"]


MANIFEST, LINES = "manifest.json", "frames.jsonl"


#: Version of the folder's format, and the word by which a manifest is known.
FORMAT_VERSION = 1


class Lines(Sequence[Line]):
    """The lines of ``frames.jsonl``, kept as text.

    Args:
        path: the file.
        torn: whether a damaged last line is left out, instead of an error.
    """

    def __init__(self, path: Path, *, torn: bool) -> None:
        try:
            text = path.read_bytes()
        except OSError as e:
            raise SourceError(f"{path}: {e.strerror or e}") from e
        self._rows = text.split(b"\n")
        if self._rows.pop() and not torn:
            raise SourceError(f"{path}: its last line is cut off")
        last = -1
        for number, row in enumerate(self._rows, start=1):
            line = parse_line(row)
            if line is None or line["index"] <= last:
                raise SourceError(f"{path}, line {number}: damaged")
            last = line["index"]

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


def parse_line(row: bytes) -> Line | None:
    """Parse a line of ``frames.jsonl``; None where it is damaged."""
    try:
        line = json.loads(row)
    except ValueError:
        return None
    fields: dict[str, type | tuple[type, ...]]
    fields = {"index": int, "time": (int, float), "file": str, "faces": list}
    whole = isinstance(line, dict) and all(isinstance(line.get(k), t) for k, t in fields.items())
    return line if whole else None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check a dump's ``manifest.json``.

    Raises:
        SourceError: there is none, or it is damaged or of a later version.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        problem = f"has no {MANIFEST}" if folder.is_dir() else "does not exist"
        raise SourceError(f"{folder} is not a mask dump: it {problem}") from None
    except (OSError, ValueError) as e:
        raise SourceError(f"{path}: damaged: {e}") from e
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if not isinstance(version, int) or manifest.get("format") not in get_args(Format):
        raise SourceError(f"{path}: not a manifest of a mask dump")
    if version > FORMAT_VERSION:
        raise SourceError(f"{path}: format {version} is newer than this facereg, which reads 1")
    return dict(manifest)


def describe(result: FrameResult) -> Line:
    """Make a frame's line of ``frames.jsonl``; its container fills in ``file``."""
    frame = result.frame
    line: Line = {"index": frame.index, "time": round(frame.time, 6), "file": ""}
    if frame.name is not None:
        line["name"] = frame.name
    line["faces"] = [_face(face) for face in result.faces]
    return line


def _face(face: Face) -> dict[str, Any]:
    line = {
        "id": face.id,
        "box": [int(x) for x in face.detection.box],
        "score": round(float(face.detection.score), 4),
        "areas": {} if face.regions is None else face.regions.areas(),
    }
    if face.regions is not None:
        # What the segmenter looked at: a replay needs it to draw views that work face by face.
        line["crop"] = [int(x) for x in face.regions.box]
    return line
