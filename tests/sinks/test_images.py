"""A folder of pictures: as many, as named, as typed as the source's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facereg.components import Run
from facereg.errors import SinkError, UsageError
from facereg.sinks.images import ImagesSink
from facereg.sources.images import ImagesSource
from facereg.types import FrameResult, SourceInfo
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


# One picture


@pytest.mark.parametrize("name", ["o.png", "o.JPG", "o.jpeg", "o.webp", "o.bmp", "o.tiff"])
def test_a_photo_becomes_a_photo(tmp_path: Path, name: str):
    photo = info(stills=True, frame_count=1)
    sink = ImagesSink(path=tmp_path / name, view="overlay")
    feed(sink, photo, [result(1, name="me.png")])
    with Image.open(tmp_path / name) as image:
        assert image.size == (160, 120)
    assert sink.report == {"path": str(tmp_path / name), "frames": 1}
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "source", [info(), info(stills=True, frame_count=3), info(live=True, rate=None)]
)
def test_many_frames_do_not_fit_into_one_picture(tmp_path: Path, source: SourceInfo):
    with pytest.raises(UsageError, match=r"has more: name a folder .*: -o .*/out/$"):
        feed(ImagesSink(path=tmp_path / "out.png"), source, [])
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_picture_stays_until_the_new_one_is_complete(tmp_path: Path):
    out = tmp_path / "out.png"
    out.write_text("precious")
    photo = info(stills=True, frame_count=1)
    with pytest.raises(SinkError, match="exists; --overwrite"):
        ImagesSink(path=out).open(photo, Run())
    feed(ImagesSink(path=out, overwrite=True), photo, [])
    assert out.read_text() == "precious"
    feed(ImagesSink(path=out, overwrite=True), photo, [result(0)])
    assert cv2.imread(str(out)).shape == (120, 160, 3)


def test_a_size_that_a_kind_of_picture_cannot_have_is_said(tmp_path: Path):
    wide = result(0, size=(20000, 2), faces=0)
    photo = info(20000, 2, stills=True, frame_count=1)
    with pytest.raises(SinkError, match=r"20000x2 cannot be written as .webp; use .png"):
        feed(ImagesSink(path=tmp_path / "out.webp", view="raw"), photo, [wide])
    assert list(tmp_path.iterdir()) == []


# One run a folder


def test_two_runs_do_not_share_a_folder(tmp_path: Path):
    first, second = (ImagesSink(path=tmp_path / "out", overwrite=True) for _ in range(2))
    first.open(info(), Run())
    with pytest.raises(SinkError, match=r"another run"):
        second.open(info(), Run())
    second.close()
    first.write(result(0))
    first.close()
    feed(second, info(), [result(1)])
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_run_without_frames_leaves_no_folder(tmp_path: Path):
    feed(ImagesSink(path=tmp_path / "out"), info(), [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../evil.png", "/tmp/evil.png", "a/b.png"])
def test_a_frame_whose_name_leads_elsewhere_is_refused(tmp_path: Path, name: str):
    with pytest.raises(SinkError, match=r"leads out of it"):
        feed(ImagesSink(path=tmp_path / "out"), info(), [result(0, name=name)])
    assert list(tmp_path.iterdir()) == []


def test_a_planted_link_is_replaced_and_not_followed(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("000000.png", ".000000.part.png"):
        (out / name).symlink_to(victim)
    feed(ImagesSink(path=out, overwrite=True), info(), [result(0)])
    assert victim.read_text() == "precious"
    assert cv2.imread(str(out / "000000.png")).shape == (120, 160, 3)


def test_names_of_250_bytes_are_written(tmp_path: Path):
    name = "ä" * 123 + ".png"
    feed(ImagesSink(path=tmp_path / "out"), info(), [result(0, name=name)])
    assert [p.name for p in (tmp_path / "out").iterdir()] == [name]
