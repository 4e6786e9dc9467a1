"""What the README says works as it is written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import cv2
import pytest

import facereg
from facereg.cli import get_parser, main
from tests import clips

ROOT = Path(facereg.__file__).parents[1]
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not README.is_file(), reason="needs a checkout")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def commands() -> list[str]:
    text = "\n".join(README.read_text(encoding="utf-8").splitlines())
    inline = re.findall(r"`(facereg (?:run|plot|new-plugin|evaluate|bench|batch)[^`\n]*)`", text)
    lines = [line for block in blocks("") for line in block.splitlines()]
    return [*inline, *(line for line in lines if line.startswith("facereg "))]


def test_every_command_of_the_readme_is_one() -> None:
    found = commands()
    assert len(found) > 10
    for command in found:
        get_parser().parse_args(shlex.split(command)[1:])


def test_the_python_example_runs(
    face_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.jpg", clips.astronaut())
    Path("in.mp4").write_bytes(face_clip.read_bytes())
    assert main(["run", "in.mp4", "-m", "masks", "--quiet"]) == 0
    (example,) = [block for block in blocks("python") if "facereg.parse" in block]
    exec(compile(example, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 10 + 1
    assert "Box(x0=" in lines[0]


def test_the_plugin_example_runs(face_clip: Path, tmp_path: Path) -> None:
    (plugin,) = [block for block in blocks("python") if "hookimpl" in block]
    (tmp_path / "whole.py").write_text(plugin)
    args = ["--plugin", str(tmp_path / "whole.py"), "-d", "whole", "--quiet"]
    out = tmp_path / "out.mp4"
    assert main(["run", str(face_clip), "-o", str(out), *args]) == 0
    assert clips.probe(out).frames == 10


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def test_the_readme_has_the_keys_of_the_window() -> None:
    from facereg.sinks.display import keys

    assert keys.as_markdown() in README.read_text(encoding="utf-8")
