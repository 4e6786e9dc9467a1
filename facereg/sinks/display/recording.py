"""What is saved on request: recordings that start and stop while a run goes on, and snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ... import output
from ...components import Run
from ...errors import SinkError
from ...types import Frame, FrameResult, Image, SourceInfo
from ...views import fitted
from ..mp4 import Mp4Sink


class Captures:
    """The snapshots and recordings that keys make.

    Args:
        name_file: names a new file, given its ending.

    Attributes:
        recording: the one that is going on, or None.
        outputs: the files that are finished.
    """

    def __init__(self, name_file: Callable[[str], Path]) -> None:
        self._name_file = name_file
        self.recording: Recording | None = None
        self.outputs: tuple[str, ...] = ()

    def save(self, picture: Image) -> Path:
        """Write a picture as PNG.

        Raises:
            OSError, SinkError: it cannot be written.
        """
        import cv2

        path = self._name_file(".png")
        data = cv2.imencode(".png", picture)[1].tobytes()
        with output.AtomicFile(path) as file:
            file.part.write_bytes(data)
        self.outputs += (str(path),)
        return path

    def start(self, info: SourceInfo, picture: Image, frame: Frame) -> Path:
        """Start a recording with a picture of a frame.

        Raises:
            SinkError: it cannot be written.
        """
        self.recording = Recording(self._name_file(".mp4"), info, picture)
        self.recording.write(picture, frame)
        return self.recording.path

    def stop(self) -> Path | None:
        """Finish the recording, if there is one.

        Raises:
            SinkError: it cannot be finished.
        """
        recording, self.recording = self.recording, None
        if recording is None:
            return None
        recording.finish()
        self.outputs += (str(recording.path),)
        return recording.path


def by_local_time(folder: Path) -> Callable[[str], Path]:
    """Name new files in a folder by date and time.

    Raises:
        SinkError: there is no such folder.
    """
    if not folder.is_dir():
        raise SinkError(f"{folder}: no such folder for snapshots and recordings")
    return lambda ending: unused(folder, time.strftime("facereg-%Y%m%d-%H%M%S"), ending)


def unused(folder: Path, stem: str, ending: str) -> Path:
    """Name a file that is not there; the stem is numbered if it is taken."""
    path, number = folder / f"{stem}{ending}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{ending}"
    return path


class Recording:
    """Writes pictures as they were drawn to a new MP4, all at the size of the first."""

    def __init__(self, path: Path, info: SourceInfo, picture: Image) -> None:
        """Begin the file.

        Raises:
            SinkError: it cannot be written.
        """
        height, width = picture.shape[:2]
        self._size = (width, height)
        self.path = path
        self._sink = Mp4Sink(path=path, view="raw")
        # A file's sound cannot follow a recording that starts and stops at any moment.
        silent = replace(info, has_audio=False, media=None, frame_count=None, duration=None)
        self._sink.open(replace(silent, width=width, height=height, sizes_vary=None), Run())

    def write(self, picture: Image, frame: Frame) -> None:
        """Add a picture of a frame.

        Raises:
            SinkError: it cannot be written.
        """
        self._sink.write(FrameResult(replace(frame, image=fitted(picture, *self._size))))

    def tick(self) -> None:
        """Repeat the last picture while a live source gives no other.

        Raises:
            SinkError: it cannot be written.
        """
        self._sink.tick()

    def finish(self) -> None:
        """Finish the file; of a live source it ends now.

        Raises:
            SinkError: it cannot be finished.
        """
        self._sink.close()
