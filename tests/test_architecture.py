"""Imports go one way: what docs/architecture.md draws is what the code does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import facereg

PACKAGE = Path(facereg.__file__).parent

#: Lowest first. A module may import what is in its own layer and in those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("regions",),
    ("types",),
    ("api",),
    ("hookspecs", "drawing", "workers", "weights", "contract", "state"),
    ("sources", "plugins", "sinks"),
    ("settings", "anchors", "track", "tracking", "channel", "scout", "parsing", "processor"),
    ("_options", "_loading", "registry", "training"),
    ("_fakes", "testing"),
    ("commands", "terminal"),
    ("cli", "__main__"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

#: Arrows that run down and are still wrong: who -> what it must not know.
BARRED = {
    "processor": {"sources", "plugins", "sinks", "registry"},
    "registry": {"sources", "plugins", "sinks", "processor", "tracking", "training"},
    "channel": {"processor", "tracking"},
    "tracking": {"processor", "sources", "plugins", "sinks"},
    "training": {"sources", "sinks", "registry", "processor"},
}

HEAVY = {"cv2", "deepface", "numpy", "onnxruntime", "pluggy", "pygame", "torch"}


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """Yield (dotted name below the package, file) of every module."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(name: str, path: Path, package: Path) -> Iterator[str]:
    """Yield the modules of the package that a module imports, wherever in its text it does."""
    here = ["facereg", *(name.split(".") if name else ())]
    if path.name != "__init__.py":
        here.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else ())]
            found = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        yield from (
            target.partition(".")[2]
            for target in found
            if target.startswith("facereg.") and is_module(target.split(".")[1], package)
        )


def is_module(name: str, package: Path) -> bool:
    """Tell a submodule from a name of facereg/__init__.py, such as __version__."""
    return (package / f"{name}.py").is_file() or (package / name).is_dir()


def wrong_arrows(package: Path) -> list[str]:
    """List every import that runs upwards, or that is barred."""
    wrong = []
    for name, path in modules(package):
        own = name.partition(".")[0]
        if not own:
            continue  # facereg/__init__.py names the public things of every layer, lazily
        for target in imported(name, path, package):
            other = target.partition(".")[0]
            if RANK[other] > RANK[own] or other in BARRED.get(own, ()):
                wrong.append(f"{name} imports {target}")
    return wrong


def test_imports_run_downwards() -> None:
    assert wrong_arrows(PACKAGE) == []


def test_every_module_has_a_layer() -> None:
    placed = {name.partition(".")[0] for name, _ in modules(PACKAGE)} - {""}
    assert placed <= RANK.keys()


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("types", "from .processor import Processor"),
        ("errors", "from . import types"),
        ("api", "def late():\n    from facereg.registry import Registry"),
        ("processor", "import facereg.sinks.mp4"),
        ("registry", "from .plugins.mtcnn import MTCNN"),
        ("sinks/mp4", "from ..processor import Processor"),
    ],
)
def test_an_upward_import_is_seen(tmp_path: Path, module: str, line: str) -> None:
    for name in ("errors", "types", "api", "processor", "registry"):
        (tmp_path / f"{name}.py").touch()
    for folder in ("sinks", "plugins"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / f"{module}.py").write_text(line)

    assert len(wrong_arrows(tmp_path)) == 1


def test_cli_needs_only_the_standard_library() -> None:
    tree = ast.parse((PACKAGE / "cli.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {
        alias.name.partition(".")[0]
        for node in top
        for alias in (node.names if isinstance(node, ast.Import) else ())
    } | {
        (node.module or "").partition(".")[0]
        for node in top
        if isinstance(node, ast.ImportFrom) and not node.level
    }

    assert not any(node.level for node in top if isinstance(node, ast.ImportFrom))
    assert names <= sys.stdlib_module_names


def loaded_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and list the modules that are loaded then."""
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.rpartition("\n\n")[2].split()}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    statement = (
        "from facereg.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as e:\n    assert not e.code\nprint()"
    )

    assert not HEAVY & loaded_after(statement)


def test_the_built_ins_are_listed_without_their_engines() -> None:
    statement = "from facereg.registry import Registry; assert Registry().components(); print()"

    assert not {"torch", "onnxruntime", "deepface", "pygame"} & loaded_after(statement)
