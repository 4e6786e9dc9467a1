"""``python -m facereg`` is ``facereg``."""

from __future__ import annotations

import contextlib
import os
import sys

with contextlib.suppress(FileNotFoundError):  # the current folder may have been removed
    if sys.path and sys.path[0] == os.getcwd():  # noqa: PTH109  (as Python wrote it there)
        # With -m, the current folder is searched for modules first: a cv2.py there would be run.
        del sys.path[0]

from .cli import main

sys.exit(main())
