"""Settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..errors import UsageError

#: Minimum of each number.
MINIMUMS = {"max_faces": 1, "detect_every": 1, "look_back": 0, "duration": 0}

#: Default limit of look-back, in frames, as they are kept in memory.
MAX_LOOK_BACK = 15

OnError = Literal["stop", "skip"]
OnSinkError = Literal["stop", "drop"]


@dataclass(frozen=True)
class Settings:
    """How a run works, apart from its components.

    Attributes:
        max_faces: keep only this many faces of a frame, the largest; None keeps all.
        detect_every: run the detector on every n-th frame; in between, faces are followed.
        look_back: frames by which a result may be delayed to look, in the frames before it, for a
            face that a detection shows for the first time; None: as many as are needed for a
            recording, and 0 for a live source.
        parse_every: parse a face on every n-th frame, and carry its mask along the motion in
            between; None: every frame of a recording, as often as possible of a live source.
        duration: stop after this many seconds of the source's time; None does not.
        on_error: what happens to a frame that the detector or the segmenter fails on: ``stop`` ends
            the run, ``skip`` passes the frame on without faces and counts it.
        on_sink_error: what happens if a sink fails: ``stop`` ends the run, ``drop`` closes that
            sink and goes on with the others.
        provenance: what makes the results, for the sinks: ``detector``, ``segmenter``, ``model``.

    Raises:
        UsageError: a value is out of range.

    >>> Settings(detect_every=0)
    Traceback (most recent call last):
    facereg.errors.UsageError: detect_every=0: must be at least 1
    """

    max_faces: int | None = None
    detect_every: int = 8
    look_back: int | None = None
    parse_every: int | None = None
    duration: float | None = None
    on_error: OnError = "stop"
    on_sink_error: OnSinkError = "stop"
    provenance: Mapping[str, object] = field(default_factory=dict)

    def frames_to_look_back(self, *, live: bool) -> int:
        """Resolve ``look_back`` for a kind of source: never more than lie between two detections.

        >>> Settings(detect_every=8).frames_to_look_back(live=False)
        7
        """
        between = self.detect_every - 1
        if self.look_back is None:
            return 0 if live else min(between, MAX_LOOK_BACK)
        return min(between, self.look_back)

    def __post_init__(self) -> None:
        for name, minimum in (
            ("max_faces", 1),
            ("detect_every", 1),
            ("look_back", 0),
            ("parse_every", 1),
            ("duration", 0),
        ):
            value = getattr(self, name)
            if value is not None and not value >= minimum:
                raise UsageError(f"{name}={value}: must be at least {minimum}")
        for name, choices in (("on_error", OnError), ("on_sink_error", OnSinkError)):
            value, words = getattr(self, name), get_args(choices)
            if value not in words:
                raise UsageError(f"{name}={value}: must be {' or '.join(words)}")
