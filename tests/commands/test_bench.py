"""``facereg bench``: figures that add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facereg.cli import main
from facereg.models import example

pytestmark = pytest.mark.slow


def test_every_stage_and_the_whole_are_measured(
    face_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(face_clip), "--frames", "8", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["size"], found["frames"], found["faces_per_frame"]) == ([320, 240], 8, 1.0)
    stages = found["stages"]
    assert set(stages) == {"read", "detect", "segment", "segment_a_face", "draw", "encode"}
    for name in ("detect", "segment", "draw"):
        assert 0 < stages[name]["p10_ms"] <= stages[name]["median_ms"] <= stages[name]["p90_ms"]
    for whole in found["whole"].values():
        assert whole["frames"] == 8
        assert whole["fps"] > 0
        assert whole["first_frame_seconds"] > whole["load_seconds"]


def test_a_table_for_people(no_face_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(no_face_clip), "--frames", "3", "-d", "haar"]) == 0

    shown = capsys.readouterr().out
    assert "3 frames of 320x240" in shown
    assert "0.00 faces a frame" in shown
    assert "without encoding" in shown
    assert "segment" not in shown.split("each stage alone")[1]  # there was nothing to segment


def test_the_clip_that_comes_with_facereg_is_there() -> None:
    assert example().stat().st_size > 10_000
