"""docs/plugins.md tells the truth: its signatures are the code's, and what it shows runs."""

from __future__ import annotations

import ast
import configparser
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from facereg import components, hookspecs
from facereg.cli import main
from facereg.registry.loading import KINDS
from tests import clips

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

CLASSES = (components.Source, components.Detector, components.Segmenter, components.Sink)


def block(first_line: str) -> str:
    """Find the Python block that begins with a comment."""
    (found,) = [text for _, text in BLOCKS if text.startswith(f"# {first_line}\n")]
    return found


def signatures(node: ast.Module | ast.ClassDef) -> dict[str, str]:
    """Write each function's arguments and result as the code does, by its name."""
    return {
        f.name: f"({ast.unparse(f.args)}) -> {ast.unparse(f.returns) if f.returns else ''}"
        for f in node.body
        if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")
    }


def attributes(node: ast.ClassDef) -> dict[str, str]:
    """Write each annotated attribute as the code does, by its name."""
    return {
        ast.unparse(a.target): ast.unparse(a) for a in node.body if isinstance(a, ast.AnnAssign)
    }


def test_every_hook_is_shown_with_its_signature() -> None:
    shown = signatures(ast.parse(block("the hooks: facereg/hookspecs.py")))

    assert shown == signatures(ast.parse(inspect.getsource(hookspecs)))
    assert set(shown) == {hook for _, hook in KINDS.values()}


@pytest.mark.parametrize("base", CLASSES, ids=lambda base: base.__name__)
def test_every_method_is_shown_with_its_signature(base: type) -> None:
    tree = ast.parse(block("the interfaces: facereg/components.py"))
    (shown,) = [c for c in tree.body if isinstance(c, ast.ClassDef) and c.name == base.__name__]
    (real,) = ast.parse(inspect.getsource(base)).body
    assert isinstance(real, ast.ClassDef)

    assert signatures(shown) == signatures(real)
    assert attributes(shown) == attributes(real)


@pytest.mark.parametrize("base", CLASSES, ids=lambda base: base.__name__)
def test_what_is_required_is_marked(base: type) -> None:
    text = block("the interfaces: facereg/components.py")
    part = re.search(
        rf"^class {base.__name__}:\n(.*?)(?=^class|\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert part
    marked = set(re.findall(r"def (\w+)\(.*# required", part[1]))

    assert marked == set(base.__abstractmethods__)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out a folder as the page's reader has it: a clip, and the files that the page shows."""
    folder = tmp_path_factory.mktemp("desk")
    clips.write_clip(folder / "in.mp4", clips.still(3))
    for kind, text in BLOCKS:
        name = re.match(r"# (\w+\.py)\n", text)
        if kind == "python" and name:
            (folder / name[1]).write_text(text, encoding="utf-8")
    return folder


COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]


@pytest.mark.slow
def test_the_commands_run_in_their_order(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    for line in COMMANDS:
        words = shlex.split(line)
        with monkeypatch.context() as patch:
            while "=" in words[0]:
                patch.setenv(*words.pop(0).split("=", 1))
            if words[0] == "facereg":
                assert main(words[1:]) == 0, (line, capsys.readouterr().err)
            else:
                assert words[0] == "pytest", f"nothing runs {line!r}"
                run_pytest(desk, words[1:])

    written = {path.name for path in desk.iterdir()}
    assert {"out.mp4", "skin.mp4", "edges.mp4", "lips.mp4", "last.png", "facereg-my-net"} <= written
    assert "reports the middle of every frame" in capsys.readouterr().out.lower()


def run_pytest(folder: Path, arguments: list[str]) -> None:
    """Run a test of the page as its reader does, without this project's settings."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_test_that_is_shown_is_run() -> None:
    shown = set(re.findall(r"^# (test_\w+\.py)$", PAGE, re.MULTILINE))

    assert shown <= {line.removeprefix("pytest ") for line in COMMANDS}


@pytest.mark.slow
def test_the_options_that_are_shown_are_read(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    arguments = ["run", "in.mp4", "--plugin", "my_options.py", "-m", "masks", "-d"]

    assert main([*arguments, "options:weights=a,b.onnx,engine=exact,sizes=64+128", "--quiet"]) == 0
    assert main([*arguments, "options:engine=exakt"]) == 2
    assert "did you mean exact?" in capsys.readouterr().err
    assert main([*arguments, "options:sizes=8"]) == 2
    assert "must be at least 32" in capsys.readouterr().err


def test_the_entry_point_is_that_of_the_example() -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "cfg"]
    shown, real = configparser.ConfigParser(), configparser.ConfigParser()
    shown.read_string(text)
    real.read(ROOT / "examples" / "facereg-yolo-style" / "setup.cfg")

    assert shown["options.entry_points"] == real["options.entry_points"]


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "sh", "cfg"}
    for kind, text in BLOCKS:
        if kind == "python":
            assert re.match(r"# (\w+\.py|the (hooks|interfaces): .*)\n", text), text
