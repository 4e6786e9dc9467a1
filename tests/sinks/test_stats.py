"""Figures: a row a face a frame, right to the pixel, on the disk as they come."""

from __future__ import annotations

import csv
import json
import os
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

import facereg
from facereg.components import Run, Status
from facereg.errors import FaceregError, SinkError
from facereg.regions import CLASSES
from facereg.sinks.stats import StatsSink
from facereg.types import Box, Detection, Face, Frame, FrameResult, RegionMasks
from tests.sinks.results import feed, info, result


def rows(path: Path) -> list[dict]:
    if path.suffix == ".parquet":
        return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    text = path.read_text()
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return [json.loads(row) for row in text.splitlines()]


def known() -> FrameResult:
    """A face of 3x2 red lip pixels at (10, 20), and a blue eye pixel at (14, 22)."""
    image = np.zeros((40, 40, 3), np.uint8)
    labels = np.zeros((5, 6), np.uint8)
    labels[0:2, 0:3], labels[2, 4] = CLASSES.index("upper_lip"), CLASSES.index("left_eye")
    image[20:22, 10:13], image[22, 14] = (0, 10, 200), (250, 0, 0)
    found = Detection(Box(9, 19, 18, 28), 0.912345)
    return FrameResult(
        Frame(image, 7, 0.28), (Face(3, found, RegionMasks(Box(10, 20, 16, 25), labels)),)
    )


def test_a_csv_has_every_figure_in_its_column(tmp_path: Path):
    feed(StatsSink(path=tmp_path / "a.csv"), info(40, 40), [known()])
    (row,) = rows(tmp_path / "a.csv")
    assert {k: row[k] for k in list(row)[:8]} == {
        "index": "7", "time": "0.28", "id": "3", "x0": "9", "y0": "19", "x1": "18",
        "y1": "28", "score": "0.9123",
    }  # fmt: skip
    lip = [float(row[f"upper_lip_{x}"]) for x in ("area", "x", "y", "b", "g", "r")]
    assert lip == [6, 11, 20.5, 0, 10, 200]
    eye = [float(row[f"left_eye_{x}"]) for x in ("area", "x", "y", "b", "g", "r")]
    assert eye == [1, 14, 22, 250, 0, 0]
    assert (row["hair_area"], row["hair_x"]) == ("0", "")


def test_a_jsonl_has_the_regions_that_occur(tmp_path: Path):
    feed(StatsSink(path=tmp_path / "a.jsonl"), info(40, 40), [known()])
    assert rows(tmp_path / "a.jsonl") == [
        {
            "index": 7, "time": 0.28, "id": 3, "box": [9, 19, 18, 28], "score": 0.9123,
            "regions": {
                "left_eye": {"area": 1, "centroid": [14, 22], "bgr": [250, 0, 0]},
                "upper_lip": {"area": 6, "centroid": [11, 20.5], "bgr": [0, 10, 200]},
            },
            "measures": {
                "usable": 0,
                "unusable_because": "needs landmarks, which the detector did not give",
            },
            "video": "clip.mp4",
        }
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_frame_has_a_row_for_each_face_or_one_with_an_empty_id(tmp_path: Path, ending: str):
    results = [result(i) for i in range(12)]
    sink = StatsSink(path=tmp_path / f"a.{ending}")
    feed(sink, info(), results)
    nothing = {"csv": "", "jsonl": None, "parquet": None}[ending]
    found = [
        (int(r["index"]), nothing if r["id"] == nothing else int(r["id"]))
        for r in rows(tmp_path / f"a.{ending}")
    ]
    ids = {r.frame.index: [face.id for face in r.faces] or [nothing] for r in results}
    assert found == [(index, number) for index, numbers in ids.items() for number in numbers]
    empty = rows(tmp_path / f"a.{ending}")[0]
    assert {
        value
        for key, value in empty.items()
        if key not in ("index", "time", "regions", "measures", "video")
    } == {nothing}
    assert sink.report == {"path": str(tmp_path / f"a.{ending}"), "rows": len(found)}
    assert sink.outputs == (str(tmp_path / f"a.{ending}"),)
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{ending}"]


def test_areas_are_those_of_the_masks(tmp_path: Path):
    one = result(1)
    feed(StatsSink(path=tmp_path / "a.jsonl"), info(), [one])
    (row,) = rows(tmp_path / "a.jsonl")
    areas = {name: figures["area"] for name, figures in row["regions"].items()}
    assert areas == one.faces[0].regions.areas()


def test_a_face_without_regions_has_its_row(tmp_path: Path):
    one = result(1)
    bare = FrameResult(one.frame, (Face(1, one.faces[0].detection),))
    for name in ("a.csv", "a.jsonl"):
        feed(StatsSink(path=tmp_path / name), info(), [bare])
        assert len(rows(tmp_path / name)) == 1


def test_rows_are_on_the_disk_before_the_end(tmp_path: Path):
    sink = StatsSink(path=tmp_path / "a.csv")
    sink.open(info(), Run())
    for i in range(4):
        sink.write(result(i))
    assert len(rows(tmp_path / ".a.part.csv")) == 7
    assert not (tmp_path / "a.csv").exists()
    sink.close()
    assert len(rows(tmp_path / "a.csv")) == 7


def test_a_live_source_has_the_moment_of_each_frame_in_utc(tmp_path: Path):
    moment = datetime(2030, 1, 2, 3, 4, 5, 678000, timezone.utc)
    one = result(1)
    live = replace(one, frame=replace(one.frame, clock=moment))
    for ending in ("csv", "jsonl", "parquet"):
        feed(StatsSink(path=tmp_path / f"a.{ending}"), info(live=True), [live])
        (row,) = rows(tmp_path / f"a.{ending}")
        assert list(row)[:4] == ["index", "time", "clock", "id"]
        assert row["clock"] == "2030-01-02T03:04:05.678Z"


def test_a_parquet_file_has_the_figures_of_the_csv_file_with_types(tmp_path: Path):
    results = [result(i) for i in range(9)]
    for ending in ("csv", "parquet"):
        feed(StatsSink(path=tmp_path / f"a.{ending}"), info(), results)
    texts, values = (rows(tmp_path / f"a.{ending}") for ending in ("csv", "parquet"))
    assert list(texts[0]) == list(values[0])
    for text, value in zip(texts, values, strict=True):
        assert {k: "" if v is None else str(v) for k, v in value.items()} == text


def test_parquet_without_pyarrow_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FaceregError, match=r"needs pyarrow.*pip install 'facereg\[tables\]'"):
        feed(StatsSink(path=tmp_path / "a.parquet"), info(), [])
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_does_not_replace_an_earlier_ones_rows(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("precious")
    sink = StatsSink(path=path, overwrite=True)
    sink.open(info(), Run(status=lambda: Status(frames=2, failed=True)))
    for i in range(2):
        sink.write(result(i))
    sink.close()
    assert path.read_text() == "precious"
    assert sink.outputs == (str(tmp_path / ".a.part.csv"),)
    assert len(rows(tmp_path / ".a.part.csv")) == 2


def test_a_second_run_of_the_same_file_is_refused(tmp_path: Path):
    first, second = (StatsSink(path=tmp_path / "a.csv") for _ in range(2))
    first.open(info(), Run())
    with pytest.raises(SinkError, match=r"a.csv: another run or sink is writing it"):
        feed(second, info(), [result(1)])
    first.write(result(1))
    first.close()
    assert len(rows(tmp_path / "a.csv")) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.txt", "must end in .csv or .jsonl or .parquet"), ("a.csv", "a.csv exists; --overwrite"),
     ("no/a.csv", "does not exist")],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, message: str):
    (tmp_path / "a.csv").write_text("precious")
    with pytest.raises(FaceregError, match=message):
        feed(StatsSink(path=tmp_path / name), info(), [])
    assert (tmp_path / "a.csv").read_text() == "precious"


def test_a_full_disk_is_an_error_and_no_half_file_gets_the_name(tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    sink = StatsSink(path=tmp_path / "a.csv", overwrite=True)
    sink.open(info(), Run())
    sink.write(result(1))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, sink._table.file.fileno())
    os.close(full)
    with pytest.raises(SinkError, match=r"No space left on device; 1 rows are in .*\.a\.part\.csv"):
        sink.write(result(2))
    sink.close()
    assert not (tmp_path / "a.csv").exists()


def test_groups_are_summed_up_and_columns_describe_themselves(tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    for ending in ("csv", "jsonl", "parquet"):
        feed(StatsSink(path=tmp_path / f"a.{ending}"), info(40, 40), [known()])
        table = facereg.read_stats(tmp_path / f"a.{ending}")
        assert table.loc[0, ["lips_area", "mouth_area", "eyes_area"]].tolist() == [6, 6, 1]
        assert table.loc[0, "face_area"] == 7 and table.loc[0, "video"] == "clip.mp4"
    schema = parquet.read_schema(tmp_path / "a.parquet")
    said = {field.name: field.metadata[b"description"].decode() for field in schema}
    assert said["eyes_area"] == "pixels of eyes"
    assert said["mouth_opening_se"].startswith("standard error: inner height")
    assert all(said.values())
