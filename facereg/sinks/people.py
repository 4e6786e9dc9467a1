"""Writes a picture of each person, to choose whom to hide or to show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .. import output
from ..components import Run, Sink
from ..errors import SinkError
from ..hookspecs import hookimpl
from ..output import FolderLock, write_file
from ..types import Face, Frame, FrameResult, Image, SourceInfo

#: Share of the face's width around its box that a picture shows.
MARGIN = 0.35
#: Longest side of a picture in pixels; larger faces are scaled down.
MAX_SIDE = 256
#: A later picture of a person must be better by this factor to take the place of an earlier one.
BETTER = 1.2


@dataclass(slots=True)
class Person:
    """What is known of a person so far.

    Attributes:
        first, last: seconds of the first and the last frame.
        frames: in which they are.
        merit: of the picture.
        picture: (h, w, 3) uint8 BGR.
    """

    first: float
    last: float
    frames: int
    merit: float
    picture: Image


class PeopleSink(Sink):
    """Writes a picture of each person; its name has the id, and the first and last time."""

    name = "people"

    def __init__(self, *, path: Path, overwrite: bool = False) -> None:
        """Check the folder.

        Args:
            path: the folder, which is made in one that exists.
            overwrite: whether pictures of these names may be replaced.

        Raises:
            SinkError: it is a file, or has something in it, or there is no folder to make it in.
        """
        self.path = path
        self.outputs: tuple[str, ...] = ()
        self._people: dict[int, Person] = {}
        self._lock: FolderLock | None = None
        output.check_parent(path)
        if path.exists() and not path.is_dir():
            raise SinkError(f"{path} is a file; name a folder for the pictures of people")
        if not overwrite and path.is_dir() and any(path.iterdir()):
            raise SinkError(f"{path} is not empty; --overwrite replaces what is there")

    def open(self, info: SourceInfo, run: Run) -> None:
        """Make the folder."""
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as e:
            raise SinkError(f"{self.path}: {e.strerror or e}") from e
        self._lock = FolderLock(self.path)

    def write(self, result: FrameResult) -> None:
        """Remember the best picture of each face."""
        frame = result.frame
        for face in result.faces:
            merit = _merit(face, frame)
            known = self._people.get(face.id)
            if known is None:
                picture = _cut(face, frame)
                self._people[face.id] = Person(frame.time, frame.time, 1, merit, picture)
                continue
            known.last, known.frames = frame.time, known.frames + 1
            if merit > BETTER * known.merit:
                known.merit, known.picture = merit, _cut(face, frame)

    def close(self) -> None:
        """Write the pictures."""
        if self._lock is None:
            return
        try:
            for number, person in sorted(self._people.items()):
                name = f"person-{number:03d}_{person.first:.2f}s-{person.last:.2f}s.jpg"
                data = cv2.imencode(".jpg", person.picture)[1]
                write_file(self.path / name, data.tobytes())
            self.outputs = (str(self.path),)
            self.report = {
                "path": str(self.path),
                "people": {
                    str(number): {
                        "first": round(p.first, 3), "last": round(p.last, 3), "frames": p.frames,
                    }
                    for number, p in sorted(self._people.items())
                },
            }  # fmt: skip
        finally:
            self._lock.release()


def _merit(face: Face, frame: Frame) -> float:
    """Prefer large, certain faces that the frame does not cut off."""
    box = face.detection.box
    inside = box.clip(frame.width, frame.height)
    return float(inside.area * (inside.area / max(1, box.area)) ** 2 * face.detection.score)


def _cut(face: Face, frame: Frame) -> Image:
    box = face.detection.box
    part = box.grown(round(MARGIN * box.width)).clip(frame.width, frame.height)
    picture = frame.image[part.slices] if part.area else frame.image
    zoom = min(1.0, MAX_SIDE / max(picture.shape[:2]))
    if zoom == 1.0:
        return np.array(picture, np.uint8)
    size = [max(1, round(side * zoom)) for side in (picture.shape[1], picture.shape[0])]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (PeopleSink,)
