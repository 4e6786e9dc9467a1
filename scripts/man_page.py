"""The parser that the man page is built from, with the sections that argparse has no place for.

The build calls `get_parser` (see ``[tool.build_manpages]`` in pyproject.toml). It loads this file
by itself, in an environment where facereg and its dependencies are not installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from facereg import cli
from facereg.sinks.display import keys

FILES = (
    ("MASKDIR/manifest.json", "What a mask dump is: its source, classes, detector and segmenter."),
    ("MASKDIR/frames.jsonl", "A line a frame: its index, time, file and faces."),
    ("OUTDIR/.facereg-batch.jsonl", "What facereg batch began and finished in this folder."),
    ("PREFIX/share/facereg/models", "The models that facereg was installed with, and their cards."),
    ("PREFIX/share/facereg/examples", "The clip that facereg bench runs on."),
)

ENVIRONMENT = (
    ("FACEREG_PLUGINS", "Folders of plugin files, separated as in PATH; each file is loaded."),
    ("FACEREG_DISABLE_PLUGINS", "Names of plugins that are not loaded, with commas."),
    ("FACEREG_MODELS", "Folders of models, separated as in PATH; searched first."),
    ("OPENCV_FFMPEG_CAPTURE_OPTIONS", "Options for reading streams, as OpenCV takes them."),
    (
        "ORT_DISABLE_TELEMETRY",
        "facereg sets it to 1, so that ONNX Runtime keeps no device id and reports nothing.",
    ),
)

EXIT_STATUS = (
    ("0", "Done."),
    ("1", "Failed; one line on stderr says why."),
    ("2", "Wrong usage: an unknown flag, or a value that makes no sense."),
    ("130", "Interrupted by Ctrl-C or SIGTERM. Every file was finished first."),
)

SEE_ALSO = r".BR ffmpeg (1)"


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line, with what the man page says besides."""
    parser = cli.get_parser()
    parser.epilog = None  # its exit codes and examples have sections of their own here
    for command in cli.commands(parser).values():
        command.epilog = None
    sections = {
        "examples": _lines(line for lines in cli.EXAMPLES.values() for line in lines),
        "keys of a window": _table(keys.rows()),
        "files": _table(FILES),
        "environment": _table(ENVIRONMENT),
        "exit status": _table(EXIT_STATUS),
        "see also": SEE_ALSO,
    }
    # argparse-manpage reads this attribute, and has no public way to set it.
    vars(parser)["_manpage"] = [{"heading": h, "content": c} for h, c in sections.items()]
    return parser


def _lines(lines: Iterable[str]) -> str:
    return "\n".join((".nf", *map(_escape, lines), ".fi"))


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f".TP\n.B {_escape(name)}\n{_escape(text)}" for name, text in rows)


def _escape(text: str) -> str:
    """Write a text as groff takes it: no command at the start of a line, no hyphen for a minus."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text
