from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facereg import FaceregError, SinkError
from facereg.training.metrics import Confusion
from facereg.training.plots import plot_confusion, plot_history

pytest.importorskip("matplotlib")

HISTORY = [{"minutes": 1.0, "loss": 2.0}, {"minutes": 2.0, "loss": 1.0, "mean_f1": 0.5}]


@pytest.mark.slow
def test_curves_and_confusion_are_drawn(tmp_path: Path) -> None:
    confusion = Confusion()
    confusion.add(np.uint8([[0, 1, 2]]), np.uint8([[0, 1, 1]]))
    plot_confusion(confusion, tmp_path / "confusion.png")
    plot_history(HISTORY, tmp_path / "history.png")
    plot_history([], tmp_path / "empty.png")
    for name in ("confusion", "history", "empty"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert np.array(image.convert("L")).std() > 5


def test_a_plot_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"a\.png: cannot be written: No such file"):
        plot_history(HISTORY, tmp_path / "none" / "a.png")


def test_without_matplotlib_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FaceregError, match=r"pip install 'facereg\[plot\]'"):
        plot_history(HISTORY, tmp_path / "a.png")
