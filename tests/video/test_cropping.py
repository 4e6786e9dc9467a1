"""What a container asks to cut off is cut off, as players do."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from facereg.sources.file import FileSource
from facereg.video.cropping import Crop, read_crop
from tests import clips

#: Boxes in which the description of an MP4's pictures is.
OUTER = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")

CROP = Crop(left=32, top=16, right=64, bottom=24)


def write_cropped(path: Path, crop: Crop = CROP, clap: bytes | None = None) -> Path:
    """Write an MP4 with a clean aperture, or other bytes in its place; other kinds are copied."""
    flat = clips.write_clip(path.with_name("flat.mp4"), clips.numbered(5, 320, 240))
    data = bytearray(flat.read_bytes())
    if clap is None:
        width, height = 320 - crop.left - crop.right, 240 - crop.top - crop.bottom
        across, down = crop.left - crop.right, crop.top - crop.bottom
        clap = struct.pack(">4I4i", width, 1, height, 1, across, 2, down, 2)
    at = 0
    for name in OUTER:  # each one's size grows
        at = data.index(name, at)
        (size,) = struct.unpack_from(">I", data, at - 4)
        struct.pack_into(">I", data, at - 4, size + len(clap) + 8)
    end = at - 4 + size
    data[end:end] = struct.pack(">I4s", len(clap) + 8, b"clap") + clap
    mp4 = path.with_suffix(".mp4")
    mp4.write_bytes(data)
    if path != mp4:
        clips.ffmpeg("-i", mp4, "-c", "copy", path)
    return path


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv"])
def test_a_cropped_file_is_cropped_as_by_a_player(tmp_path: Path, kind: str) -> None:
    path = write_cropped(tmp_path / f"cropped.{kind}")
    assert read_crop(path, 1, 0) == CROP
    source = FileSource(str(path))
    images = [frame.image for frame in source.frames()]
    source.close()
    whole = clips.decoded(tmp_path / "flat.mp4")
    assert (source.info.width, source.info.height) == (224, 200)
    assert len(images) == 5
    for image, one in zip(images, whole, strict=True):
        assert np.abs(image.astype(int) - one[16:216, 32:256]).mean() < 2
    assert clips.decoded_by_player(path).shape == (200, 224, 3)


def test_what_is_cropped_is_turned_afterwards(tmp_path: Path) -> None:
    write_cropped(tmp_path / "cropped.mp4")
    turned = tmp_path / "turned.mp4"
    clips.ffmpeg("-display_rotation", "-90", "-i", tmp_path / "cropped.mp4", "-c", "copy", turned)
    source = FileSource(str(turned))
    source.close()
    assert (source.info.width, source.info.height) == (200, 224)
    assert clips.decoded_by_player(turned).shape == (224, 200, 3)


@pytest.mark.parametrize(
    "clap",
    [
        struct.pack(">8I", 0, 0, 0, 0, 0, 0, 0, 0),
        struct.pack(">8I", 10**9, 1, 200, 1, 0, 1, 0, 1),
        struct.pack(">4I4i", 100, 1, 100, 1, -(2**31), 1, 0, 1),
        b"short",
    ],
)
def test_a_crop_that_makes_no_sense_is_none(tmp_path: Path, clap: bytes) -> None:
    path = write_cropped(tmp_path / "odd.mp4", clap=clap)
    assert read_crop(path, 1, 0) == Crop()


def test_a_file_without_a_crop_has_none(tmp_path: Path) -> None:
    for kind in ("mp4", "mkv", "avi"):
        path = clips.write_clip(tmp_path / f"plain.{kind}", clips.numbered(2))
        assert read_crop(path, 1, 0) == Crop()
