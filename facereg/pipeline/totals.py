"""Statistics of a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Totals:
    """What a run did.

    Attributes:
        frames, faces: results made, and faces in them.
        dropped: frames of a live source that nobody had time for.
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
            "skipped": self.skipped,
            "cached": self.cached,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "outputs": self.outputs,
            "reports": self.reports,
            "stages": {name: round(ms / frames, 3) for name, ms in self.stages.items()},
        }
