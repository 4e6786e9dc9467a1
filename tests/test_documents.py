"""The reference is the program's own, and what the site's pages show runs as it is written."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import pytest

import facereg
from facereg.cli import get_parser, main
from tests import clips

ROOT = Path(facereg.__file__).parents[1]
DOCS = ROOT / "docs"

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="needs a checkout")

#: Pages whose commands and examples run in their order, in one folder a page.
LESSONS = sorted(
    path.relative_to(DOCS).as_posix()
    for folder in ("start", "tutorials")
    for path in (DOCS / folder).glob("*.md")
)
#: Pages whose commands are only read: each must be one that the program takes.
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def blocks(page: str) -> list[tuple[str, str]]:
    """Find the language and the text of every block of code of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[list[str]]:
    """Split a block of shell into commands of words, without comments."""
    lines = re.sub(r"(^|\s)#.*", "", block.replace("\\\n", " "), flags=re.MULTILINE).splitlines()
    return [words for line in lines if (words := shlex.split(line))]


def reference() -> ModuleType:
    """Load the script that writes the reference."""
    path = ROOT / "scripts" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["command_line", "components", "measures"])
def test_the_reference_is_what_the_program_says(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "path", list(sys.path))
    written = (DOCS / "reference" / f"{page.replace('_', '-')}.md").read_text(encoding="utf-8")

    assert written == getattr(reference(), page)(), "run python scripts/make_reference.py"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_one(page: str) -> None:
    for kind, text in blocks(page):
        for words in commands(text) if kind == "sh" else []:
            ours = list(itertools.takewhile(lambda word: word not in {"|", "&", "&&", ">"}, words))
            if ours[0] == "facereg" and "$" not in "".join(ours):
                get_parser().parse_args(ours[1:])


def lay_out(folder: Path) -> None:
    """Write the files that the pages' readers have: recordings with sound, and photographs."""
    source = ["-i", clips.carphone_path(), "-f", "lavfi", "-i", "sine=440", "-shortest"]
    for name, seconds in (
        ("in.mp4", "1"),
        ("interviews/anna.mp4", "2"),
        ("interviews/ben.mp4", "1"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        clips.ffmpeg(*source, "-t", seconds, "-pix_fmt", "yuv420p", folder / name)
    cv2.imwrite(str(folder / "photo.jpg"), clips.astronaut())
    (folder / "photos").mkdir()
    for name in ("one", "two"):
        shutil.copy(folder / "photo.jpg", folder / "photos" / f"{name}.jpg")


def run(words: list[str]) -> None:
    """Run a command of a page, facereg in this process."""
    if words[0] == "facereg":
        assert main(words[1:]) == 0, words
        return
    assert words[0] == "pytest", f"nothing runs {words}"
    subprocess.run([sys.executable, "-m", *words, "-p", "no:cacheprovider"], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", LESSONS)
def test_what_a_page_shows_runs_in_its_order(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    names: dict[str, Any] = {}
    for kind, text in blocks(page):
        if kind == "python":
            if first := re.match(r"# ([\w/]+\.py)\n", text):
                Path(first[1]).write_text(text, encoding="utf-8")
            else:
                exec(compile(text, page, "exec"), names)
        elif kind == "toml" and (first := re.match(r"# ([\w/]+\.toml)\n", text)):
            Path(first[1]).write_text(text, encoding="utf-8")
        for words in commands(text) if kind == "sh" else []:
            run(words)
