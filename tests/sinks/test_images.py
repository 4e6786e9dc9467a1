"""A folder of pictures: as many, as named, as typed as the source's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facereg.errors import SinkError, UsageError
from facereg.sinks.images import ImagesSink
from facereg.sources.images import ImagesSource
from facereg.types import FrameResult
from tests import clips
from tests.sinks.results import feed, info, result


def test_names_and_types_are_kept(tmp_path: Path):
    names = ["a.jpg", "B.JPEG", "c.png", "d.webp", "e.tiff"]
    results = [result(i, name=name, size=(60 + i, 50)) for i, name in enumerate(names)]
    sink = ImagesSink(path=tmp_path / "out", view="raw")
    feed(sink, info(sizes_vary=("B.JPEG", 61, 50)), results)
    found = {p.name: Image.open(p) for p in (tmp_path / "out").iterdir()}
    assert {name: image.format for name, image in found.items()} == {
        "a.jpg": "JPEG", "B.JPEG": "JPEG", "c.png": "PNG", "d.webp.png": "PNG", "e.tiff.png": "PNG",
    }  # fmt: skip
    assert [found[n].width for n in ("a.jpg", "B.JPEG", "c.png")] == [60, 61, 62]
    exact = cv2.imread(str(tmp_path / "out" / "c.png"))
    assert np.array_equal(exact, results[2].frame.image)
    for image in found.values():
        image.close()
    assert sink.outputs == (str(tmp_path / "out"),)
    assert sink.report["frames"] == 5


def test_a_photo_that_was_held_sideways_comes_out_upright_and_is_not_turned_again(tmp_path: Path):
    upright = clips.astronaut()[:300, :200]
    photos = tmp_path / "photos"
    photos.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    lying = np.ascontiguousarray(np.rot90(upright)[..., ::-1])
    Image.fromarray(lying).save(photos / "a.jpg", exif=exif, quality=95)
    source = ImagesSource(str(photos))
    feed(ImagesSink(path=tmp_path / "out", view="raw"), source.info,
         [FrameResult(frame) for frame in source.frames()])  # fmt: skip
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert image.size == (200, 300)
        assert 0x0112 not in image.getexif()
        pixels = np.array(image)[..., ::-1].astype(int)
    assert np.abs(pixels - upright).mean() < 6


def test_frames_of_a_video_are_numbered(tmp_path: Path):
    feed(ImagesSink(path=tmp_path / "out"), info(), [result(i) for i in (0, 1, 12)])
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["000000.png", "000001.png", "000012.png"]


def test_two_pictures_of_one_name_are_no_silent_loss(tmp_path: Path):
    with pytest.raises(SinkError, match=r"a second picture of the name a.jpg"):
        feed(ImagesSink(path=tmp_path / "out"), info(),
             [result(0, name="a.jpg"), result(1, name="a.jpg")])  # fmt: skip


def test_a_folder_in_use_is_kept_unless_asked(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_text("precious")
    (out / "b.png").write_text("precious")
    with pytest.raises(SinkError, match=r"is not empty; --overwrite"):
        feed(ImagesSink(path=out), info(), [result(0, name="a.png")])
    assert (out / "a.png").read_text() == "precious"
    feed(ImagesSink(path=out, overwrite=True), info(), [result(0, name="a.png")])
    assert cv2.imread(str(out / "a.png")).shape == (120, 160, 3)
    assert (out / "b.png").read_text() == "precious"


def test_the_folder_of_the_source_is_not_written_to(tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), clips.astronaut())
    before = (photos / "a.png").read_bytes()
    source = ImagesSource(str(photos))
    results = [FrameResult(frame) for frame in source.frames()]
    with pytest.raises(SinkError, match=r"is not empty"):
        feed(ImagesSink(path=photos), source.info, results)
    assert (photos / "a.png").read_bytes() == before


def test_quality_makes_larger_jpegs(tmp_path: Path):
    for quality in (20, 95):
        feed(ImagesSink(path=tmp_path / str(quality), quality=quality), info(),
             [result(0, name="a.jpg")])  # fmt: skip
    small, large = ((tmp_path / q / "a.jpg").stat().st_size for q in ("20", "95"))
    assert large > 2 * small
    with pytest.raises(UsageError, match=r"quality"):
        ImagesSink(path=tmp_path, quality=0)
