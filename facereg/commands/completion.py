"""``facereg completion``: a script that completes commands, options, components and regions."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import shtab

from ..regions import CLASSES, GROUPS
from ..registry.registry import KINDS, Registry

#: Destinations whose values are files or folders.
FILES = frozenset(
    {"plugin", "stats", "confusion", "init", "weights", "output", "source", "work"}
    | {"masks", "save_labels", "dataset"}
)
FOLDERS = frozenset({"masks", "save_labels", "dataset", "work"})


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    parser: argparse.ArgumentParser = args.parser
    registry = Registry()
    names = {kind: [c.name for c in registry.components(kind)] for kind in KINDS}
    regions = [*CLASSES[1:], *GROUPS]
    values: dict[str, Iterable[str]] = {
        "detector": names["detector"],
        "segmenter": names["segmenter"],
        "sink": names["sink"],
        "isolated": regions,
        "regions": regions,
        "view": names["view"],
    }
    for name, command in _commands(parser):
        for action in command._actions:  # argparse has no public way to walk a parser
            if action.dest == "name" and name == "plugins":
                action.choices = sorted({n for of_kind in names.values() for n in of_kind})
            elif action.dest in values:
                action.choices = list(values[action.dest])
            elif action.dest in FILES:
                folder = action.dest in FOLDERS
                action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=args.shell))
    return 0


def _commands(parser: argparse.ArgumentParser) -> Iterable[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()
