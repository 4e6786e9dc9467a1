"""Measure memory over a long run: at frame 300, at the end, and its maximum.

    python benchmarks/memory.py [CLIP] [--frames N] [--json]

The clip is played again and again into one MP4, with default settings. The encoder is a process of
its own and is not counted. Exit code 1 if memory grew by more than 50 MB after frame 300.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from facereg.components import Sink, Source
from facereg.models import example
from facereg.pipeline.processor import Processor
from facereg.registry.registry import Registry
from facereg.types import Frame, FrameResult

#: The frame after which memory must not grow, and the frames between two samples.
SETTLED_FRAME, SAMPLE_FRAMES = 300, 100
#: Maximum growth, in MB.
MAX_GROWTH_MB = 50.0


class Looped(Source):
    """Plays a source again and again, for a number of frames.

    Args:
        open_source: opens it anew.
        count: frames.
    """

    name = "looped"

    def __init__(self, open_source: Callable[[], Source], count: int) -> None:
        self._open, self._count = open_source, count
        self._source = open_source()
        info = self._source.info
        if info.fps is None:
            raise SystemExit(f"{info.name}: it has no rate, so its frames cannot be lined up")
        self._rate = info.fps
        length = float(count / self._rate)
        self.info = replace(info, frame_count=count, duration=length, has_audio=False, media=None)

    def frames(self) -> Iterator[Frame]:
        """Yield its frames, with indices and times that go on."""
        index = 0
        while True:
            for frame in self._source.frames():
                if index == self._count:
                    return
                yield Frame(frame.image, index, float(index / self._rate))
                index += 1
            self._source.close()
            self._source = self._open()

    def close(self) -> None:
        """Close what is open."""
        self._source.close()


class Watch(Sink):
    """Looks at the memory now and then.

    Attributes:
        samples: MB, by frame.
    """

    name = "watch"

    def __init__(self) -> None:
        self.samples: dict[int, float] = {}
        self._last = -1

    def write(self, result: FrameResult) -> None:
        """Look, where it is time to."""
        self._last = result.frame.index
        if self._last % SAMPLE_FRAMES == 0:
            self.samples[self._last] = resident()

    def close(self) -> None:
        """Look once more."""
        self.samples[self._last] = resident()


def resident() -> float:
    """Read the memory that this process holds now, in MB."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        pages = int(statm.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    command = ["ps", "-o", "rss=", "-p", str(os.getpid())]
    return int(subprocess.run(command, capture_output=True, check=True).stdout) * 1024 / 1e6


def peak() -> float:
    """Read the most memory that this process ever held, in MB."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024) / 1e6


def measure(clip: str, count: int) -> dict[str, Any]:
    """Run, and put the figures together."""
    registry = Registry()
    source = Looped(lambda: registry.open_source(clip), count)
    parts = registry.build("detector", "mtcnn"), registry.build("segmenter", "pspnet")
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        mp4 = registry.build("sink", "mp4", path=Path(folder) / "out.mp4")
        totals = Processor(source, *parts, [mp4, watch]).run()
    settled = next((mb for frame, mb in watch.samples.items() if frame >= SETTLED_FRAME), None)
    end = list(watch.samples.values())[-1]
    return {
        "clip": clip,
        "frames": totals.frames,
        "faces": totals.faces,
        f"mb_at_frame_{SETTLED_FRAME}": None if settled is None else round(settled, 1),
        "mb_at_end": round(end, 1),
        "grown_mb": None if settled is None else round(end - settled, 1),
        "peak_mb": round(peak(), 1),
        "samples_mb": {frame: round(mb, 1) for frame, mb in watch.samples.items()},
    }


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clip", nargs="?", metavar="CLIP", help="a video (default: the example)")
    parser.add_argument("--frames", type=int, default=3000, help="default: %(default)s")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.clip or str(example()), args.frames)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        for name in [name for name in found if name != "samples_mb"]:
            print(f"{name.replace('_', ' '):<18}{'-' if found[name] is None else found[name]}")
    return int((found["grown_mb"] or 0.0) > MAX_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
