"""Cut what a sink writes into files of equal length, named by their time, and keep the newest.

Every frame is in exactly one segment, so that segments put together are the whole.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from ..components import Run, Sink
from ..errors import clean_text
from ..types import Frame, FrameResult, SourceInfo

log = logging.getLogger(__name__)

#: What stands between a name and its ending: UTC of a live source, else the time in the file.
STAMP = r"_(\d{8}T\d{6}\.\d{3}Z|\d{6}\.\d{3}s)"


class Limit(NamedTuple):
    """How much is kept: the newest segments of some seconds, or of some bytes in all."""

    seconds: float | None = None
    size: int | None = None


class Retention:
    """Removes the oldest finished segments of all outputs of a run.

    Args:
        limit: what is kept.
        paths: the outputs, as the user named them.
    """

    def __init__(self, limit: Limit, paths: list[Path]) -> None:
        self._limit, self._paths = limit, paths

    def apply(self, unfinished: Path) -> None:
        """Remove what is too old or too much, but no segment that is not finished."""
        found = sorted(self._segments(), key=lambda pair: pair[0])
        sizes = {path: _size(path) for _, path in found}
        total, now = sum(sizes.values()), time.time()
        for _, path in found:
            age = now - path.stat().st_mtime if path.exists() else 0.0
            old = self._limit.seconds is not None and age > self._limit.seconds
            much = self._limit.size is not None and total > self._limit.size
            if path == unfinished or not (old or much):
                continue
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError as e:
                log.warning("%s could not be removed: %s", clean_text(str(path)), e.strerror or e)
                continue
            total -= sizes[path]
            log.info("%s is removed: --retain", clean_text(str(path)))

    def _segments(self) -> Iterator[tuple[str, Path]]:
        """Yield the stamp and the path of every segment that is there."""
        for path in self._paths:
            pattern = re.compile(re.escape(path.stem) + STAMP + re.escape(path.suffix))
            for other in path.parent.iterdir():
                if match := pattern.fullmatch(other.name):
                    yield match[1], other


class SegmentedSink(Sink):
    """Writes through a new sink for each segment.

    Args:
        name: that of the sinks.
        make: makes a sink that writes a path.
        path: what the user named; a segment has its time before the ending.
        seconds: length of a segment.
        retention: what removes old segments; None keeps all.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Path], Sink],
        path: Path,
        seconds: float,
        retention: Retention | None = None,
    ) -> None:
        # Named as what it holds, so that errors and reports are.
        self.name = name  # type: ignore[misc]
        self.path = path
        self.outputs: tuple[str, ...] = ()
        self.stages: dict[str, float] = {}
        self._make, self._seconds, self._retention = make, seconds, retention
        self._opened: tuple[SourceInfo, Run] | None = None
        self._sink: Sink | None = None
        self._until = 0.0
        self._began = datetime.now(timezone.utc)

    def open(self, info: SourceInfo, run: Run) -> None:
        """Remember for what; the first frame begins the first segment."""
        self._opened, self._began = (info, run), datetime.now(timezone.utc)

    def write(self, result: FrameResult) -> None:
        """Write a frame, in a new segment if the last one is full."""
        if self._sink is None or result.frame.time >= self._until:
            self._next(result.frame)
        assert self._sink is not None
        self._sink.write(result)

    def tick(self) -> None:
        """Pass it on."""
        if self._sink is not None:
            self._sink.tick()

    def close(self) -> None:
        """Finish the last segment."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            sink.close()
        finally:
            self.outputs += tuple(sink.outputs)
            for stage, milliseconds in sink.stages.items():
                self.stages[stage] = self.stages.get(stage, 0.0) + milliseconds
        self.report = {"path": str(self.path), "segments": len(self.outputs)}

    def _next(self, frame: Frame) -> None:
        assert self._opened is not None, "open comes first"
        info, run = self._opened
        if self._sink is None:
            self._until = frame.time
        self.close()
        while self._until <= frame.time:  # the grid stays, whatever was missed
            self._until += self._seconds
        path = self.path.with_name(f"{self.path.stem}{self._stamp(frame, info)}{self.path.suffix}")
        sink = self._make(path)
        self._sink = sink  # from now on it is closed
        sink.open(info, run)
        if self._retention is not None:
            self._retention.apply(path)

    def _stamp(self, frame: Frame, info: SourceInfo) -> str:
        if not info.live:
            return f"_{frame.time:010.3f}s"
        clock = frame.clock or self._began + timedelta(seconds=frame.time)
        utc = clock.astimezone(timezone.utc)
        return f"_{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z"


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())
