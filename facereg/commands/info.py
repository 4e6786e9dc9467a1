"""``facereg info``: size, rate, length, rotation and sound of a source."""

from __future__ import annotations

import argparse

from ..errors import clean_text
from ..registry.registry import Registry
from ..types import SourceInfo
from .terminal import print_json


def run(args: argparse.Namespace) -> int:
    """Open the source, print what it is, and close it. Returns the exit code."""
    source = Registry(getattr(args, "plugin", None) or ()).open_source(args.source)
    try:
        if args.json:
            print_json(_values(source.info))
        else:
            print(_table(source.info))
    finally:
        source.close()
    return 0


def _values(info: SourceInfo) -> dict[str, object]:
    """Describe a source in plain values, for JSON."""
    return {
        "name": info.name,
        "width": info.width,
        "height": info.height,
        "fps": f"{info.fps.numerator}/{info.fps.denominator}" if info.fps else None,
        "frame_count": info.frame_count,
        "duration": info.duration,
        "live": info.live,
        "rotation": info.rotation,
        "has_audio": info.has_audio,
    }


def _table(info: SourceInfo) -> str:
    """Describe a source in lines of name and value."""
    size = f"{info.width}x{info.height}"
    if info.sizes_vary:
        name, width, height = info.sizes_vary
        size += f", then others ({name}: {width}x{height})"
    rate = "unknown"
    if info.fps:
        rate = f"{info.fps.numerator}/{info.fps.denominator} ({float(info.fps):.3f} fps)"
    rows = {
        "name": info.name,
        "size": size,
        "rate": rate,
        "frames": "unknown" if info.frame_count is None else str(info.frame_count),
        "duration": "unknown" if info.duration is None else f"{info.duration:.3f} s",
        "live": "yes" if info.live else "no",
        "rotation": f"{info.rotation} degrees clockwise" if info.rotation else "none",
        "audio": "yes" if info.has_audio else "no",
    }
    return "\n".join(f"{key:<10}{clean_text(value)}" for key, value in rows.items())
