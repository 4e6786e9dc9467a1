"""What a run is told beside its components, and what it tells of itself."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from .errors import UsageError
from .state import Cache


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


@dataclass
class Totals:
    """What a run did.

    Attributes:
        frames, faces: results made, and faces in them.
        dropped: frames of a live source that nobody had time for.
        reused: faces whose regions come from an earlier frame.
        skipped: frames that failed and were passed on without faces.
        cached: frames that an earlier run parsed.
        seconds: how long the run took.
        outputs: files written.
        reports: what each sink tells of its files.
        stages: milliseconds spent in each stage, over all frames.
    """

    frames: int = 0
    faces: int = 0
    dropped: int = 0
    reused: int = 0
    skipped: int = 0
    cached: int = 0
    seconds: float = 0.0
    outputs: list[str] = field(default_factory=list)
    reports: dict[str, object] = field(default_factory=dict)
    stages: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time that something takes, if it ends well, as that stage's."""
        start = time.perf_counter()
        yield
        self.stages[stage] += 1000 * (time.perf_counter() - start)

    @property
    def fps(self) -> float:
        """Frames a second, over the whole run."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, object]:
        """Write it as plain values; stages as mean milliseconds a frame."""
        frames = max(1, self.frames)
        return {
            "frames": self.frames,
            "faces": self.faces,
            "dropped": self.dropped,
            "reused": self.reused,
            "skipped": self.skipped,
            "cached": self.cached,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "outputs": self.outputs,
            "reports": self.reports,
            "stages": {name: round(ms / frames, 3) for name, ms in self.stages.items()},
        }
