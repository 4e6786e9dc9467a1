from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from facereg.errors import SourceError
from facereg.sources.pictures import read_header, read_pages, to_8_bits


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.array([0, 255], np.uint8), [0, 255]),
        (np.array([0, 4095], np.uint16), [0, 255]),
        (np.array([0, 4096, 65535], np.uint16), [0, 16, 255]),
        (np.array([-5, 0, 65535], np.int32), [0, 0, 255]),
        (np.array([0, 2**31 - 1], np.int32), [0, 127]),
        (np.array([0.0, 0.5, 1.0]), [0, 128, 255]),
        (np.array([-1.0, np.nan, 200.0, 255.0]), [0, 0, 200, 255]),
        (np.array([0.0, 1e9]), [0, 59]),
        (np.zeros(2, np.float32), [0, 0]),
    ],
)
def test_samples_of_any_range_become_0_to_255(values: np.ndarray, wanted: list[int]) -> None:
    assert to_8_bits(values).tolist() == pytest.approx(wanted, abs=1)


def test_a_declared_range_counts() -> None:
    assert to_8_bits(np.array([0, 100], np.uint16), 1023).tolist() == [0, 25]
    assert to_8_bits(np.array([0, 4000], np.uint16), 1023).tolist() == [0, 249], "it is not true"


def test_thumbnails_and_second_views_are_no_pages(tmp_path: Path) -> None:
    big, small = PIL.Image.new("RGB", (64, 48)), PIL.Image.new("RGB", (16, 12))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    big.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert read_header(tmp_path / "a.tif").sizes == ((64, 48),)
    big.save(tmp_path / "b.mpo", save_all=True, append_images=[small], format="MPO")
    (tmp_path / "b.mpo").rename(tmp_path / "b.jpg")  # as phones name them
    header = read_header(tmp_path / "b.jpg")
    assert (header.pages, header.animated) == ((0,), False)


def test_pages_before_a_damaged_one_come(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    frames = [PIL.Image.effect_noise((64, 64), 90).convert("RGB") for _ in range(12)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    header = read_header(path)
    data = path.read_bytes()
    last = data.rindex(b"fdAT") + 20
    path.write_bytes(data[:last] + bytes(200) + data[last + 200 :])
    pages = read_pages(header)
    assert next(pages).image.shape == (64, 64, 3)
    with pytest.raises(SourceError, match=r"a\.png: "):
        list(pages)
