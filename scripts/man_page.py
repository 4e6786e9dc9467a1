"""The parser that the man page is built from, with the sections that argparse has no place for.

The build calls `get_parser` (see ``[tool.build_manpages]`` in pyproject.toml). It loads this file
by itself, in an environment where facereg is not installed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from facereg import cli


def get_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    return cli.get_parser()
