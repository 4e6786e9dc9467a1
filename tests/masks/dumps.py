"""Dumps to test with, without a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facereg.components import Run
from facereg.masks.lines import seal
from facereg.sinks.masks import MasksSink
from facereg.types import SourceInfo
from tests.sinks.results import feed, info, result

FORMATS = ["png", "npz", "ffv1"]
RUN = Run(
    {
        "detector": "mtcnn",
        "segmenter": "pspnet",
        "model": {"name": "face", "sha256": "0f" * 32},
    }
)
RESULTS = [result(i) for i in range(70)]


def dump(path: Path, results=RESULTS, source: SourceInfo | None = None, **options) -> MasksSink:
    sink = MasksSink(path=path, **options)
    feed(sink, source or info(), results, RUN)
    return sink


def files(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


def edit_manifest(folder: Path, **values: Any) -> None:
    """Change keys of a dump's manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def edit_line(folder: Path, number: int, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a line of a dump, and its checksum with it."""
    path = folder / "frames.jsonl"
    rows = path.read_text().splitlines()
    line = json.loads(rows[number])
    change(line)
    rows[number] = json.dumps(seal(line))
    path.write_text("".join(f"{row}\n" for row in rows))
