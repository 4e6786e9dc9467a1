"""What a redaction did, written into the video's own comment, so that it can be proved later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._version import __version__
from ..types import Face, FrameResult

#: Persons and frames that a record lists; what is beyond them is only counted.
MAX_PERSONS, MAX_WEAKEST = 500, 10

#: What a comment begins with that is a record.
MARK = "facereg redaction "


@dataclass
class Person:
    """When a face of one id was there.

    Attributes:
        first, last: times of the first and the last frame in seconds.
        frames: how many frames it was found in.
    """

    first: float
    last: float
    frames: int = 0


class Record:
    """Gathers what a redaction did, frame by frame.

    Args:
        view: the view that hides, as ``--view`` takes it.
        provenance: what made the results: detector, segmenter, model, guard.
    """

    def __init__(self, view: str, provenance: Mapping[str, object]) -> None:
        self._settings: dict[str, object] = {"view": view, **provenance}
        self._frames = self._held = self._held_frames = self._closed = 0
        self._persons: dict[int, Person] = {}
        self._weakest: list[tuple[float, int, float, int]] = []

    def see(self, result: FrameResult) -> None:
        """Note one frame."""
        self._frames += 1
        self._closed += not result.parsed
        found = {face.id for face in result.faces}
        held = sum(face.id not in found for face in result.held)
        self._held += held
        self._held_frames += held > 0
        for face in result.faces:
            self._note(face, result)

    def _note(self, face: Face, result: FrameResult) -> None:
        time = result.frame.time
        person = self._persons.setdefault(face.id, Person(time, time))
        person.last, person.frames = time, person.frames + 1
        weak = (face.detection.score, result.frame.index, time, face.id)
        self._weakest = sorted([*self._weakest, weak])[:MAX_WEAKEST]

    def describe(self) -> dict[str, Any]:
        """Describe it in plain values."""
        listed = sorted(self._persons.items())[:MAX_PERSONS]
        return {
            "facereg": __version__,
            "settings": self._settings,
            "frames": self._frames,
            "frames_hidden_whole": self._closed,
            "face_frames_held": self._held,
            "frames_with_held_faces": self._held_frames,
            "persons": [
                {"id": i, "first": round(p.first, 3), "last": round(p.last, 3), "frames": p.frames}
                for i, p in listed
            ],
            "persons_not_listed": len(self._persons) - len(listed),
            "weakest": [
                {"frame": index, "time": round(time, 3), "id": i, "score": round(score, 3)}
                for score, index, time, i in self._weakest
            ],
        }

    def comment(self) -> str:
        """Write it as the comment of a video."""
        return MARK + json.dumps(self.describe(), separators=(",", ":"))


def read_record(comment: str) -> dict[str, Any] | None:
    """Read what a video's comment says of its redaction; None if it says nothing of it."""
    if not comment.startswith(MARK):
        return None
    try:
        found = json.loads(comment.removeprefix(MARK))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
