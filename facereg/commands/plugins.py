"""``facereg plugins``: every component, its options, its origin, and what failed to load."""

from __future__ import annotations

import argparse
import inspect
import json
import textwrap
from dataclasses import asdict
from typing import Any

from .._version import __version__
from ..errors import UsageError, nearest
from ..registry.docstrings import purpose
from ..registry.registry import Component, Option, Registry

INDENT = " " * 6


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    registry = Registry(args.plugin)
    found = registry.components()
    if args.name:
        found = [c for c in found if c.name == args.name]
        if not found:
            known = {c.name for c in registry.components()}
            raise UsageError(f"unknown component {args.name!r}: {nearest(args.name, known)}")
    failures = [] if args.name else registry.failures
    if args.json:
        described = [_as_json(component) for component in found]
        failed = [asdict(failure) for failure in failures]
        print(json.dumps({"components": described, "failures": failed}, indent=2))
    elif args.name:
        print("\n\n".join(_in_full(component) for component in found))
    else:
        print(_table(found))
        for failure in failures:
            state = "disabled" if failure.disabled else "not loaded"
            print(f"\n{state}: {failure.origin}: {failure.reason}")
    return 0


def _as_json(component: Component) -> dict[str, Any]:
    cls = component.cls  # a function, for a view
    return {
        "kind": component.kind,
        "name": component.name,
        "summary": _summary(component),
        "doc": _doc(component),
        "layer": component.layer,
        "origin": _origin(component),
        "class": f"{cls.__module__}.{getattr(cls, '__qualname__', type(cls).__qualname__)}",
        "options": [_option(option) for option in component.options().values()],
    }


def _option(option: Option) -> dict[str, Any]:
    default = None if option.required else option.default
    if not isinstance(default, (str, int, float, bool, type(None))):
        default = str(default)
    return {
        "name": option.name,
        "type": option.type_name,
        "default": default,
        "required": option.required,
    }


def _doc(component: Component) -> str:
    return inspect.cleandoc(component.cls.__doc__ or "")


def _summary(component: Component) -> str:
    return _doc(component).partition("\n")[0]


def _origin(component: Component) -> str:
    return f"facereg {__version__}" if component.layer == "built-in" else component.origin


def _table(components: list[Component]) -> str:
    """Write a block for each kind, with a component's purpose and options in two lines."""
    lines: list[str] = []
    kind = ""
    for component in components:
        if component.kind != kind:
            kind = component.kind
            lines += ["", f"{kind}s"] if lines else [f"{kind}s"]
        origin = "" if component.layer == "built-in" else f"  [{_origin(component)}]"
        lines.append(f"  {component.name:<12}{_summary(component)}{origin}")
        if options := ", ".join(component.options()):
            lines.append(f"  {'':<12}options: {options}")
    return "\n".join([*lines, "", "facereg plugins NAME shows everything about one."])


def _in_full(component: Component) -> str:
    lines = [f"{component.kind} {component.name}", f"from {component.layer}: {_origin(component)}"]
    if text := purpose(component.cls):
        lines += ["", text]
    if options := component.options().values():
        meanings = component.option_meanings()
        lines += ["", "Options, their types and defaults:"]
        for option in options:
            lines.append(f"  {option.describe()}")
            lines += textwrap.wrap(
                meanings.get(option.name, ""), 96, initial_indent=INDENT, subsequent_indent=INDENT
            )
        lines += ["", f"Written as {component.name}:option=value,option=value"]
    return "\n".join(lines)
