"""``facereg plot``: a picture of what was measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facereg.commands import plot
from facereg.errors import FaceregError, SinkError, SourceError, UsageError
from facereg.sinks.stats import StatsSink
from tests.sinks.results import feed, info, result

pytest.importorskip("matplotlib")


@pytest.fixture
def stats(tmp_path: Path) -> Path:
    results = [result(i, faces=2 if i % 30 < 20 else 0) for i in range(60)]
    feed(StatsSink(path=tmp_path / "stats.csv"), info(), results)
    return tmp_path / "stats.csv"


def run(stats: Path, out: Path, **options) -> int:
    given = {"regions": None, "overwrite": False, "person": None, "pixels": False, **options}
    files = given.pop("files", [stats])
    return plot.run(argparse.Namespace(stats=list(map(str, files)), output=str(out), **given))


def colours(path: Path) -> int:
    """Count the saturated colours that lines are drawn in."""
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB")).reshape(-1, 3).astype(int)
    strong = pixels[np.ptp(pixels, axis=1) > 100]
    _, counts = np.unique(strong, axis=0, return_counts=True)
    return int((counts > 50).sum())


@pytest.mark.slow
def test_a_plot_has_a_line_for_each_region(stats: Path, tmp_path: Path):
    assert run(stats, tmp_path / "one.png", regions=["skin"]) == 0
    assert run(stats, tmp_path / "three.png", regions=["skin", "ears", "glasses"]) == 0
    assert colours(tmp_path / "one.png") < colours(tmp_path / "three.png")


@pytest.mark.slow
def test_without_regions_the_largest_are_drawn(stats: Path, tmp_path: Path):
    run(stats, tmp_path / "plot.png")
    assert colours(tmp_path / "plot.png") > 0
    faces = plot.read(stats)
    assert plot._largest({"one": faces[1]})[0] == "skin"


def test_csv_and_jsonl_say_the_same(stats: Path, tmp_path: Path):
    results = [result(i, faces=2 if i % 30 < 20 else 0) for i in range(60)]
    feed(StatsSink(path=tmp_path / "stats.jsonl"), info(), results)
    one, two = plot.read(stats), plot.read(tmp_path / "stats.jsonl")
    assert one.keys() == two.keys() == {1, 2}
    for face in one:
        for a, b in zip(one[face], two[face], strict=True):
            assert np.array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_other_kinds_of_picture_are_written(stats: Path, tmp_path: Path, ending: str):
    run(stats, tmp_path / f"plot.{ending}")
    assert (tmp_path / f"plot.{ending}").stat().st_size > 1000


@pytest.mark.slow
def test_what_is_there_is_kept_unless_asked(stats: Path, tmp_path: Path):
    (tmp_path / "plot.png").write_text("precious")
    with pytest.raises(SinkError, match=r"plot.png exists; --overwrite"):
        run(stats, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_text() == "precious"
    run(stats, tmp_path / "plot.png", overwrite=True)
    assert colours(tmp_path / "plot.png") > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "contains no face"),
        ("index,time,id\n1,2,3\n", "not a file of"),
        ("hello\nworld\n", "not a file of"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        run(tmp_path / "a.csv", tmp_path / "plot.png")
    assert not (tmp_path / "plot.png").exists()


def test_a_wrong_name_is_one_line(stats: Path, tmp_path: Path):
    with pytest.raises(UsageError, match=r"unknown region 'lip'"):
        run(stats, tmp_path / "plot.png", regions=["lip"])
    with pytest.raises(SourceError, match=r"No such file"):
        run(tmp_path / "none.csv", tmp_path / "plot.png")
    with pytest.raises(UsageError, match=r"must end in .png"):
        run(stats, tmp_path / "plot.xyz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["stats.csv"]


def test_without_matplotlib_it_says_how_to_get_it(
    stats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FaceregError, match=r"pip install 'facereg\[plot\]'"):
        run(stats, tmp_path / "plot.png")


def test_areas_are_shares_of_the_face() -> None:
    areas = np.zeros((2, 21), int)
    areas[0, [1, 4, 10]] = 90, 10, 300  # skin, an eye, hair
    times, shares = plot.as_shares((np.array([0.0, 1.0]), areas))
    assert times.tolist() == [0.0]  # a frame without a face is left out
    assert shares[0, [1, 4, 10]].tolist() == [0.9, 0.1, 3.0]


@pytest.mark.slow
def test_several_files_and_kinds_are_drawn_together(stats: Path, tmp_path: Path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    results = [result(i, faces=2) for i in range(30)]
    for ending in ("jsonl", "parquet"):
        feed(StatsSink(path=tmp_path / f"other.{ending}"), info(), results)
    files = [stats, tmp_path / "other.jsonl", tmp_path / "other.parquet"]
    panels = plot.read_all(files, [2])
    assert list(panels) == ["stats: face 2", "other: face 2"]
    assert run(stats, tmp_path / "a.png", files=files, pixels=True, person=[1]) == 0
    with pytest.raises(SourceError, match="no face 7"):
        run(stats, tmp_path / "b.png", person=[7])
