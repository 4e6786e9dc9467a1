"""Statistics of a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class StageTimes:
    """Milliseconds that one thread spends in each stage.

    Time in a stage within another counts for the inner one only.

    >>> times = StageTimes()
    >>> with times.timed("track"), times.timed("segment"):
    ...     pass
    >>> sorted(times.milliseconds)
    ['segment', 'track']
    """

    def __init__(self) -> None:
        self.milliseconds: defaultdict[str, float] = defaultdict(float)
        self._inner = 0.0  # seconds in stages within the present one

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time that the body takes, if it raises nothing."""
        outer, self._inner = self._inner, 0.0
        start, inner = time.perf_counter(), 0.0
        try:
            yield
            inner = self._inner
            self.milliseconds[stage] += 1000 * (time.perf_counter() - start - inner)
        finally:
            self._inner = outer + time.perf_counter() - start


@dataclass
class Totals:
    """What a run did. Only the thread that takes the results writes it.

    Attributes:
        frames, faces: results made, and faces in them.
        dropped: frames of a live source that were dropped because the pipeline was busy.
        skipped: frames that failed and were passed on without faces.
        cached: frames that an earlier run parsed.
        carried: masks that were carried along motion, and not parsed.
        held: faces that were hidden in frames in which they were not found.
        seconds: how long the run took.
        outputs: files written.
        reports: what each sink reports about its files, by its name; and, as ``source``, what is
            damaged of what was read.
        dropped_sinks: why each sink that failed was dropped, by its name.
        stages: milliseconds spent in each stage, over all frames; complete when the run has ended.
    """

    frames: int = 0
    faces: int = 0
    dropped: int = 0
    skipped: int = 0
    cached: int = 0
    carried: int = 0
    held: int = 0
    seconds: float = 0.0
    outputs: list[str] = field(default_factory=list)
    reports: dict[str, object] = field(default_factory=dict)
    dropped_sinks: dict[str, str] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames a second, over the whole run."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, object]:
        """Return it as plain values; stages as mean milliseconds a frame."""
        frames = max(1, self.frames)
        return {
            "frames": self.frames,
            "faces": self.faces,
            "dropped": self.dropped,
            "skipped": self.skipped,
            "cached": self.cached,
            "carried": self.carried,
            "held": self.held,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "outputs": self.outputs,
            "reports": self.reports,
            "dropped_sinks": self.dropped_sinks,
            "stages": {name: round(ms / frames, 3) for name, ms in self.stages.items()},
        }
