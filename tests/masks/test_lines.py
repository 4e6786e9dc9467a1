"""A line has what is promised; damage of any kind is one line of an error."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import facereg
from facereg.errors import FaceregError, SourceError
from facereg.types import FrameResult
from tests.masks.dumps import RESULTS, dump, edit_line
from tests.sinks.results import info, result


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


@pytest.mark.parametrize(
    "marks", [None, 5, [], [[1, 2]] * 4, [[1, 2, 3]] * 5, [[1, "2"]] * 5, [[1, 1e999]] * 5]
)
def test_landmarks_that_are_no_five_points_are_damage(tmp_path: Path, marks: object):
    dump(tmp_path / "masks")
    edit_line(tmp_path / "masks", 1, lambda line: line["faces"][0].update(landmarks=marks))
    with pytest.raises(SourceError, match="line 2: damaged: a face is"):
        facereg.open_masks(tmp_path / "masks")


@pytest.mark.parametrize(("key", "value"), [("time", 99.5), ("parsed", False), ("faces", [])])
def test_a_changed_value_is_noticed(tmp_path: Path, key: str, value: object):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:4])
    rows = (folder / "frames.jsonl").read_text().splitlines()
    rows[3] = json.dumps({**json.loads(rows[3]), key: value})
    (folder / "frames.jsonl").write_text("".join(f"{row}\n" for row in rows))
    with pytest.raises(SourceError, match=r"line 4: damaged: it is not the line that was written"):
        facereg.open_masks(folder)


def test_a_line_that_is_only_written_differently_is_read(tmp_path: Path):
    folder = tmp_path / "masks"
    dump(folder, [replace_name(RESULTS[2], "caf\xe9.png")])
    text = (folder / "frames.jsonl").read_text()
    (folder / "frames.jsonl").write_text(json.dumps(json.loads(text), sort_keys=True) + "\n")
    with facereg.open_masks(folder) as masks:
        assert masks.frames[0]["name"] == "caf\xe9.png"


def replace_name(one: FrameResult, name: str) -> FrameResult:
    return replace(one, frame=replace(one.frame, name=name))


OTHER = [None, True, 3, -1, 10**25, 1.5, "text", [], [1], {}, {"a": 1}, "9" * 5000]


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Find the place of every value in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, one in inner:
        found.append((*path, key))
        if isinstance(one, (dict, list)):
            found += places(one, (*path, key))
    return found


def put(value: Any, path: tuple, other: object) -> None:
    for key in path[:-1]:
        value = value[key]
    if other is DELETED:
        del value[path[-1]]
    else:
        value[path[-1]] = other


DELETED = object()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "npz", "ffv1"])
def test_a_value_of_another_type_is_one_line_of_an_error_or_harmless(
    tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "masks"
    dump(folder, [result(i, faces=1) for i in range(2)], format=kind)
    errors: list[str] = []
    texts = {name: (folder / name).read_text() for name in ("manifest.json", "frames.jsonl")}
    for name, text in texts.items():
        first = text if name == "manifest.json" else text.splitlines()[0]
        for path in places(json.loads(first)):
            if path[0] == "classes" and path[1:] and path[1] > 0:
                continue  # one class is like another
            for other in (*OTHER, DELETED):
                value = json.loads(first)
                put(value, path, other)
                (folder / name).write_text(text.replace(first, json.dumps(value), 1))
                try:
                    with facereg.open_masks(folder) as masks:
                        masks.line(0)
                        if kind != "ffv1":
                            masks[0]
                except FaceregError as e:
                    errors.append(str(e))
                except IndexError:
                    assert path == ("index",)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    "text", ["[" * 200_000, "\udcff", "\0", "{" * 9, "NaN", "1e999", "1" * 9999]
)
@pytest.mark.parametrize("name", ["manifest.json", "frames.jsonl"])
def test_any_text_is_one_line_of_an_error(tmp_path: Path, name: str, text: str) -> None:
    dump(tmp_path / "masks", RESULTS[:2])
    (tmp_path / "masks" / name).write_text(f"{text}\n", errors="surrogateescape")
    with pytest.raises(SourceError, match=name) as caught:
        facereg.open_masks(tmp_path / "masks")
    assert "\n" not in str(caught.value)


NAMES = [
    "line\nbreak.png",
    "tab\tand \x1b[31mred",
    "a:b|c",
    "ein Gruß 日本",
    '"quoted"',
    "\udcff\udcfe",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_of_a_picture_is_read_back(tmp_path: Path, name: str) -> None:
    dump(tmp_path / "masks", [result(0, name=name), result(1, name="b")])
    with facereg.open_masks(tmp_path / "masks") as masks:
        assert [line["name"] for line in masks.frames] == [name, "b"]
    rows = (tmp_path / "masks" / "frames.jsonl").read_bytes().decode().splitlines()
    assert json.loads(rows[0])["name"] == name


def test_a_live_source_has_the_moment_of_each_frame_in_utc(tmp_path: Path) -> None:
    moment = datetime(2030, 1, 2, 3, 4, 5, 678900, timezone.utc)
    one = result(1)
    live = replace(one, frame=replace(one.frame, clock=moment))
    dump(tmp_path / "masks", [live], info(live=True))
    with facereg.open_masks(tmp_path / "masks") as masks:
        assert masks.frames[0]["clock"] == "2030-01-02T03:04:05.678Z"
        started = datetime.fromisoformat(masks.manifest["started"].replace("Z", "+00:00"))
    assert abs(datetime.now(timezone.utc) - started).total_seconds() < 3600


def test_a_recording_has_no_clock(tmp_path: Path) -> None:
    dump(tmp_path / "masks", RESULTS[:2])
    with facereg.open_masks(tmp_path / "masks") as masks:
        assert "started" not in masks.manifest
        assert "clock" not in masks.frames[1]
