"""Write command-line.md, components.md and measures.md of docs/reference/ from the program.

Usage: python scripts/make_reference.py
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import man_page  # noqa: E402

from facereg import cli  # noqa: E402
from facereg.measures import MEASURES  # noqa: E402
from facereg.registry.docstrings import purpose  # noqa: E402
from facereg.registry.registry import Component, Registry  # noqa: E402

FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by scripts/make_reference.py -->\n"
INTRODUCTION = """\
Written as `NAME:option=value,option=value`. `facereg plugins` lists them with those of your
plugins, and `facereg plugins NAME` shows one.
"""
MEASURES_INTRODUCTION = """\
Columns of `--stats` and `facereg measure`, and names in `face.measures`. Units: px, pixels of the
frame; iod, distances between the eyes; deg, degrees; linear, light from 0 to 1.
[Measures](../measures.md) explains them. A column `NAME_se` after a measure is its standard error,
in the same unit.
"""


def command_line() -> str:
    """Write every command with its flags, then environment variables, files and exit codes."""
    parts = [NOTE, "# Command line\n", cli_introduction()]
    for name, parser in cli.commands(cli.get_parser()).items():
        parts.append("\n".join(command(name, parser)))
    parts.append(table("Environment variables", ("variable", "means"), man_page.ENVIRONMENT))
    parts.append(table("Files", ("file", "holds"), man_page.FILES))
    parts.append(table("Exit codes", ("code", "means"), man_page.EXIT_STATUS))
    return "\n".join(parts)


def cli_introduction() -> str:
    """Say what holds for all commands."""
    return (
        "`facereg COMMAND --help` shows the same in a terminal, and `man facereg` all of it.\n"
        "Every command takes `--quiet` (only warnings) and `--debug` (tracebacks).\n"
    )


def command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Write a command: usage, what it does, its flags by group, its examples."""
    yield f"## facereg {name}\n"
    yield f"{parser.description}\n"
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    yield "```text\n" + re.sub(r"\n\s+", "\n    ", usage) + "\n```\n"
    for group in parser._action_groups:
        shown = [a for a in group._group_actions if a.dest not in ("help", "quiet", "debug")]
        if shown:
            yield f"| {group.title} | |\n|---|---|"
            yield from (row(parser, action) for action in shown)
            yield ""
    if parser.epilog:
        lines = [line.strip() for line in parser.epilog.splitlines()[1:]]
        yield "```sh\n" + "\n".join(lines) + "\n```\n"


def row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Write a flag, or a positional argument, as a row of a table."""
    formatter = parser._get_formatter()
    flags = formatter._format_action_invocation(action)
    text = formatter._expand_help(action) if action.help else ""
    return f"| `{pipe(flags)}` | {cell(text)} |"


def table(title: str, head: tuple[str, str], rows: tuple[tuple[str, str], ...]) -> str:
    """Write a section that is one table."""
    lines = [f"| `{pipe(a)}` | {cell(b)} |" for a, b in rows]
    return "\n".join([f"## {title}\n", f"| {head[0]} | {head[1]} |", "|---|---|", *lines, ""])


def cell(text: str) -> str:
    """Write text of argparse, which is not Markdown, for a cell of a table."""
    return pipe(text).replace("<", r"\<").replace("*", r"\*")


def components() -> str:
    """Write every built-in component and view with its options."""
    parts = [
        NOTE,
        "# Components and views\n",
        INTRODUCTION,
    ]
    kind = ""
    for component in Registry().components():
        if component.kind != kind:
            kind = component.kind
            parts.append(f"## {kind.capitalize()}s\n")
        parts += describe(component)
    return "\n".join(parts)


def describe(component: Component) -> Iterator[str]:
    """Write what a component does, and a table of its options."""
    meanings = component.option_meanings()
    yield f"### {component.name}\n"
    yield f"{markdown(purpose(component.cls))}\n"
    if options := component.options().values():
        yield "| option | type, default | means |\n|---|---|---|"
        for option in options:
            written = option.describe().partition(": ")[2]
            meaning = markdown(meanings.get(option.name, ""))
            yield f"| `{option.name}` | `{pipe(written)}` | {pipe(meaning)} |"
        yield ""


def measures() -> str:
    """Write every measure with its unit and its source."""
    parts = [NOTE, "# Every measure\n", MEASURES_INTRODUCTION]
    for group in dict.fromkeys(measure.group for measure in MEASURES):
        parts.append(f"## {group.capitalize()}\n")
        parts.append(
            "| column | unit | what it is | error | needs | source |\n|---|---|---|---|---|---|"
        )
        for m in MEASURES:
            if m.group == group:
                error = "`_se`" if m.has_error else ""
                row = (f"`{m.name}`", m.unit, m.meaning, error, ", ".join(m.needs), m.source)
                parts.append(f"| {' | '.join(map(pipe, row))} |")
        parts.append("")
    return "\n".join(parts)


def markdown(text: str) -> str:
    """Turn the double backticks of docstrings into single ones."""
    return text.replace("``", "`")


def pipe(text: str) -> str:
    """Write text so that it does not end a cell of a table."""
    return text.replace("|", r"\|").replace("\n", " ")


def main() -> None:
    """Write the pages."""
    (FOLDER / "command-line.md").write_text(command_line(), encoding="utf-8")
    (FOLDER / "components.md").write_text(components(), encoding="utf-8")
    (FOLDER / "measures.md").write_text(measures(), encoding="utf-8")


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    main()
