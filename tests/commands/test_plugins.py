"""``facereg plugins``: an author finds out whether and how their plugin is known."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import facereg
from facereg.cli import main

MINE = '''
from pathlib import Path
import facereg

class Corner(facereg.Detector):
    """Finds a face in the corner.

    It is always there.
    """

    name = "corner"

    def __init__(self, *, size: int, model: Path | None = None, fast: bool = True) -> None:
        pass

    def detect(self, frame):
        return []

@facereg.hookimpl
def register_detectors():
    return [Corner]
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Write a plugin file."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def listed(
    capsys: pytest.CaptureFixture[str], *arguments: str
) -> dict[str, list[dict[str, object]]]:
    """Run the command with ``--json`` and read what it prints."""
    assert main(["plugins", "--json", *arguments]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_every_built_in_is_listed_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    found = {(c["kind"], c["name"]): c for c in listed(capsys)["components"]}

    expected = {
        ("source", "file"),
        ("source", "images"),
        ("detector", "mtcnn"),
        ("detector", "haar"),
        ("segmenter", "pspnet"),
        ("sink", "mp4"),
        ("sink", "masks"),
        ("view", "gallery"),
    }
    assert expected <= found.keys()
    assert all(found[key]["origin"] == f"facereg {facereg.__version__}" for key in expected)
    assert all(found[key]["summary"] for key in expected)
    options = {o["name"]: o for o in found["sink", "mp4"]["options"]}  # type: ignore[attr-defined]
    assert options["path"] == {"name": "path", "type": "Path", "default": None, "required": True}
    assert options["overwrite"]["default"] is False


def test_a_file_of_ones_own_is_listed_with_where_it_is_from(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "--plugin", str(mine)]) == 0

    shown = capsys.readouterr().out
    assert f"corner      Finds a face in the corner.  [{mine}]" in shown
    assert "options: size, model, fast" in shown


def test_one_is_told_in_full(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "corner", "--plugin", str(mine)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["detector corner", f"from file: {mine}"]
    assert "It is always there." in lines
    assert {"  size: int", "  model: Path | None = None", "  fast: bool = True"} <= set(lines)


@pytest.mark.parametrize("name", ["rtsp", "mtcnn", "mp4", "overlay", "pspnet"])
def test_every_option_is_explained_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", name]) == 0

    lines = capsys.readouterr().out.splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith("Options, ")]
    options = [i for i in range(start + 1, len(lines)) if re.match(r"  \w", lines[i])]
    assert options
    explained = [i for i in options if lines[i + 1].startswith("      ")]
    assert [i for i in options if i not in explained] == []
    assert not any(line.startswith(("Args:", "Raises:", "Options:")) for line in lines)


def test_one_is_told_to_programs(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = listed(capsys, "corner", "--plugin", str(mine))["components"]

    assert (one["kind"], one["layer"], one["origin"]) == ("detector", "file", str(mine))
    assert one["options"] == [
        {"name": "size", "type": "int", "default": None, "required": True},
        {"name": "model", "type": "Path | None", "default": None, "required": False},
        {"name": "fast", "type": "bool", "default": True, "required": False},
    ]


def test_an_unknown_name_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "mtcn"]) == 2
    assert "did you mean mtcnn?" in capsys.readouterr().err


def test_one_that_the_user_disabled_is_shown_as_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FACEREG_DISABLE_PLUGINS", "haar")

    (failure,) = listed(capsys)["failures"]
    assert (failure["origin"], failure["disabled"]) == ("facereg", True)
    assert main(["plugins", "haar"]) == 2
    capsys.readouterr()
    assert main(["plugins"]) == 0
    assert "disabled: facereg: haar is in FACEREG_DISABLE_PLUGINS" in capsys.readouterr().out


@pytest.mark.slow
def test_a_broken_package_is_shown_and_spoils_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken_plugin.py").write_text("import no_such_module")
    metadata = tmp_path / "broken_plugin-1.5.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.5\n")
    (metadata / "entry_points.txt").write_text("[facereg]\nbroken = broken_plugin\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])

    done = subprocess.run(
        [sys.executable, "-m", "facereg", "plugins"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "mtcnn" in done.stdout
    assert "not loaded: broken-plugin 1.5: ModuleNotFoundError: No module named" in done.stdout
