"""Latency from grab to display, frames a second and dropped frames on an RTSP stream.

From the root of a checkout, with what docs/live.md names for the tests of streams installed::

    python -m benchmarks.live [--seconds 60] [--json]

A server of our own sends one face, 640x480 at 30 frames a second; facereg shows it in a window with
its default settings. Without a display the window is opened on Xvfb if it is installed, else in
memory. At the end the server is killed and restarted, to measure the time until the first picture.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from facereg.components import EndRun
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings
from facereg.registry.registry import Registry
from facereg.sinks.window import WindowSink
from facereg.types import FrameResult, Image
from tests import clips
from tests.sinks import xvfb
from tests.sources.streams import WHY_NOT, RtspServer, python_with_gstreamer, write_h264

#: Seconds at the start that are not counted: models warm up, the stream's first burst is dropped.
WARM_UP = 5.0

#: Seconds for which the server is away.
AWAY = 5.0


class TimedWindow(WindowSink):
    """A window that notes when each picture was on it.

    Attributes:
        shown: for each picture, its index, the moment of its grab, and that of its display.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.shown: list[tuple[int, float, float]] = []
        self._end = time.monotonic() + 3600
        self._seconds = seconds

    def write(self, result: FrameResult) -> None:
        """Show a result and note the time."""
        super().write(result)
        if not self.shown:
            self._end = time.monotonic() + self._seconds
        assert result.frame.clock is not None
        self.shown.append((result.frame.index, result.frame.clock.timestamp(), time.time()))
        self.tick()

    def tick(self) -> None:
        """End the run after its time."""
        super().tick()
        if time.monotonic() > self._end:
            raise EndRun


def swaying(count: int = 120) -> list[Image]:
    """Move the astronaut's face from side to side and back, 640x480."""
    picture = np.pad(clips.astronaut()[:480], ((0, 0), (160, 160), (0, 0)), mode="edge")
    steps = (96 * (1 + np.sin(2 * np.pi * np.arange(count) / count))).round().astype(int)
    return [np.ascontiguousarray(picture[:, x : x + 640]) for x in steps]


@contextmanager
def some_display() -> Iterator[str]:
    """Find a display or start one; say which."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        yield "this display"
    elif xvfb.available():
        with xvfb.Screen() as screen:
            os.environ.update(screen.environment())
            yield "Xvfb"
    else:
        os.environ["SDL_VIDEODRIVER"] = "dummy"
        yield "memory"


def measure(clip: Path, seconds: float) -> dict[str, object]:
    """Run, and put the figures together."""
    first = RtspServer(clip)
    servers = [first]
    sink = TimedWindow(WARM_UP + seconds + AWAY + 20)
    registry = Registry()
    parts = registry.build("detector", "mtcnn"), registry.build("segmenter", "pspnet")
    source = registry.open_source(first.url())
    processor = Processor(source, *parts, [sink], Settings())
    returned: list[float] = []

    def interrupt() -> None:
        time.sleep(WARM_UP + seconds)
        first.kill()
        time.sleep(AWAY)
        servers.append(RtspServer(clip, first.port))
        returned.append(time.time())

    script = threading.Thread(target=interrupt)
    script.start()
    try:
        totals = processor.run()
    finally:
        script.join()
        for server in servers:
            server.kill()
    start = sink.shown[0][2] + WARM_UP
    shown = [row for row in sink.shown if start <= row[2] < start + seconds - WARM_UP]
    latency = 1000 * np.array([display - grab for _, grab, display in shown])
    sent = shown[-1][0] - shown[0][0] + 1
    back = [display for _, _, display in sink.shown if display > returned[0]]
    return {
        "seconds": round(shown[-1][2] - shown[0][2], 1),
        "fps": round((len(shown) - 1) / (shown[-1][2] - shown[0][2]), 2),
        "latency_median_ms": round(float(np.median(latency)), 1),
        "latency_95th_ms": round(float(np.percentile(latency, 95)), 1),
        "dropped_share": round(1 - len(shown) / sent, 3),
        "seconds_until_back": round(back[0] - returned[0], 2) if back else None,
        "faces_per_frame": round(totals.faces / max(1, totals.frames), 2),
        "stages_ms": totals.as_json()["stages"],
        "cores": os.cpu_count(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if python_with_gstreamer() is None:
        parser.exit(1, f"{WHY_NOT}\n")
    with tempfile.TemporaryDirectory() as folder, some_display() as display:
        found = measure(write_h264(Path(folder) / "clip.h264", swaying()), args.seconds)
    found["display"] = display
    print(json.dumps(found) if args.json else "\n".join(f"{k}: {v}" for k, v in found.items()))


if __name__ == "__main__":
    main()
