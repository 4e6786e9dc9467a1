"""Memory over a long live run: at minute 1, and at the end.

From the root of a checkout::

    python -m benchmarks.soak [--minutes 30] [--json]

The stream of benchmarks/live.py is shown in a window and recorded, with default settings, for the
given time. Exit code 1 if memory grew by more than 50 MB after minute 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.live import some_display, swaying
from facereg.components import EndRun, Sink
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings
from facereg.registry.registry import Registry
from facereg.types import FrameResult
from tests.sources.streams import WHY_NOT, RtspServer, python_with_gstreamer, write_h264

#: Maximum growth, in MB.
MAX_GROWTH_MB = 50.0


def resident() -> float:
    """Read the memory that this process holds now, in MB. Linux only."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class MemorySink(Sink):
    """Notes the memory at every tenth of a minute, and ends the run.

    Attributes:
        samples: (minutes from the first frame, MB).
    """

    name = "memory"

    def __init__(self, minutes: float) -> None:
        self._minutes = minutes
        self._start: float | None = None
        self.samples: list[tuple[float, float]] = []

    def write(self, result: FrameResult) -> None:
        """Take a sample if it is time for one."""
        now = time.monotonic()
        if self._start is None:
            self._start = now
        passed = (now - self._start) / 60
        if passed >= len(self.samples) / 10:
            self.samples.append((passed, resident()))
        if passed >= self._minutes:
            raise EndRun


def soak(clip: Path, folder: Path, minutes: float) -> dict[str, object]:
    """Run, and put the figures together."""
    memory = MemorySink(minutes)
    registry = Registry()
    with RtspServer(clip) as server:
        parts = registry.build("detector", "mtcnn"), registry.build("segmenter", "pspnet")
        sinks = [
            registry.build("sink", "mp4", path=folder / "soak.mp4"),
            registry.build("sink", "window"),
            memory,
        ]
        source = registry.open_source(f"rtsp:{server.url()},timeout=10")
        totals = Processor(source, *parts, sinks, Settings()).run()
    after = [mb for passed, mb in memory.samples if passed >= min(1.0, minutes / 2)]
    return {
        "minutes": minutes,
        "frames": totals.frames,
        "fps": round(totals.fps, 2),
        "dropped": totals.dropped,
        "mb_at_minute_1": round(after[0], 1),
        "mb_at_end": round(after[-1], 1),
        "mb_most": round(max(after), 1),
    }


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if python_with_gstreamer() is None:
        parser.exit(1, f"{WHY_NOT}\n")
    with tempfile.TemporaryDirectory() as name, some_display():
        folder = Path(name)
        found = soak(write_h264(folder / "clip.h264", swaying()), folder, args.minutes)
    print(json.dumps(found) if args.json else "\n".join(f"{k}: {v}" for k, v in found.items()))
    return int(float(str(found["mb_at_end"])) > float(str(found["mb_at_minute_1"])) + MAX_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
