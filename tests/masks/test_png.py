"""Maps as PNG files: any size, any value, and a torn file is known as one."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from facereg.masks import png


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (121, 161), (700, 3)])
@pytest.mark.parametrize("library", ["isal", "zlib"])
def test_what_is_written_is_read(
    dtype: str, size: tuple[int, int], library: str, monkeypatch: pytest.MonkeyPatch
):
    if library == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
    most = 21 if dtype == "u1" else 65536
    values = np.random.default_rng(0).integers(0, most, size).astype(dtype)
    data = png.encode(values)
    back = png.decode(io.BytesIO(data), size)
    assert back.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(back, values)
    with Image.open(io.BytesIO(data)) as image:
        image.verify()


def test_a_part_of_a_larger_array_is_written():
    values = np.arange(200, dtype=np.uint8).reshape(10, 20) % 21
    for part in (values[2:7, 3:9], values[::2, ::3], values.T):
        assert np.array_equal(png.decode(io.BytesIO(png.encode(part)), part.shape), part)


def test_only_a_file_to_the_last_byte_is_whole():
    data = png.encode(np.zeros((20, 30), np.uint8))
    assert png.is_whole(data)
    assert not any(png.is_whole(data[:end]) for end in range(len(data)))
    assert not png.is_whole(data + b"\0")
    for at in range(8, len(data)):
        assert not png.is_whole(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1"])
def test_a_picture_is_no_map(mode: str):
    with io.BytesIO() as file:
        Image.new(mode, (30, 20)).save(file, "png")
        file.seek(0)
        with pytest.raises(ValueError, match="not paletted or gray"):
            png.decode(file, (20, 30))


def test_a_picture_of_another_kind_is_not_read():
    with io.BytesIO() as file:
        Image.new("L", (30, 20)).save(file, "tiff")
        file.seek(0)
        with pytest.raises(SyntaxError):
            png.decode(file, (20, 30))
