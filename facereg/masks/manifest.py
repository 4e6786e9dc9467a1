"""The manifest of a mask dump: how it was made, and what is needed to read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeGuard, get_args

from .._version import __version__
from ..components import Run
from ..errors import SourceError
from ..output import checksum_heads, read_inside
from ..regions import CLASSES, COLORS
from ..types import SourceInfo, utc_text
from ..video.timeline import recording_rate

Format = Literal["png", "npz", "ffv1"]

#: The two maps of a frame: class ids, (H, W) uint8, and face ids, (H, W) uint16, 0 for nobody.
MapKind = Literal["labels", "instances"]

MANIFEST = "manifest.json"

#: The key of the source's checksum, of the names and first bytes of its files.
SOURCE_CHECKSUM = "head_crc32"

#: Version of the folder's format.
FORMAT_VERSION = 1

#: Most bytes of a manifest, and most pixels of a map, that are read.
MAX_BYTES, MAX_PIXELS = 1 << 20, 1 << 28

#: Highest rate of a video of maps, in frames a second.
MAX_RATE = Fraction(240)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``manifest.json`` says, checked.

    Attributes:
        values: the JSON object.
    """

    values: Mapping[str, Any]

    @property
    def format(self) -> Format:
        """The container of the maps."""
        value: Format = self.values["format"]
        return value

    @property
    def kinds(self) -> tuple[MapKind, ...]:
        """The maps that each frame has."""
        return ("labels", "instances") if self.values.get("instances") else ("labels",)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the source's frames."""
        return self.values["source"]["height"], self.values["source"]["width"]

    @property
    def rate(self) -> Fraction:
        """Frames a second of a video of maps."""
        return Fraction(self.values["rate"])

    @property
    def complete(self) -> bool:
        """Whether the run that wrote the dump came to its end."""
        return bool(self.values.get("complete"))

    def completed(self, frames: int, complete: bool) -> Manifest:
        """Return the manifest as it is after the run."""
        return Manifest({**self.values, "frames": frames, "complete": complete})

    def encode(self) -> bytes:
        """Return the text of ``manifest.json``."""
        return encode_json(self.values, indent=1)


def make_manifest(
    info: SourceInfo,
    run: Run,
    form: Format,
    kinds: tuple[MapKind, ...],
    files: Path | None = None,
) -> Manifest:
    """Make the manifest of a run that begins.

    Args:
        info: the source.
        run: what makes the results.
        form: the container of the maps.
        kinds: the maps of each frame.
        files: the source's file or folder, if it is one and is known.
    """
    source = {
        "name": info.name,
        "width": info.width,
        "height": info.height,
        "fps": None if info.fps is None else _ratio(info.fps),
        "frame_count": info.frame_count,
    }
    for path in (files, info.media):
        if path is not None and (checksum := checksum_heads(Path(path))) is not None:
            source[SOURCE_CHECKSUM] = checksum
            break
    values = {
        "format_version": FORMAT_VERSION,
        "facereg_version": __version__,
        "source": source,
        **({"started": utc_text(datetime.now(timezone.utc))} if info.live else {}),
        "classes": [
            {"id": i, "name": name, "color": list(COLORS[i])} for i, name in enumerate(CLASSES)
        ],
        "detector": run.provenance.get("detector"),
        "segmenter": run.provenance.get("segmenter"),
        "model": _plain(run.provenance.get("model")),
        "format": form,
        "instances": "instances" in kinds,
        **({"rate": _ratio(min(recording_rate(info), MAX_RATE))} if form == "ffv1" else {}),
        "complete": False,
    }
    return Manifest(values)


def read_manifest(folder: Path) -> Manifest:
    """Read and check a dump's ``manifest.json``.

    Raises:
        SourceError: there is none, or it is damaged or of a later version.
    """
    path = folder / MANIFEST
    try:
        values = json.loads(read_inside(path, MAX_BYTES))
    except FileNotFoundError:
        problem = f"has no {MANIFEST}" if folder.is_dir() else "does not exist"
        raise SourceError(f"{folder} is not a mask dump: it {problem}") from None
    except (OSError, ValueError, RecursionError) as e:
        raise SourceError(f"{path}: damaged: {e}") from e
    version = values.get("format_version") if isinstance(values, dict) else None
    if not is_integer(version) or version < 1:
        raise SourceError(f"{path}: not a manifest of a mask dump")
    if version > FORMAT_VERSION:
        raise SourceError(
            f"{path}: format {version} is newer than this facereg, which reads {FORMAT_VERSION}"
        )
    wrong = next((key for key, right in _check(values).items() if not right), None)
    if wrong is not None:
        raise SourceError(f"{path}: damaged: its {wrong} is {shorten(values.get(wrong))}")
    return Manifest(values)


def _check(values: Mapping[str, Any]) -> dict[str, bool]:
    """Report for each key that is read whether its value can be meant."""
    source, classes = values.get("source"), values.get("classes")
    video = values.get("format") == "ffv1"
    return {
        "format": values.get("format") in get_args(Format),
        "source": isinstance(source, dict) and is_size(source.get("height"), source.get("width")),
        "classes": isinstance(classes, list) and all(map(_is_class, classes)),
        "instances": isinstance(values.get("instances", False), bool),
        "rate": not video or _is_rate(values.get("rate")),
        "complete": isinstance(values.get("complete", False), bool),
        "frames": not values.get("complete") or is_integer(values.get("frames")),
    }


def encode_json(value: object, indent: int | None = None) -> bytes:
    """Return the text of a JSON value, with a line break. Names that are not UTF-8 are escaped."""
    try:
        return (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(value, indent=indent) + "\n").encode()


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a JSON value is an integer; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_size(height: object, width: object) -> bool:
    """Whether two JSON values are the size of a map that facereg reads."""
    if not (is_integer(height) and is_integer(width)):
        return False
    return min(height, width) > 0 and height * width <= MAX_PIXELS


def _is_class(value: object) -> bool:
    return (
        isinstance(value, dict)
        and is_integer(value.get("id"))
        and isinstance(value.get("name"), str)
    )


def _is_rate(value: object) -> bool:
    try:
        return isinstance(value, str) and 0 < Fraction(value) <= MAX_RATE
    except (ValueError, ZeroDivisionError):
        return False


def shorten(value: object) -> str:
    """Write a value for an error, in 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _plain(value: object) -> object:
    """Turn mappings of any kind into dicts."""
    return {str(k): _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value
