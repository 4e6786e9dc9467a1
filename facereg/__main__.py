"""``python -m facereg`` is ``facereg``."""

from __future__ import annotations

import os
import sys

if sys.path and sys.path[0] == os.getcwd():  # noqa: PTH109  (as Python wrote it there)
    # With -m, Python looks for modules in the current folder first: a cv2.py there would be run.
    del sys.path[0]

from .cli import main

sys.exit(main())
