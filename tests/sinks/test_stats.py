"""Figures: a row a face a frame, right to the pixel, on the disk as they come."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from facereg.components import Run
from facereg.errors import SinkError
from facereg.regions import CLASSES
from facereg.sinks.stats import StatsSink
from facereg.types import Box, Detection, Face, Frame, FrameResult, RegionMasks
from tests.sinks.results import feed, info, result


def rows(path: Path) -> list[dict]:
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
        "index": "7", "time": "0.28", "face_id": "3", "x0": "9", "y0": "19", "x1": "18",
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
            "index": 7, "time": 0.28, "face_id": 3, "box": [9, 19, 18, 28], "score": 0.9123,
            "regions": {
                "left_eye": {"area": 1, "centroid": [14, 22], "bgr": [250, 0, 0]},
                "upper_lip": {"area": 6, "centroid": [11, 20.5], "bgr": [0, 10, 200]},
            },
        }
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_there_is_a_row_for_every_face_and_none_for_an_empty_frame(tmp_path: Path, ending: str):
    results = [result(i) for i in range(12)]
    sink = StatsSink(path=tmp_path / f"a.{ending}")
    feed(sink, info(), results)
    found = [(int(r["index"]), int(r["face_id"])) for r in rows(tmp_path / f"a.{ending}")]
    assert found == [(r.frame.index, face.id) for r in results for face in r.faces]
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
    assert len(rows(tmp_path / ".a.part.csv")) == 6
    assert not (tmp_path / "a.csv").exists()
    sink.close()
    assert len(rows(tmp_path / "a.csv")) == 6


def test_no_face_at_all_is_an_empty_table(tmp_path: Path):
    feed(StatsSink(path=tmp_path / "a.csv"), info(), [result(0)])
    assert rows(tmp_path / "a.csv") == []
    assert (tmp_path / "a.csv").read_text().startswith("index,time,face_id,")


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.txt", "must end in .csv or .jsonl"), ("a.csv", "a.csv exists; --overwrite"),
     ("no/a.csv", "does not exist")],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, message: str):
    (tmp_path / "a.csv").write_text("precious")
    with pytest.raises(SinkError, match=message):
        feed(StatsSink(path=tmp_path / name), info(), [])
    assert (tmp_path / "a.csv").read_text() == "precious"


def test_a_full_disk_is_an_error_and_no_half_file_gets_the_name(tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    sink = StatsSink(path=tmp_path / "a.csv", overwrite=True)
    sink.open(info(), Run())
    sink.write(result(1))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, sink._file.fileno())
    os.close(full)
    with pytest.raises(SinkError, match=r"No space left on device; 1 rows are in .*\.a\.part\.csv"):
        sink.write(result(2))
    sink.close()
    assert not (tmp_path / "a.csv").exists()
