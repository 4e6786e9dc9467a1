"""Nothing is imported from the current folder, by the command or by a process that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facereg.commands.python_process import python_command


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder whose modules say that they were imported."""
    for name in ("cv2", "numpy", "argparse", "pygame", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'a').write(__name__)")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "RAN"


@pytest.mark.slow
def test_a_process_does_not_search_the_current_folder(trap: Path) -> None:
    code = "import argparse, cv2, facereg.types; print(cv2.__file__, *sys.argv[1:])"
    command = python_command(code, "a", "-b")
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert not trap.exists()
    assert done.stdout.split()[1:] == ["a", "-b"]


def test_a_process_searches_what_this_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("where = 'found'")
    monkeypatch.syspath_prepend(tmp_path)
    command = python_command("import only_here; print(only_here.where)")

    assert subprocess.run(command, capture_output=True, check=True).stdout.strip() == b"found"


@pytest.mark.slow
def test_the_module_does_not_search_the_current_folder(trap: Path) -> None:
    root = str(Path(__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-m", "facereg", "info", "none.mp4"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, trap.exists()) == (1, False), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
def test_a_folder_that_was_removed_is_no_trouble(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    command = f"cd {tmp_path} && rmdir {tmp_path} && {sys.executable} -m facereg models"
    done = subprocess.run(
        command, shell=True, env={**os.environ, "PYTHONPATH": root},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
