"""What a run is told beside its components, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..checkpoint import Cache
from ..errors import UsageError


@dataclass(frozen=True)
class Settings:
    """What a run does beside its components.

    Attributes:
        max_faces: keep the largest faces of a frame, at most so many.
        detect_every: run the detector on every n-th frame; in between, faces are followed.
        duration: stop after so many seconds of the source's time.
        on_error: whether a frame that a detector or segmenter fails on ends the run, or is
            passed on without faces and counted.
        provenance: what the sinks are told of the detector, segmenter and model.
        cache: what gives the faces of frames that an earlier run parsed, or None. It is asked when
            the sinks are open.

    Raises:
        UsageError: a value that cannot be meant.
    """

    max_faces: int | None = None
    detect_every: int = 8
    duration: float | None = None
    on_error: Literal["stop", "skip"] = "stop"
    provenance: Mapping[str, object] = field(default_factory=dict)
    cache: Cache | None = None

    def __post_init__(self) -> None:
        for name, least in (("max_faces", 1), ("detect_every", 1), ("duration", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise UsageError(f"{name}={value}: must be at least {least}")
        if self.on_error not in ("stop", "skip"):
            raise UsageError(f"on_error={self.on_error}: must be stop or skip")
