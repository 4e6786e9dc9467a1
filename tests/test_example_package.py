"""examples/facereg-yolo-style, as somebody else's package: installed, used, and gone again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "facereg-yolo-style"


class Environment:
    """A virtual environment that sees the packages of this one, but has its own."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self._folder = folder
        self._python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def pip(self, command: str, *arguments: str | Path) -> str:
        """Run our pip for this environment."""
        pip = ("-m", "pip", "--python", self._python, "--disable-pip-version-check", command)
        return self._run(sys.executable, *pip, "--quiet", *arguments)

    def python(self, *arguments: str | Path) -> str:
        """Run Python, and return what it prints."""
        return self._run(self._python, *arguments)

    def facereg(self, *arguments: str | Path) -> Any:
        """Run facereg, and return the JSON that it prints."""
        return json.loads(self.python("-m", "facereg", *arguments, "--json"))

    def _run(self, *command: str | Path) -> str:
        done = subprocess.run(
            [*map(str, command)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.slow
def test_it_is_installed_listed_used_and_uninstalled(tmp_path: Path, face_clip: Path) -> None:
    environment = Environment(tmp_path / "environment")
    copy = shutil.copytree(EXAMPLE, tmp_path / "copy")  # a build writes into its source
    environment.pip("install", "--no-deps", "--no-build-isolation", "--no-index", copy)

    (found,) = environment.facereg("plugins", "yolo-style")["components"]
    assert (found["kind"], found["origin"]) == ("detector", "facereg-yolo-style 0.1.0")
    assert [option["name"] for option in found["options"]] == ["min_face", "score", "overlap"]

    out = tmp_path / "out.mp4"
    totals = environment.facereg("run", face_clip, "-d", "yolo-style:min_face=50", "-o", out)
    assert (totals["frames"], totals["faces"]) == (10, 10)
    assert out.is_file()

    environment.python("-m", "pytest", EXAMPLE, "-q", "-p", "no:cacheprovider")

    environment.pip("uninstall", "--yes", "facereg-yolo-style")
    listed = environment.facereg("plugins")
    assert "yolo-style" not in {component["name"] for component in listed["components"]}
    assert listed["failures"] == []
