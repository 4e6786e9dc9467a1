"""A recording that is started and stopped while a run goes on."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from ...components import Run
from ...types import Frame, FrameResult, Image, SourceInfo
from ..mp4 import Mp4Sink


def new_path(folder: Path, ending: str) -> Path:
    """Name a file that does not exist after the time of day."""
    stem = time.strftime("facereg-%Y%m%d-%H%M%S")
    path, number = folder / f"{stem}{ending}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{ending}"
    return path


class Recording:
    """Writes pictures as they were drawn to a new MP4, all at the size of the first."""

    def __init__(self, path: Path, info: SourceInfo, picture: Image) -> None:
        """Start.

        Raises:
            SinkError: it cannot be written.
        """
        height, width = picture.shape[:2]
        self._size = (width, height)
        self.path = path
        self._sink = Mp4Sink(path=path, view="raw")
        # The sound of a file cannot follow someone who starts and stops as they please.
        silent = replace(info, has_audio=False, media=None, frame_count=None, duration=None)
        self._sink.open(replace(silent, width=width, height=height, sizes_vary=None), Run())

    def write(self, picture: Image, frame: Frame) -> None:
        """Add a picture of a frame.

        Raises:
            SinkError: it cannot be written.
        """
        from ...views import fitted

        self._sink.write(FrameResult(replace(frame, image=fitted(picture, *self._size))))

    def tick(self) -> None:
        """Go on with the last picture while a live source gives no other.

        Raises:
            SinkError: it cannot be written.
        """
        self._sink.tick()

    def finish(self) -> None:
        """End it, at this moment where the source is live.

        Raises:
            SinkError: it cannot be finished.
        """
        self._sink.close()
