"""Imports go one way: what docs/architecture.md draws is what the code does."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import facereg

PACKAGE = Path(facereg.__file__).parent

#: Rooms (modules and folders of the top level), lowest layer first. A room imports what is in lower
#: layers; rooms of one layer do not know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("_version", "errors", "workers"),
    ("regions", "models"),
    ("types",),
    ("components", "checkpoint", "tracking"),
    ("hookspecs", "output", "checks"),
    ("downloads",),
    ("registry",),
    ("privacy", "matting", "measures"),
    ("views", "video"),
    ("pipeline", "sources", "masks"),
    ("_api", "sinks", "plugins", "testing", "batch", "formats"),
    ("training", "web", "__init__"),
    ("commands",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

#: Most entries that the package's own folder may have; rooms of single features come on top.
MAX_ENTRIES = 28
FEATURES = {"batch", "downloads.py", "formats", "matting.py", "measures", "privacy", "web"}

#: Imports that run down and are still wrong: a room -> what it must not know.
BARRED = {
    "_api": {"plugins", "sinks"},
    "commands": {"__init__"},
    "pipeline": {"masks", "output", "registry", "video", "views"},
    "plugins": {"pipeline", "registry", "video"},
    "sinks": {"pipeline", "registry"},
    "testing": {"masks", "pipeline"},
    "training": {"masks", "pipeline", "registry", "sinks", "sources", "video"},
    "views": {"checks", "output"},
}

HEAVY = {"cv2", "deepface", "numpy", "onnxruntime", "pluggy", "pygame", "torch"}


def modules(package: Path) -> dict[str, Path]:
    """Find every module: dotted name below the package ("" is the package itself) -> its file."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        if "plugin_templates" in path.parts:
            continue  # what users begin with; nothing of facereg imports it
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, files: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of the package that a module imports, wherever in its text it does."""
    here = ["facereg", *(name.split(".") if name else ())]
    if files[name].name != "__init__.py":
        here.pop()
    for node in ast.walk(ast.parse(files[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else ())]
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for package, *parts in targets:
            if package == "facereg":
                dotted = ".".join(parts)
                yield dotted if dotted in files else ".".join(parts[:-1])


def graph(package: Path) -> dict[str, set[str]]:
    """Map each module to the modules that it imports."""
    files = modules(package)
    return {name: set(imported(name, files)) - {name} for name in files}


def room(name: str) -> str:
    return name.partition(".")[0] or "__init__"


def upward_imports(package: Path) -> list[str]:
    """List every import from one room of another that is not in a lower layer, or is barred."""
    wrong = []
    for name, targets in graph(package).items():
        own = room(name)
        for target in sorted(targets):
            other = room(target)
            upward = other != own and RANK[other] >= RANK[own]
            if upward or other in BARRED.get(own, ()):
                wrong.append(f"{name} imports {target}")
    return wrong


def circles(package: Path) -> list[str]:
    """List the modules that reach themselves through imports."""
    arrows = graph(package)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        left = list(arrows[start])
        while left:
            name = left.pop()
            if name not in seen:
                seen.add(name)
                left += arrows[name]
        return seen

    return [name for name in arrows if name in reached(name)]


@pytest.mark.slow
def test_imports_run_downwards() -> None:
    assert upward_imports(PACKAGE) == []


@pytest.mark.slow
def test_no_modules_import_each_other() -> None:
    assert circles(PACKAGE) == []


def test_every_module_has_a_layer() -> None:
    assert {room(name) for name in modules(PACKAGE)} <= RANK.keys()


def test_the_top_level_can_be_read_at_a_glance() -> None:
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"} - FEATURES

    assert len(entries) <= MAX_ENTRIES


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A package with a few empty rooms."""
    for name in ("__init__", "errors", "types", "components", "_api"):
        (tmp_path / f"{name}.py").touch()
    for folder in ("sinks", "plugins", "registry", "pipeline"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "pipeline" / "processor.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("types", "from .pipeline.processor import Processor"),
        ("errors", "from . import types"),
        ("components", "def late():\n    from facereg.registry import Registry"),
        ("pipeline/processor", "import facereg.sinks.mp4"),
        ("registry/registry", "from ..plugins.mtcnn import MTCNN"),
        ("sinks/mp4", "from ..pipeline.processor import Processor"),
        ("sinks/stats", "from .. import __version__"),
        ("registry/__init__", "from ..pipeline import processor"),
    ],
)
def test_an_upward_import_is_seen(tiny: Path, module: str, line: str) -> None:
    (tiny / "sinks" / "mp4.py").touch()
    (tiny / f"{module}.py").write_text(line)

    assert len(upward_imports(tiny)) == 1


def test_a_circle_within_a_folder_is_seen(tiny: Path) -> None:
    (tiny / "pipeline" / "processor.py").write_text("from .parser import Parser")
    (tiny / "pipeline" / "parser.py").write_text("def late():\n    from . import processor")

    assert circles(tiny) == ["pipeline.parser", "pipeline.processor"]


def test_a_circle_through_a_package_face_is_seen(tiny: Path) -> None:
    (tiny / "pipeline" / "__init__.py").write_text("from .processor import Processor")
    (tiny / "pipeline" / "processor.py").write_text("from . import Other")

    assert circles(tiny) == ["pipeline", "pipeline.processor"]


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


@pytest.mark.slow
def test_the_built_ins_are_listed_without_their_engines() -> None:
    statement = (
        "from facereg.registry.registry import Registry; assert Registry().components(); print()"
    )

    assert not {"torch", "onnxruntime", "deepface", "pygame"} & loaded_after(statement)
