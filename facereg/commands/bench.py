"""``facereg bench``: how fast each stage and the whole pipeline are on this machine."""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..components import EndRun, Run, Sink, Source
from ..errors import SourceError, clean_text
from ..models import example
from ..pipeline.processor import Processor
from ..registry.registry import Registry
from ..types import Face, FrameResult
from .terminal import print_json

#: Frames at the start whose times are left out, as models and caches warm up in them.
WARM_UP_FRAMES = 5

#: Maximum size of the pictures that are kept to time the encoder with.
MAX_KEPT_BYTES = 200_000_000


class FrameLimit(Sink):
    """Ends a run after a number of frames, and measures when the first one came.

    Args:
        count: the number of frames.
        started: when the run was started, on `time.perf_counter`.

    Attributes:
        first: seconds from ``started`` to the first frame; None before it.
    """

    name = "limit"

    def __init__(self, count: int, started: float) -> None:
        self._left, self._started = count, started
        self.first: float | None = None

    def write(self, result: FrameResult) -> None:
        """Count a frame."""
        if self.first is None:
            self.first = time.perf_counter() - self._started
        self._left -= 1
        if not self._left:
            raise EndRun


class Bench:
    """Measures one source, detector and segmenter.

    Args:
        registry: where they are found.
        args: the command line.
    """

    def __init__(self, registry: Registry, args: argparse.Namespace) -> None:
        self._registry, self._args = registry, args
        self._source = args.source or str(example())
        self._times: dict[str, list[float]] = defaultdict(list)
        self._results: list[FrameResult] = []
        self._faces = 0

    def measure(self) -> dict[str, Any]:
        """Measure the whole pipeline, then each stage by itself.

        Raises:
            SourceError: the source has no frame.
        """
        whole = {"without_encoding": self._whole(encode=False), "mp4": self._whole(encode=True)}
        memory = _peak_memory()
        with closing(self._open()) as source:
            self._stages(source)
            frames = len(self._times["read"])
            if not frames:
                raise SourceError(f"{self._source}: no frame to measure with")
            info = source.info
            encode = self._encode(source)
        stages = {name: _spread(times) for name, times in self._times.items() if times}
        return {
            "source": info.name,
            "size": [info.width, info.height],
            "cores": os.cpu_count(),
            "detector": self._args.detector,
            "segmenter": self._args.segmenter,
            "frames": frames,
            "faces_per_frame": round(self._faces / frames, 3),
            "stages": {**stages, "encode": {"mean_ms": encode}},
            "whole": whole,
            "peak_memory_mb": memory,
        }

    def _open(self) -> Source:
        return self._registry.open_source(self._source)

    def _whole(self, *, encode: bool) -> dict[str, Any]:
        """Run the pipeline as ``facereg run`` does."""
        started = time.perf_counter()
        detector = self._registry.build("detector", self._args.detector)
        segmenter = self._registry.build("segmenter", self._args.segmenter)
        loaded = time.perf_counter() - started
        with tempfile.TemporaryDirectory() as folder:
            sinks: list[Sink] = []
            if encode:
                path = Path(folder) / "bench.mp4"
                sinks.append(self._registry.build("sink", "mp4", path=path))
            end = FrameLimit(self._args.frames, started)
            sinks.append(end)
            source = self._open()
            totals = Processor(source, detector, segmenter, sinks).run()
        return {
            "fps": round(totals.fps, 2),
            "frames": totals.frames,
            "load_seconds": round(loaded, 3),
            "first_frame_seconds": None if end.first is None else round(end.first, 3),
            "stages_ms": {
                k: round(ms / max(1, totals.frames), 3) for k, ms in totals.stages.items()
            },
        }

    def _stages(self, source: Source) -> None:
        """Time read, detect, segment and draw, one frame at a time, each by itself.

        Every face of a video gets a number of its own, so that smoothing has nothing to continue.
        """
        draw, numbers = self._registry.view("overlay"), itertools.count(1)
        with (
            closing(self._registry.build("detector", self._args.detector)) as detector,
            closing(self._registry.build("segmenter", self._args.segmenter)) as segmenter,
        ):
            frames = source.frames()
            kept = 0
            for _ in range(self._args.frames):
                with self._timed("read"):
                    frame = next(frames, None)
                if frame is None:
                    self._times["read"].pop()
                    break
                with self._timed("detect"):
                    found = detector.detect(frame)
                if not source.info.stills:
                    found = [replace(face, track=next(numbers)) for face in found]
                faces: tuple[Face, ...] = ()
                if found:
                    with self._timed("segment"):
                        regions = segmenter.segment(frame, found)
                    pairs = zip(found, regions, strict=True)
                    faces = tuple(Face(i, d, r) for i, (d, r) in enumerate(pairs))
                for face in found:
                    if face.track is not None:
                        segmenter.forget(face.track)
                    self._times["segment_a_face"].append(self._times["segment"][-1] / len(found))
                result = FrameResult(frame, faces)
                with self._timed("draw"):
                    draw(result)
                self._faces += len(faces)
                kept += frame.image.nbytes
                if kept <= MAX_KEPT_BYTES:
                    self._results.append(result)

    def _encode(self, source: Source) -> float:
        """Encode the kept frames and nothing else; return the mean milliseconds a frame."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.mp4"
            sink = self._registry.build("sink", "mp4", path=path, view="raw", audio="none")
            start = time.perf_counter()
            sink.open(source.info, Run())
            for result in self._results:
                sink.write(result)
            sink.close()
            spent = 1000 * (time.perf_counter() - start)
        return round(spent / len(self._results), 3)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._times[stage].append(1000 * (time.perf_counter() - start))


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    measured = Bench(Registry(args.plugin), args).measure()
    if args.json:
        print_json(measured)
    else:
        print(_table(measured))
    return 0


def _spread(times: list[float]) -> dict[str, float]:
    """Summarise milliseconds: the median, and the 10th and 90th percentile."""
    times = times[WARM_UP_FRAMES:] or times
    cuts = statistics.quantiles(times, n=10, method="inclusive") if len(times) > 1 else times * 9
    return {
        "median_ms": round(statistics.median(times), 3),
        "p10_ms": round(cuts[0], 3),
        "p90_ms": round(cuts[-1], 3),
    }


def _peak_memory() -> float | None:
    """Return the peak memory of this process in megabytes; None if it is unknown."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _table(measured: dict[str, Any]) -> str:
    width, height = measured["size"]
    lines = [
        f"{clean_text(measured['source'])}: {measured['frames']} frames of {width}x{height}",
        f"{measured['faces_per_frame']:.2f} faces a frame, {measured['cores']} cores",
        f"detector {measured['detector']}, segmenter {measured['segmenter']}",
        "",
        f"{'ms a frame, each stage alone':<30}{'median':>8}{'10 %':>8}{'90 %':>8}  (encode: mean)",
    ]
    for name, times in measured["stages"].items():
        cells = "".join(f"{ms:>8.2f}" for ms in times.values())
        lines.append(f"  {name.replace('_', ' '):<28}{cells}")
    lines += ["", "the whole pipeline"]
    for name, whole in measured["whole"].items():
        first = whole["first_frame_seconds"]
        lines.append(
            f"  {name.replace('_', ' '):<18}{whole['fps']:>8.1f} frames/s, models loaded in "
            f"{whole['load_seconds']:.2f} s, first frame after {first:.2f} s"
        )
    if measured["peak_memory_mb"] is not None:
        lines.append(f"  peak memory {measured['peak_memory_mb']:.0f} MB")
    return "\n".join(lines)
