from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from facereg.cli import main
from facereg.training import requirements


@pytest.mark.parametrize("command", ["train", "export"])
@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_a_missing_package_is_one_line_with_the_cure(
    command: str,
    missing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        requirements, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    out = tmp_path / ("a.safetensors" if command == "train" else "a.onnx")
    arguments = [str(tmp_path), "-o", str(out)] if command == "train" else [str(out)]
    assert main([command, *arguments]) == 1
    error = capsys.readouterr().err
    assert f"facereg {command} needs {missing}, which is not installed" in error
    assert "pip install 'facereg[train]'" in error
    assert "Traceback" not in error


def test_nothing_is_missing_here() -> None:
    requirements.check_installed("a test")
