"""What the README says works as it is written."""

from __future__ import annotations

import re
import shlex
import shutil
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
    inline = re.findall(r"`(facereg (?:run|plot|new-plugin|evaluate|bench|batch) [^`\n]+)`", text)
    lines = [line for block in blocks("") for line in block.splitlines()]
    return [*inline, *(line for line in lines if line.startswith("facereg "))]


def test_every_command_of_the_readme_is_one() -> None:
    found = commands()
    assert len(found) > 10
    for command in found:
        get_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_plugin_example_runs(face_clip: Path, tmp_path: Path) -> None:
    (plugin,) = [block for block in blocks("python") if "hookimpl" in block]
    (tmp_path / "whole.py").write_text(plugin)
    args = ["--plugin", str(tmp_path / "whole.py"), "-d", "whole", "--quiet"]
    out = tmp_path / "out.mp4"
    assert main(["run", str(face_clip), "-o", str(out), *args]) == 0
    assert clips.probe(out).frames == 10


@pytest.fixture
def desk(face_clip: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every file that the README's commands read."""
    for name in ("in.mp4", "portrait.mp4"):
        shutil.copy(face_clip, tmp_path / name)
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "portrait.jpg"), clips.astronaut())
    shutil.copytree(dataset, tmp_path / "DATASET")
    (plugin,) = [block for block in blocks("python") if "hookimpl" in block]
    (tmp_path / "whole.py").write_text(plugin)
    monkeypatch.chdir(tmp_path)
    return tmp_path


#: What a command needs so that it ends within seconds; everything else is run as it is written.
SHORTER = {"train": ["--steps", "1"]}


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in blocks("") if b.startswith("facereg ")])
def test_the_commands_of_the_readme_run_as_they_are_written(block: str, desk: Path) -> None:
    for command in map(shlex.split, block.splitlines()):
        live = {"0", "-w", "-i"} & set(command)
        if not live:
            assert main(command[1:] + SHORTER.get(command[1], [])) == 0, command


def test_every_link_of_the_readme_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    assert targets
    for target in targets:
        # A page of a package index shows the README, too: relative links would lead nowhere there.
        ours = re.fullmatch(r"https://[\w.]+/facereg/facereg/(?:blob/)?main/(.+)", target)
        assert ours or "facereg/facereg" not in target, target
        assert ours is None or (ROOT / ours[1]).exists(), target
        assert target.startswith("https://"), target
