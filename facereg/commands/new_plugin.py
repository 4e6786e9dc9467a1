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
from .new_plugin_templates import PLUGINS, PROJECT, README, TESTS, USES


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
    """Find what the texts are filled in with.

    Raises:
        UsageError: the name cannot be one.
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
    """Fill the texts in: file -> its content."""
    module = words["module"]
    plugin, test = folder / f"{module}.py", folder / f"test_{module}.py"
    if package:
        test = folder / "tests" / test.name
    files = {plugin: PLUGINS[kind], test: TESTS[kind]}
    if package:
        files |= {folder / "pyproject.toml": PROJECT, folder / "README.md": README}
    words = words | {"use": _use(kind, words, "")}
    return {path: Template(text).substitute(words) for path, text in files.items()}


def _use(kind: str, words: dict[str, str], plugin: str) -> str:
    return Template(USES[kind]).substitute(words, plugin=plugin)


def _check_free(module: str, folder: Path) -> None:
    """Refuse a module that would hide another, or be hidden by it."""
    spec = None if module in sys.stdlib_module_names else importlib.util.find_spec(module)
    own = (folder / f"{module}.py").resolve()
    elsewhere = spec is not None and (spec.origin is None or Path(spec.origin).resolve() != own)
    if module in sys.stdlib_module_names or elsewhere:
        raise UsageError(f"there is a Python module {module} already; choose another name")


def _next(args: argparse.Namespace, folder: Path, words: dict[str, str]) -> list[str]:
    """Tell what can be done with it now."""
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
