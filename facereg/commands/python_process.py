"""Starts Python processes that import nothing from the current folder."""

from __future__ import annotations

import sys
from pathlib import Path

#: This package's parent: where a checkout that is not installed is imported from.
ROOT = str(Path(__file__).parents[2])


def python_command(code: str, *arguments: str) -> list[str]:
    """Make the command line of a Python process that runs some code.

    Python puts the current folder first in the search path of ``-c`` and ``-m``: a ``cv2.py`` in a
    folder of videos would be run. The process gets the search path of this one instead, which has
    what PYTHONPATH and site-packages say.

    Args:
        code: statements.
        *arguments: become ``sys.argv[1:]``.
    """
    path = [*filter(None, sys.path)]
    path += [] if ROOT in path else [ROOT]
    return [sys.executable, "-c", f"import sys; sys.path[:] = {path!r}\n{code}", *arguments]
