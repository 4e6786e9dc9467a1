"""``facereg report``: one page that needs nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facereg.cli import main

pytest.importorskip("pandas", reason="pandas is not installed")
pytest.importorskip("plotly", reason="plotly is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture
def stats(face_clip: Path, tmp_path: Path) -> Path:
    path = tmp_path / "anna <b>.csv"
    assert main(["run", str(face_clip), "--stats", str(path), "--quiet"]) == 0
    return path


def test_a_page_has_everything_in_it(stats: Path, face_clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    video = ["--video", str(face_clip)]
    assert main(["report", str(stats), "-o", str(out), *video]) == 0
    page = out.read_text(encoding="utf-8")
    assert "anna &lt;b&gt;, person 1" in page and "anna <b>" not in page.split("<script", 1)[0]
    assert page.count("data:image/jpeg;base64,") == 1
    assert "left eye opening" in page and "eyes closed" in page
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?:', page)
    assert main(["report", str(stats), "-o", str(out)]) == 1  # it is there


def test_wrong_input_is_one_line(
    stats: Path, face_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "r.html")]
    clip = str(face_clip)
    assert main(["report", str(stats), *out, "--video", clip, clip]) == 2
    assert main(["report", str(tmp_path / "no.csv"), *out]) == 1
    (tmp_path / "old.csv").write_text("index,time,id,x0,y0,x1,y1,score\n0,0,1,0,0,5,5,1\n")
    assert main(["report", str(tmp_path / "old.csv"), *out]) == 1
    assert "run --stats again" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()
