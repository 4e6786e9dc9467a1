"""Open cameras with OpenCV, without the lines that it prints on stderr."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


def open_capture(target: str | int, backend: int) -> Any:
    """Open a cv2.VideoCapture; the caller asks it ``isOpened()``.

    Args:
        target: a device's number or path.
        backend: one of ``cv2.CAP_*``.
    """
    import cv2

    with silent():
        return cv2.VideoCapture(target, backend, [])


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep OpenCV from printing warnings for a while; facereg reports what matters itself."""
    import cv2

    logging = getattr(cv2.utils, "logging", None)  # which some 4.x do not have
    if logging is None:
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
