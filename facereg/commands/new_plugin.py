"""``facereg new-plugin``: write a working plugin to start from, and its test."""

from __future__ import annotations

import argparse
import importlib.util
import keyword
import re
import sys
from pathlib import Path
from string import Template

from .._version import __version__
from ..errors import SinkError, UsageError

#: The working plugins that are copied, with the user's names in them.
TEMPLATES = Path(__file__).parent / "plugin_templates"

KINDS = ("detector", "segmenter", "source", "sink")

#: How each kind is used on the command line.
USES = {
    "detector": "facereg run in.mp4$plugin -d $name -o out.mp4",
    "segmenter": "facereg run in.mp4$plugin -s $name -o out.mp4",
    "source": "facereg run $name:3$plugin -o out.mp4",
    "sink": "facereg run in.mp4$plugin --sink $name:out.txt",
}

PROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "$package"
version = "0.1.0"
description = "A $kind for facereg"
readme = "README.md"
requires-python = ">=3.10"
dependencies = ["facereg>=$version"]

[project.optional-dependencies]
test = ["pytest"]

# facereg finds the plugin by this.
[project.entry-points.facereg]
$name = "$module"

[tool.setuptools]
py-modules = ["$module"]
"""

README = """\
# $package

A $kind for [facereg](https://pypi.org/project/facereg/), named `$name`.

    pip install .
    $use

Tests: `pip install -e '.[test]' && pytest`
"""


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    folder = Path(args.output)
    if not folder.is_dir():
        raise SinkError(f"{folder}: no such folder")
    words = _words(args.kind, args.name, args.package)
    if args.package:
        folder /= words["package"]
    files = _files(args.kind, args.package, folder, words)
    _check_free(words["module"], folder)
    for path in files:
        if path.exists() and not args.overwrite:
            raise SinkError(f"{path} exists; --overwrite replaces it")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if not args.quiet:
        print("\n".join([*(f"wrote {path}" for path in files), "", *_next(args, folder, words)]))
    return 0


def _words(kind: str, name: str, package: bool) -> dict[str, str]:
    """Derive the names that go into the files.

    Raises:
        UsageError: the name cannot be a plugin's.
    """
    module = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or keyword.iskeyword(module):
        raise UsageError(
            f"{name!r} cannot be a plugin's name; write a word of a-z, 0-9, _ and -, as my_{kind}"
        )
    if package:
        module = f"facereg_{module}"
    title = "".join(part.capitalize() for part in re.split(r"[-_]+", name))
    return {
        "kind": kind,
        "name": name,
        "module": module,
        "package": module.replace("_", "-"),
        "Class": f"{title}" if title.lower().endswith(kind) else f"{title}{kind.capitalize()}",
        "version": __version__,
    }


def _files(kind: str, package: bool, folder: Path, words: dict[str, str]) -> dict[Path, str]:
    """Write the user's names into the templates: file -> its content."""
    module = words["module"]
    plugin, test = folder / f"{module}.py", folder / f"test_{module}.py"
    if package:
        test = folder / "tests" / test.name
    files = {
        plugin: _renamed(TEMPLATES / f"my_{kind}.py", kind, words),
        test: _renamed(TEMPLATES / f"test_my_{kind}.py", kind, words),
    }
    if package:
        words = words | {"use": _use(kind, words, "")}
        files[folder / "pyproject.toml"] = Template(PROJECT).substitute(words)
        files[folder / "README.md"] = Template(README).substitute(words)
    return files


def _renamed(template: Path, kind: str, words: dict[str, str]) -> str:
    """Read a template, with the user's names in place of its own."""
    text = template.read_text(encoding="utf-8")
    text = text.replace(f"facereg.commands.plugin_templates.my_{kind}", words["module"])
    text = text.replace(f"My{kind.capitalize()}", words["Class"])
    return text.replace(f"my-{kind}", words["name"])


def _use(kind: str, words: dict[str, str], plugin: str) -> str:
    return Template(USES[kind]).substitute(words, plugin=plugin)


def _check_free(module: str, folder: Path) -> None:
    """Refuse a module that would hide another one, or be hidden by it."""
    spec = None if module in sys.stdlib_module_names else importlib.util.find_spec(module)
    own = (folder / f"{module}.py").resolve()
    elsewhere = spec is not None and (spec.origin is None or Path(spec.origin).resolve() != own)
    if module in sys.stdlib_module_names or elsewhere:
        raise UsageError(f"there is a Python module {module} already; choose another name")


def _next(args: argparse.Namespace, folder: Path, words: dict[str, str]) -> list[str]:
    """List what to do next."""
    if args.package:
        return [
            f"Install it:  pip install -e {folder}",
            f"Use it:      {_use(args.kind, words, '')}",
            f"Test it:     pytest {folder}",
        ]
    plugin = f" --plugin {folder / words['module']}.py"
    return [
        f"Use it:      {_use(args.kind, words, plugin)}",
        f"Test it:     pytest {folder / 'test_'}{words['module']}.py",
    ]
