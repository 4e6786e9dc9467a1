"""Segments have every frame exactly once, and the oldest are removed."""

from __future__ import annotations

import os
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

import facereg
from facereg.cli import main
from facereg.sinks.segments import Limit, Retention, SegmentedSink
from facereg.sinks.stats import StatsSink
from facereg.types import Frame, FrameResult
from tests import clips
from tests.sinks.results import feed, info, result


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_segments_of_a_file_are_named_by_their_time_and_lose_nothing(tmp_path: Path) -> None:
    sink = SegmentedSink("stats", lambda path: StatsSink(path=path), tmp_path / "a.csv", 0.4)
    feed(sink, info(), [result(i) for i in range(25)])
    times = [result(i).frame.time for i in range(25)]
    assert names(tmp_path)[0] == "a_000000.000s.csv"
    rows = [len((tmp_path / name).read_text().splitlines()) - 1 for name in names(tmp_path)]
    assert sum(rows) >= 25
    assert len(rows) == len({int((time - times[0]) / 0.4 + 1e-9) for time in times})
    assert sink.report["segments"] == len(rows)
    assert [Path(path).name for path in sink.outputs] == names(tmp_path)


def test_segments_of_a_camera_are_named_by_utc(tmp_path: Path) -> None:
    sink = SegmentedSink("stats", lambda path: StatsSink(path=path), tmp_path / "a.csv", 60)
    clock = datetime(2026, 3, 1, 9, 15, 30, 120_000, tzinfo=timezone.utc)
    frames = [Frame(result(0).frame.image, i, 50.0 * i, clock=clock) for i in range(3)]
    feed(sink, info(live=True), [FrameResult(frame) for frame in frames[:1]])
    assert names(tmp_path) == ["a_20260301T091530.120Z.csv"]


def test_the_oldest_finished_segments_are_removed(tmp_path: Path) -> None:
    (tmp_path / "day.mp4").write_text("not a segment")
    for i in range(6):
        (tmp_path / f"day_20260301T09{i:02d}00.000Z.mp4").write_bytes(b"x" * 100)
    current = tmp_path / "day_20260301T090000.000Z.mp4"
    Retention(Limit(size=250), [tmp_path / "day.mp4"]).apply(current)
    left = ["20260301T090000.000Z", "20260301T090500.000Z"]
    assert names(tmp_path) == ["day.mp4", *(f"day_{stamp}.mp4" for stamp in left)]
    old = tmp_path / "day_20260301T090500.000Z.mp4"
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    Retention(Limit(seconds=3600), [tmp_path / "day.mp4"]).apply(current)
    assert not old.exists() and current.exists()


@pytest.mark.slow
def test_a_run_in_segments_is_the_whole_run(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "in.mp4", clips.numbered(30))
    out = tmp_path / "out"
    out.mkdir()
    line = ["run", str(clip), "-d", "haar", "-o", str(out / "v.mp4"), "-m", str(out / "m")]
    line += ["--stats", str(out / "s.csv"), "--view", "raw", "--segment", "0.4", "--quiet"]
    assert main(line) == 0
    videos = sorted(out.glob("v_*.mp4"))
    numbers = [clips.number(image) for path in videos for image in clips.decoded(path)]
    assert numbers == list(range(30))
    frames = []
    for folder in sorted(out.glob("m_*")):
        with facereg.open_masks(folder) as dump:
            assert dump.complete
            frames += [line["index"] for line in dump.frames]
    assert frames == list(range(30))
    assert len(videos) == len(list(out.glob("s_*.csv"))) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--retain", "7d", "--stats", "a.csv"], "give --segment T, too"),
        (["--segment", "1m", "-w"], "none is given"),
        (["--segment", "1m", "-m", "masks", "--resume"], "--segment writes many"),
        (["--segment", "0", "--stats", "a.csv"], "must be longer than 0 seconds"),
        (["--segment", "1m", "--retain", "lots", "--stats", "a.csv"], "neither a time such as 7d"),
    ],
)
def test_what_does_not_go_together_is_said(
    words: list[str], message: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["run", "in.mp4", *words])
    except SystemExit as e:
        code = int(e.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err
