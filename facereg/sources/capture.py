"""Open cameras and streams with OpenCV, without the lines that it prints on stderr."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# What OpenCV reads from the environment, it reads while it opens; one opening at a time.
_environment = threading.Lock()


def open_capture(
    target: str | int,
    backend: int,
    parameters: Sequence[int] = (),
    ffmpeg: Mapping[str, str] | None = None,
) -> Any:
    """Open a cv2.VideoCapture; the caller asks it ``isOpened()``.

    Args:
        target: a device's number or path, or a URL.
        backend: one of ``cv2.CAP_*``.
        parameters: property, value, property, value, … that count at the opening.
        ffmpeg: options for ffmpeg; those that the user has put into
            ``OPENCV_FFMPEG_CAPTURE_OPTIONS`` win.
    """
    import cv2

    options = [";".join(pair) for pair in (ffmpeg or {}).items()]
    options.append(os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS", ""))
    environment = {
        "OPENCV_FFMPEG_CAPTURE_OPTIONS": "|".join(filter(None, options)),
        # OpenCV's ffmpeg reads its level once in a process: AV_LOG_QUIET
        "OPENCV_FFMPEG_LOGLEVEL": os.environ.get("OPENCV_FFMPEG_LOGLEVEL", "-8"),
    }
    with _with_environment(environment), silent():
        return cv2.VideoCapture(target, backend, list(parameters))


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep OpenCV from printing warnings for a while; what matters is said in our own words."""
    import cv2

    logging = cv2.utils.logging
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)


@contextlib.contextmanager
def _with_environment(values: Mapping[str, str]) -> Iterator[None]:
    with _environment:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update({name: value for name, value in values.items() if value})
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
