"""The part of the pictures that a container asks to show.

An MP4 or QuickTime file says it in a ``clap`` box, Matroska in its ``PixelCrop`` elements. What the
codec itself crops is done by its decoder.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..types import Image
from .damage import EBML_CLUSTER, EBML_HEADER, EBML_SEGMENT, read_number

#: Boxes of an MP4 that lead to the description of a track's pictures.
TRACK_BOXES = (b"mdia", b"minf", b"stbl", b"stsd")

#: Bytes of a description before the boxes in it; of the box ``stsd`` before its descriptions.
DESCRIPTION_BYTES, STSD_BYTES = 86, 8

#: Most boxes or elements that are looked at on one level.
MAX_ELEMENTS = 10_000

#: Identifiers of Matroska: all tracks, one of them, its type, its video.
TRACKS, TRACK, TRACK_TYPE, VIDEO = 0x1654AE6B, 0xAE, 0x83, 0xE0

#: Those of the pixels to cut off: left, top, right, bottom.
PIXEL_CROPS = (0x54CC, 0x54BB, 0x54DD, 0x54AA)

#: Types of Matroska's tracks that become a stream: video, sound, subtitles, data.
STREAM_TYPES = (1, 2, 17, 33)

#: Most bytes of a number in Matroska.
MAX_NUMBER_BYTES = 8


class Crop(NamedTuple):
    """Pixels to cut off each side of a stored picture."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def fits(self, width: int, height: int) -> bool:
        """Whether something of a picture is left, and the numbers make sense."""
        if min(self) < 0:
            return False
        return self.left + self.right < width and self.top + self.bottom < height

    def apply(self, image: Image) -> Image:
        """Cut a picture, (H, W, 3); one that is too small stays as it is."""
        height, width = image.shape[:2]
        if not any(self) or not self.fits(width, height):
            return image
        return image[self.top : height - self.bottom, self.left : width - self.right]


def read_crop(path: Path, track: int, index: int) -> Crop:
    """Find what a file asks to cut off a video; nothing if it is damaged or of another kind.

    Args:
        path: the file.
        track: the number of the video's track in an MP4.
        index: the place of its stream in the file, for Matroska.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            size = file.seek(0, 2)
            file.seek(0)
            if head[:4] == EBML_HEADER.to_bytes(4, "big"):
                return _matroska_crop(file, size, index)
            if head[4:] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return _mp4_crop(file, size, track)
    except (OSError, struct.error, ZeroDivisionError):
        pass
    return Crop()


# --- MP4 -----------------------------------------------------------------------------------------


class Box(NamedTuple):
    """A box of an MP4: its kind, and where its content is."""

    kind: bytes
    start: int
    end: int


def _mp4_crop(file: BinaryIO, size: int, number: int) -> Crop:
    moov = _find(file, Box(b"", 0, size), b"moov")
    for track in _boxes(file, moov) if moov else ():
        if track.kind == b"trak" and _track_number(file, track) == number:
            return _track_crop(file, track)
    return Crop()


def _boxes(file: BinaryIO, parent: Box) -> Iterator[Box]:
    """List the boxes in a box."""
    at = parent.start
    for _ in range(MAX_ELEMENTS):
        file.seek(at)
        head = file.read(16)
        if at + 8 > parent.end or len(head) < 8:
            return
        length, start = int.from_bytes(head[:4], "big"), at + 8
        if length == 1:
            length, start = int.from_bytes(head[8:], "big"), at + 16
        end = at + length if length else parent.end
        if not start <= end <= parent.end:
            return
        yield Box(head[4:8], start, end)
        at = end


def _find(file: BinaryIO, parent: Box, kind: bytes) -> Box | None:
    return next((box for box in _boxes(file, parent) if box.kind == kind), None)


def _track_number(file: BinaryIO, track: Box) -> int | None:
    header = _find(file, track, b"tkhd")
    if header is None:
        return None
    file.seek(header.start)
    data = file.read(24)
    return int(struct.unpack_from(">I", data, 20 if data[:1] == b"\1" else 12)[0])


def _track_crop(file: BinaryIO, track: Box) -> Crop:
    box: Box | None = track
    for kind in TRACK_BOXES:
        box = _find(file, box, kind) if box is not None else None
    if box is None:
        return Crop()
    description = next(_boxes(file, box._replace(start=box.start + STSD_BYTES)), None)
    if description is None:
        return Crop()
    file.seek(description.start)
    width, height = struct.unpack_from(">HH", file.read(28), 24)
    inner = description._replace(start=description.start - 8 + DESCRIPTION_BYTES)
    clap = _find(file, inner, b"clap")
    if clap is None:
        return Crop()
    file.seek(clap.start)
    values = struct.unpack(">4I4i", file.read(32))
    crop = _aperture(width, height, [Fraction(*values[i : i + 2]) for i in range(0, 8, 2)])
    return crop if crop.fits(width, height) else Crop()


def _aperture(width: int, height: int, clap: list[Fraction]) -> Crop:
    """Turn a clean aperture, its size and its centre's offset from the picture's, into a crop."""
    left = (width - clap[0]) / 2 + clap[2]
    top = (height - clap[1]) / 2 + clap[3]
    right, bottom = width - clap[0] - left, height - clap[1] - top
    return Crop(*(round(value) for value in (left, top, right, bottom)))


# --- Matroska ------------------------------------------------------------------------------------


class Element(NamedTuple):
    """An element of a Matroska file: its identifier, and where its content is."""

    kind: int
    start: int
    end: int


def _matroska_crop(file: BinaryIO, size: int, index: int) -> Crop:
    whole = Element(0, 0, size)
    segment = next((e for e in _elements(file, whole) if e.kind == EBML_SEGMENT), None)
    for element in _elements(file, segment) if segment else ():
        if element.kind == EBML_CLUSTER:
            break
        if element.kind == TRACKS:
            return _tracks_crop(file, element, index)
    return Crop()


def _tracks_crop(file: BinaryIO, tracks: Element, index: int) -> Crop:
    found = -1
    for track in _elements(file, tracks):
        inner = list(_elements(file, track)) if track.kind == TRACK else []
        kind = next((_value(file, e) for e in inner if e.kind == TRACK_TYPE), None)
        found += kind in STREAM_TYPES
        if found == index and inner:
            video = next((e for e in inner if e.kind == VIDEO), None)
            values = {e.kind: _value(file, e) for e in _elements(file, video)} if video else {}
            return Crop(*(values.get(kind, 0) for kind in PIXEL_CROPS))
    return Crop()


def _elements(file: BinaryIO, parent: Element) -> Iterator[Element]:
    """List the elements in an element; one of unknown length reaches to the end."""
    at = parent.start
    for _ in range(MAX_ELEMENTS):
        if at >= parent.end:
            return
        file.seek(at)
        kind = read_number(file, marked=True)
        length = read_number(file, marked=False)
        start = file.tell()
        end = parent.end if length is None else start + length
        if kind is None or end > parent.end:
            return
        yield Element(kind, start, end)
        at = end


def _value(file: BinaryIO, element: Element) -> int:
    """Read an element that is a whole number."""
    file.seek(element.start)
    return int.from_bytes(file.read(min(element.end - element.start, MAX_NUMBER_BYTES)), "big")
