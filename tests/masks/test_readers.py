"""Reading the maps of a dump, one by one, in any order."""

from __future__ import annotations

import io
import os
import shutil
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import facereg
from facereg.errors import SourceError
from facereg.masks import png
from facereg.masks.dump import MaskDump
from facereg.sinks.masks import MasksSink
from tests.masks.dumps import FORMATS, RESULTS, dump, edit_line, edit_manifest
from tests.sinks.results import feed, info, result

NAMES = ["a:b", "http:c", "-i", "%04d", "ein Gruß"]
if sys.platform == "linux":
    NAMES.append(os.fsdecode(b"not-utf8-\xff"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_video_of_maps_is_read_from_a_folder_of_any_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = [result(i) for i in range(6)]
    feed(MasksSink(path=Path(name), format="ffv1"), info(), results)
    with MaskDump(Path(name)) as dump:
        for i in (3, 0, 5):
            assert np.array_equal(dump[i], results[i].labels())


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


# Only in its folder


OUTSIDE = ["../outside.png", "/etc/passwd", "a/../000003.png", "", ".", "..", "000003.PNG"]
OUTSIDE += ["C:\\000003.png", "000003.png\n", "manifest.json"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_line_names_no_file_outside_its_dump(tmp_path: Path, name: str) -> None:
    dump(tmp_path / "masks", RESULTS[:6])
    shutil.copy(tmp_path / "masks" / "000003.png", tmp_path / "outside.png")
    edit_line(tmp_path / "masks", 3, lambda line: line.update(file=name))
    with pytest.raises(SourceError, match=r"frames.jsonl, line 4: damaged: its file is "):
        facereg.open_masks(tmp_path / "masks")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_link_in_a_dump_is_not_followed(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:6], format=kind)
    name = {"png": "000003.png", "npz": "000000.npz", "ffv1": "masks.mkv"}[kind]
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with facereg.open_masks(folder) as masks, pytest.raises(SourceError, match="a link"):
        masks[3]


@pytest.mark.parametrize("name", ["manifest.json", "frames.jsonl"])
def test_a_text_of_a_dump_is_no_link(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:6])
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(SourceError, match="a link"):
        facereg.open_masks(folder)


def test_a_pipe_in_a_dump_does_not_hang(tmp_path: Path) -> None:
    dump(tmp_path / "masks", RESULTS[:6])
    (tmp_path / "masks" / "000003.png").unlink()
    os.mkfifo(tmp_path / "masks" / "000003.png")
    with (
        facereg.open_masks(tmp_path / "masks") as masks,
        pytest.raises(SourceError, match="a file"),
    ):
        masks[3]


def test_a_playlist_in_place_of_a_video_leads_nowhere(tmp_path: Path) -> None:
    dump(tmp_path / "other", RESULTS[:6], format="ffv1")
    dump(tmp_path / "masks", RESULTS[:6], format="ffv1")
    playlist = f"ffconcat version 1.0\nfile '{tmp_path / 'other' / 'masks.mkv'}'\n"
    (tmp_path / "masks" / "masks.mkv").write_text(playlist)
    with facereg.open_masks(tmp_path / "masks") as masks, pytest.raises(SourceError):
        masks[3]


# The map that was written


def test_swapped_pictures_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:6], instances=True)
    for one, other in (
        ("000002.png", "000003.png"),
        ("000001.instances.png", "000005.instances.png"),
    ):
        (folder / one).rename(folder / "x")
        (folder / other).rename(folder / one)
        (folder / "x").rename(folder / other)
    with facereg.open_masks(folder) as masks:
        for index in (2, 3):
            with pytest.raises(SourceError, match=r"not the map that was written"):
                masks[index]
        assert np.array_equal(masks[1], RESULTS[1].labels())
        with pytest.raises(SourceError, match=r"not the map that was written"):
            masks.instances(1)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_map_of_another_line_is_noticed(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:6], format=kind)
    sums = [line["labels_crc32"] for line in facereg.open_masks(folder).frames]
    edit_line(folder, 2, lambda line: line.update(labels_crc32=sums[3]))
    with facereg.open_masks(folder) as masks, pytest.raises(SourceError, match=r"that was written"):
        masks[2]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_dump_without_checksums_is_read(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:6], format=kind)
    for i in range(6):
        edit_line(folder, i, lambda line: line.pop("labels_crc32"))
    with facereg.open_masks(folder) as masks:
        assert np.array_equal(masks[3], RESULTS[3].labels())


# Bombs


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_picture_of_another_size_is_not_decoded(tmp_path: Path) -> None:
    dump(tmp_path / "masks", RESULTS[:6])
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6)))
    (tmp_path / "masks" / "000003.png").write_bytes(bomb + chunk(b"IEND", b""))
    masks = facereg.open_masks(tmp_path / "masks")
    with pytest.raises(SourceError, match=r"it is 60000x60000, not 160x120"):
        masks[3]


def test_a_map_larger_than_pillow_expects_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 1000)
    size = (50, 60)
    with io.BytesIO(png.encode(np.zeros(size, np.uint8))) as file:
        assert png.decode(file, size).shape == size


@pytest.mark.parametrize("claim", [(50_000, 120, 160), (1, 50_000, 50_000), (2, 120, 160)])
def test_a_chunk_that_claims_more_than_it_may_have_is_not_read(
    tmp_path: Path, claim: tuple[int, int, int]
) -> None:
    dump(tmp_path / "masks", RESULTS[:1], format="npz")
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {claim}, }}"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.ljust(117).encode() + b"\n"
    index = io.BytesIO()
    np.save(index, np.zeros(1, np.int64))
    with zipfile.ZipFile(tmp_path / "masks" / "000000.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.npy", index.getvalue())
        archive.writestr("labels.npy", head + bytes(10**6))
    masks = facereg.open_masks(tmp_path / "masks")
    with pytest.raises(SourceError, match=r"labels is uint8 \(\d+, \d+, \d+\), not"):
        masks[0]


def test_a_chunk_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    dump(tmp_path / "masks", RESULTS[:1], format="npz")
    np.savez(tmp_path / "masks" / "000000.npz", index=np.zeros(1, np.int64),
             labels=np.array([{}], object), allow_pickle=True)  # fmt: skip
    with (
        facereg.open_masks(tmp_path / "masks") as masks,
        pytest.raises(SourceError, match="labels"),
    ):
        masks[0]


def test_a_video_of_another_size_is_noticed(tmp_path: Path) -> None:
    dump(tmp_path / "masks", [result(i, faces=1) for i in range(6)], format="ffv1")
    edit_manifest(tmp_path / "masks", source={"width": 158, "height": 121})
    with facereg.open_masks(tmp_path / "masks") as masks, pytest.raises(SourceError):
        masks[0]
