from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest

from facereg.cli import main


@pytest.mark.slow
def test_export_writes_a_checked_onnx_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "base.onnx"
    assert main(["export", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] > 0.999
    assert found["crops"] >= 4
    onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert [p.name for p in tmp_path.iterdir()] == ["base.onnx"]
    assert main(["export", str(out)]) == 1
    assert "exists" in capsys.readouterr().err


def test_what_is_no_model_of_ours_cannot_be_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tmp_path / "a.onnx"), "-s", "pspnet:tta=on"]) != 0
    assert "cannot be exported: give pspnet:model= or weights=" in capsys.readouterr().err
