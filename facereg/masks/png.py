"""Write label maps as PNG, and tell a whole file from a torn one."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..regions import COLORS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, PALETTED = 0, 3

#: zlib's level: more effort takes four times as long and saves an eighth.
LEVEL = 6


def encode(labels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Write (H, W) uint8 class ids as a paletted PNG, uint16 face ids as a 16-bit gray one."""
    height, width = labels.shape
    if labels.dtype == np.uint8:
        bits, kind, palette = 8, PALETTED, _palette()
        rows = np.ascontiguousarray(labels)
    else:
        bits, kind, palette = 16, GRAY, b""
        rows = labels.astype(">u2").view(np.uint8).reshape(height, 2 * width)
    raw = np.zeros((height, rows.shape[1] + 1), np.uint8)  # each row starts with its filter, none
    raw[:, 1:] = rows
    packer = zlib.compressobj(LEVEL)
    data = packer.compress(raw.data) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"".join(
        (SIGNATURE, _chunk(b"IHDR", header), palette, _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    )


def decode(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read the pixel values of a paletted or gray PNG, as they are: (H, W) uint8 or uint16.

    Raises:
        OSError: missing or damaged.
        ValueError: a PNG of another kind.
    """
    from PIL import Image

    with Image.open(path) as image:
        if image.mode not in ("P", "L", "I;16", "I"):
            raise ValueError(f"{path}: a label map is paletted or gray, not {image.mode}")
        values = np.array(image)
    return values.astype(np.uint16) if image.mode.startswith("I") else values.astype(np.uint8)


def is_whole(path: Path) -> bool:
    """Whether a file is a PNG to its last byte, by the checksum of each of its parts."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    if not data.startswith(SIGNATURE):
        return False
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            return False
        if struct.unpack_from(">I", data, end)[0] != zlib.crc32(data[at + 4 : end]):
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return bool(end + 4 == len(data))
        at = end + 4
    return False


@cache
def _palette() -> bytes:
    return _chunk(b"PLTE", bytes(value for color in COLORS for value in color))


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
