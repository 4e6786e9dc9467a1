"""A sink for facereg: change `write`, keep the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import facereg

api_version = 1


class MySink(facereg.Sink):
    """Writes a line of text for each frame: its time, and where its faces are.

    Options:
        path: the file to write; ``my-sink:FILE`` for short.
        overwrite: whether an existing file is replaced.
    """

    name = "my-sink"

    def __init__(self, *, path: Path, overwrite: bool = False) -> None:
        self._path, self._overwrite = path, overwrite
        self._file: TextIO | None = None

    def open(self, info: facereg.SourceInfo, run: facereg.Run) -> None:
        """Get ready; called once, before the first frame."""
        if self._path.exists() and not self._overwrite:
            raise facereg.SinkError(f"{self._path} exists: my-sink:{self._path},overwrite=yes")
        self._file = self._path.open("w", encoding="utf-8")

    def write(self, result: facereg.FrameResult) -> None:
        """Take one frame and its faces; this runs in the main thread, so be quick."""
        boxes = "  ".join(f"{face.id}: {tuple(face.detection.box)}" for face in result.faces)
        assert self._file is not None
        self._file.write(f"{result.frame.time:8.3f}  {boxes}\n")

    def close(self) -> None:
        """Finish; called once, even if `open` failed."""
        if self._file is None:
            return
        self._file.close()
        self.outputs = (str(self._path),)


@facereg.hookimpl
def register_sinks() -> list[type[facereg.Sink]]:
    """Name the sink to facereg."""
    return [MySink]
