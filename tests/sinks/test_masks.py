"""A mask dump: what is written is what is read back, to the last pixel, whatever happened."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facereg
from facereg import output
from facereg.components import Run
from facereg.errors import SinkError, SourceError
from facereg.regions import CLASSES, COLORS
from facereg.sinks.masks import MasksSink
from facereg.types import SourceInfo
from tests.sinks.results import face, feed, info, result

FORMATS = ["png", "npz", "ffv1"]
RUN = Run(
    {
        "detector": "mtcnn",
        "segmenter": "pspnet",
        "model": {"name": "face", "sha256": "0f" * 32},
    }
)
RESULTS = [result(i) for i in range(70)]


def dump(path: Path, results=RESULTS, source: SourceInfo | None = None, **options) -> MasksSink:
    sink = MasksSink(path=path, **options)
    feed(sink, source or info(), results, RUN)
    return sink


def files(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


# What is written


def test_the_folder_is_as_documented(tmp_path: Path):
    dump(tmp_path / "masks", source=info(rate="30000/1001", frame_count=70))
    manifest = json.loads((tmp_path / "masks" / "manifest.json").read_text())
    assert manifest["format_version"] == 1
    assert manifest["facereg_version"] == facereg.__version__
    assert manifest["source"] == {
        "name": "clip.mp4", "width": 160, "height": 120, "fps": "30000/1001", "frame_count": 70,
    }  # fmt: skip
    assert [c["name"] for c in manifest["classes"]] == list(CLASSES)
    assert manifest["classes"][3] == {"id": 3, "name": "right_eyebrow", "color": [170, 110, 50]}
    assert (manifest["detector"], manifest["segmenter"]) == ("mtcnn", "pspnet")
    assert manifest["model"] == {"name": "face", "sha256": "0f" * 32}
    assert manifest["complete"] is True
    lines = [
        json.loads(row) for row in (tmp_path / "masks" / "frames.jsonl").read_text().splitlines()
    ]
    nothing = zlib.crc32(bytes(120 * 160))
    assert lines[0] == {
        "index": 0, "time": 0.0, "file": "000000.png", "faces": [], "labels_crc32": nothing,
    }  # fmt: skip
    assert lines[2]["time"] == 0.08
    second = lines[2]["faces"][1]
    assert list(second) == ["id", "box", "score", "areas", "crop"]
    assert (second["id"], second["score"]) == (2, 0.9877)
    assert second["box"] == list(RESULTS[2].faces[1].detection.box)
    assert second["crop"] == list(RESULTS[2].faces[1].regions.box)
    assert second["areas"] == RESULTS[2].faces[1].regions.areas()


def test_a_mask_is_a_paletted_picture_that_any_program_shows(tmp_path: Path):
    dump(tmp_path / "masks")
    with Image.open(tmp_path / "masks" / "000003.png") as image:
        assert (image.mode, image.size) == ("P", (160, 120))
        assert np.array_equal(np.array(image), RESULTS[3].labels())
        colors = np.array(image.convert("RGB"))
    assert np.array_equal(colors, np.array(COLORS, np.uint8)[RESULTS[3].labels()])
    with Image.open(tmp_path / "masks" / "000000.png") as image:
        assert not np.array(image).any(), "no face is a mask of background"


def test_an_image_source_has_its_names_and_sizes(tmp_path: Path):
    pictures = [
        result(0, name="a.jpg"),
        result(1, name="b.png", size=(200, 90)),
        result(2, name="c.jpg", size=(171, 131)),
    ]
    for kind in ("png", "npz"):
        dump(tmp_path / kind, pictures, info(sizes_vary=("b.png", 200, 90)), format=kind)
        with facereg.open_masks(tmp_path / kind) as masks:
            assert [line["name"] for line in masks.frames] == ["a.jpg", "b.png", "c.jpg"]
            for one, labels in zip(pictures, masks, strict=True):
                assert np.array_equal(labels, one.labels())
    with pytest.raises(SinkError, match=r"b.png is 200x90.*format=png takes mixed sizes"):
        dump(tmp_path / "ffv1", pictures, info(sizes_vary=("b.png", 200, 90)), format="ffv1")


# What is read back


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("instances", [False, True])
def test_every_pixel_is_read_back_in_any_order(tmp_path: Path, kind: str, instances: bool):
    sink = dump(tmp_path / "masks", format=kind, instances=instances)
    assert sink.outputs == (str(tmp_path / "masks"),)
    assert sink.report["frames"] == len(RESULTS)
    with facereg.open_masks(str(tmp_path / "masks")) as masks:
        assert len(masks) == len(RESULTS)
        assert masks.complete
        for one, labels in zip(RESULTS, masks, strict=True):
            assert labels.dtype == np.uint8
            assert np.array_equal(labels, one.labels())
        for index in (69, 3, 41, 42, 0, 7, 6, 66):
            assert np.array_equal(masks[index], RESULTS[index].labels())
            if instances:
                owners = masks.instances(index)
                assert owners.dtype == np.int32
                assert np.array_equal(owners, RESULTS[index].instances())
        if not instances:
            with pytest.raises(SourceError, match=r"instances=yes"):
                masks.instances(0)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(161, 121), (2, 2), (1, 1), (63, 500)])
def test_every_size_is_read_back(tmp_path: Path, kind: str, size: tuple[int, int]):
    pictures = [result(i, size=size, faces=0) for i in range(3)]
    dump(tmp_path / "masks", pictures, info(*size), format=kind, instances=True)
    with facereg.open_masks(tmp_path / "masks") as masks:
        assert [labels.shape for labels in masks] == [size[::-1]] * 3


@pytest.mark.parametrize("kind", FORMATS)
def test_frames_are_found_by_their_index_in_the_source(tmp_path: Path, kind: str):
    dump(tmp_path / "masks", [result(i) for i in (30, 31, 35)], format=kind)
    with facereg.open_masks(tmp_path / "masks") as masks:
        assert np.array_equal(masks[35], result(35).labels())
        assert (35 in masks, 32 in masks) == (True, False)
        for index in (32, 0, -1, 36):
            with pytest.raises(IndexError, match=f"no frame {index}; it has 30 to 35"):
                masks[index]


def test_a_video_of_masks_has_the_rate_of_the_source(tmp_path: Path):
    from tests import clips

    dump(tmp_path / "masks", source=info(rate="30000/1001"), format="ffv1")
    found = clips.probe(tmp_path / "masks" / "masks.mkv")
    assert (found.codec, found.frames) == ("ffv1", 70)
    assert float(found.rate) == pytest.approx(29.97, abs=0.02)


def test_a_face_id_that_cannot_be_stored_is_refused(tmp_path: Path):
    from dataclasses import replace

    one = result(1)
    wrong = replace(one, faces=(replace(face(70000, one.faces[0].detection.box)),))
    with pytest.raises(SinkError, match=r"face id 70000"):
        dump(tmp_path / "masks", [wrong], instances=True)


# Places and damage


def test_a_folder_that_is_in_use_is_kept(tmp_path: Path):
    dump(tmp_path / "masks", RESULTS[:5])
    before = files(tmp_path / "masks")
    with pytest.raises(SinkError, match=r"is not empty; --overwrite"):
        dump(tmp_path / "masks")
    assert files(tmp_path / "masks") == before


@pytest.mark.parametrize("kind", FORMATS)
def test_overwriting_removes_the_old_dump_and_nothing_else(tmp_path: Path, kind: str):
    for old in FORMATS:
        folder = tmp_path / f"{old}-{kind}"
        dump(folder, format=old, instances=True)
        (folder / "notes.txt").write_text("precious")
        dump(folder, RESULTS[:3], format=kind, overwrite=True)
        (folder / "notes.txt").unlink()
        dump(tmp_path / f"new-{old}-{kind}", RESULTS[:3], format=kind)
        assert files(folder) == files(tmp_path / f"new-{old}-{kind}")


def test_overwriting_spares_a_folder_that_is_no_dump(tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "000000.png").write_text("a photo")
    for option in ("overwrite", "resume"):
        with pytest.raises(SinkError, match=r"is not a mask dump"):
            dump(photos, **{option: True})
    assert files(photos) == {"000000.png": b"a photo"}


@pytest.mark.parametrize(
    ("name", "message"), [("no/masks", "does not exist; create it"), ("file", "is a file; name a")]
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, message: str):
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=message):
        dump(tmp_path / name)


@pytest.mark.parametrize("kind", ["png", "npz"])
def test_a_full_disk_is_an_error_and_what_is_there_is_whole(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "masks"
    sink = MasksSink(path=folder, format=kind)
    sink.open(info(), Run())
    for one in RESULTS[:66]:
        sink.write(one)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(output.os, "replace", full)
        with pytest.raises(SinkError, match=r"No space left"):
            feed_on(sink)
    sink.close()
    assert sink.outputs == ()
    with facereg.open_masks(folder) as masks:
        assert not masks.complete
        assert len(masks) == (66 if kind == "png" else 64)
        for labels, one in zip(masks, RESULTS, strict=False):
            assert np.array_equal(labels, one.labels())


def feed_on(sink: MasksSink) -> None:
    for i in range(66, 140):
        sink.write(result(i))


def test_a_dump_that_is_resumed_is_not_overwritten(tmp_path: Path):
    dump(tmp_path / "masks", RESULTS[:9])
    sink = dump(tmp_path / "masks", resume=True, overwrite=True)
    assert sink.report["resumed"] == 9


def test_a_folder_that_is_no_dump_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match=r"does not exist"):
        facereg.open_masks(tmp_path / "masks")
    with pytest.raises(SourceError, match=r"has no manifest.json"):
        facereg.open_masks(tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_damaged_map_is_named(tmp_path: Path, kind: str, damage: str):
    folder = tmp_path / "masks"
    dump(folder, format=kind)
    victim = folder / {"png": "000005.png", "npz": "000000.npz", "ffv1": "masks.mkv"}[kind]
    if damage == "cut":
        os.truncate(victim, victim.stat().st_size // 3)
    else:
        victim.unlink()
    with facereg.open_masks(folder) as masks, pytest.raises(SourceError, match=victim.name):
        for _ in masks:
            pass


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("manifest.json", "{", "manifest.json: damaged"),
        ("manifest.json", "[]", "not a manifest"),
        ("manifest.json", '{"format_version": 2, "format": "png"}', "format 2 is newer"),
        ("frames.jsonl", "{}\n", "line 1: damaged"),
        ("frames.jsonl", '{"index": 0', "its last line is cut off"),
        ("frames.jsonl", "", "counts 70 frames, and frames.jsonl has 0"),
    ],
)
def test_damaged_texts_are_named(tmp_path: Path, name: str, text: str, message: str):
    dump(tmp_path / "masks")
    (tmp_path / "masks" / name).write_text(text)
    with pytest.raises(SourceError, match=message):
        facereg.open_masks(tmp_path / "masks")


# Resuming


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.sinks.test_masks import MasksSink, RESULTS, RUN, info
sink = MasksSink(path=Path(sys.argv[1]), format=sys.argv[2], instances=True)
sink.open(info(), RUN)
for one in RESULTS[:int(sys.argv[3])]:
    sink.write(one)
for pipe in getattr(sink._dump._container, "_pipes", {}).values():
    os.kill(pipe.pid, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dump everything in one go, in each format."""
    folder = tmp_path_factory.mktemp("whole")
    for kind in FORMATS:
        dump(folder / kind, format=kind, instances=True)
    return folder


def kill(folder: Path, kind: str, frames: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), kind, str(frames)], check=False,
        env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("kind", FORMATS)
def test_a_killed_dump_says_so_and_is_resumed_to_the_same_bytes(
    tmp_path: Path, whole: Path, kind: str, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "masks"
    kill(folder, kind, 67)
    assert json.loads((folder / "manifest.json").read_text())["complete"] is False
    with facereg.open_masks(folder) as masks:
        assert not masks.complete
        assert "was not finished" in caplog.text
        assert np.array_equal(masks[5], RESULTS[5].labels()) if len(masks) else kind == "ffv1"
    sink = dump(folder, format=kind, instances=True, resume=True)
    assert sink.report["resumed"] == len(sink.done)
    assert len(sink.done) > (0 if kind == "ffv1" else 60)
    assert files(folder) == files(whole / kind)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("frames", [0, 1, 40, 64, 70])
def test_a_dump_that_was_ended_is_resumed_to_the_same_bytes(
    tmp_path: Path, whole: Path, kind: str, frames: int
):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:frames], format=kind, instances=True)
    dump(folder, format=kind, instances=True, resume=True)
    assert files(folder) == files(whole / kind)


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("frames.jsonl", -7), ("000066.png", 40), ("000066.png", 0), ("000066.png", -1),
        ("000066.instances.png", 30), ("000012.png", 50), ("000012.png", None),
    ],
)  # fmt: skip
def test_a_torn_line_or_file_is_made_again(
    tmp_path: Path, whole: Path, name: str, keep: int | None
):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:67], instances=True)
    if keep is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    sink = dump(folder, instances=True, resume=True)
    assert len(sink.done) == (12 if "12" in name else 66)
    assert files(folder) == files(whole / "png")


def test_a_torn_chunk_is_made_again(tmp_path: Path, whole: Path):
    folder = tmp_path / "masks"
    shutil.copytree(whole / "npz", folder)
    os.truncate(folder / "000000.npz", 3000)
    dump(folder, format="npz", instances=True, resume=True)
    assert files(folder) == files(whole / "npz")


def test_resuming_after_a_resumption_that_was_killed(tmp_path: Path, whole: Path):
    folder = tmp_path / "masks"
    shutil.copytree(whole / "ffv1", folder)
    for name in ("masks.mkv", "instances.mkv"):  # as while the frames are copied over
        os.replace(folder / name, folder / f".{name}.old")
        (folder / f".{name}.part").write_bytes(b"half")
    sink = dump(folder, format="ffv1", instances=True, resume=True)
    assert len(sink.done) == 70
    assert files(folder) == files(whole / "ffv1")


def test_another_kind_of_run_does_not_resume_a_dump(tmp_path: Path):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:9])
    before = files(folder)
    with pytest.raises(SinkError, match=r"its source is .*clip.mp4.*--overwrite starts again"):
        dump(folder, source=info(320, 240), resume=True)
    with pytest.raises(SinkError, match=r"its format is png, and that of this run npz"):
        dump(folder, format="npz", resume=True)
    sink = MasksSink(path=folder, resume=True)
    with pytest.raises(SinkError, match=r"its detector is mtcnn, and that of this run None"):
        sink.open(info(), Run())
    assert files(folder) == before


def test_resuming_where_nothing_is_yet_begins(tmp_path: Path, whole: Path):
    dump(tmp_path / "masks", instances=True, resume=True)
    assert files(tmp_path / "masks") == files(whole / "png")


# COCO


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_is_read_back_by_its_own_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    coco = pytest.importorskip("pycocotools.coco")
    dump(tmp_path / "masks", RESULTS[:8], instances=True)
    with facereg.open_masks(tmp_path / "masks") as masks:
        masks.to_coco(tmp_path / "masks.json")
    data = coco.COCO(str(tmp_path / "masks.json"))
    assert len(data.imgs) == 8
    assert {c["name"] for c in data.cats.values()} == set(CLASSES[1:])
    for one in RESULTS[:8]:
        rebuilt = np.zeros((120, 160), np.uint8)
        faces = set()
        for annotation in data.loadAnns(data.getAnnIds(imgIds=[one.frame.index])):
            mask = data.annToMask(annotation).astype(bool)
            assert mask.sum() == annotation["area"]
            rebuilt[mask] = annotation["category_id"]
            faces.add(annotation["face_id"])
            assert (one.instances()[mask] == annotation["face_id"]).all()
        assert np.array_equal(rebuilt, one.labels())
        assert faces == {f.id for f in one.faces}


def test_coco_without_its_tool_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dump(tmp_path / "masks", RESULTS[:2])
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with (
        facereg.open_masks(tmp_path / "masks") as masks,
        pytest.raises(SinkError, match=r"pip install pycocotools"),
    ):
        masks.to_coco(tmp_path / "masks.json")
    assert not (tmp_path / "masks.json").exists()
