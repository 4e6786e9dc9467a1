"""Settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..errors import UsageError

OnError = Literal["stop", "skip"]


@dataclass(frozen=True)
class Settings:
    """How a run works, apart from its components.

    Attributes:
        max_faces: keep only this many faces of a frame, the largest; None keeps all.
        detect_every: run the detector on every n-th frame; in between, faces are followed.
        duration: stop after this many seconds of the source's time; None does not.
        on_error: what happens to a frame that the detector or the segmenter fails on: ``stop`` ends
            the run, ``skip`` passes the frame on without faces and counts it.
        provenance: what makes the results, for the sinks: ``detector``, ``segmenter``, ``model``.

    Raises:
        UsageError: a value is out of range.

    >>> Settings(detect_every=0)
    Traceback (most recent call last):
    facereg.errors.UsageError: detect_every=0: must be at least 1
    """

    max_faces: int | None = None
    detect_every: int = 8
    duration: float | None = None
    on_error: OnError = "stop"
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, minimum in (("max_faces", 1), ("detect_every", 1), ("duration", 0)):
            value = getattr(self, name)
            if value is not None and not value >= minimum:
                raise UsageError(f"{name}={value}: must be at least {minimum}")
        if self.on_error not in get_args(OnError):
            raise UsageError(f"on_error={self.on_error}: must be {' or '.join(get_args(OnError))}")
