from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facereg.cli import main


@pytest.mark.slow
def test_a_model_that_made_the_labels_is_all_right(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(dataset), "--split", "val", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mean_f1"] == found["mean_iou"] == 1.0
    assert found["images"] == 1
    assert found["classes"]["skin"]["f1"] == 1.0


@pytest.mark.slow
def test_it_saves_what_it_scored(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels"
    assert main(["evaluate", str(dataset), "--save-labels", str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == [f"view{i}.png" for i in range(6)]
    saved = np.array(Image.open(out / "view0.png"))
    np.testing.assert_array_equal(saved, np.array(Image.open(dataset / "labels" / "view0.png")))
    table = capsys.readouterr().out
    assert "skin" in table
    assert "mean" in table


@pytest.mark.slow
def test_it_draws_the_confusion(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "confusion.png"
    args = ["evaluate", str(dataset), "--split", "val", "--by-region", "--confusion", str(out)]
    assert main(args) == 0
    assert cv2.imread(str(out)).std() > 10


def test_an_unknown_split_is_named(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(dataset), "--split", "vall"]) == 2
    assert "did you mean val" in capsys.readouterr().err
