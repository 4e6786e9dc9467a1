"""Measure what a run costs beyond its parts: ffmpeg, the network and the detector alone.

    python -m benchmarks.overhead [--sizes 480p 1080p 4k] [--faces 1 4] [--rounds N]
                                  [--before FOLDER]

Everything is in CPU milliseconds a frame, so that other work on the machine matters little. *run*
is ``facereg run`` with default settings, its encoder included. Its parts: *ffmpeg* decodes the same
file and, for an MP4, encodes the frames with the same settings; *network* computes as many crops
as the run does; *detector* looks at as many frames as the run does. A start is not counted: each
figure is the difference between a long and a short run. All are taken in turn; medians of the
rounds.

``--before`` names another checkout, whose runs are taken in turn with this one's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import skimage.data

from facereg.components import Detector, EndRun, Segmenter, Sink
from facereg.models import find_model
from facereg.pipeline.processor import Processor
from facereg.plugins.pspnet.engines import Compute, build_engine
from facereg.registry.registry import Registry
from facereg.types import Detection, Frame, FrameResult, Image, RegionMasks
from facereg.video.encoders import Quality, Shape, encoder_arguments

#: Width, height, and the frames of a long run, by name.
SIZES = {"480p": (640, 480, 158), "1080p": (1920, 1080, 88), "4k": (3840, 2160, 48)}

#: Frames of a short run: those in which caches warm up, and two detections.
SHORT_FRAMES = 16

#: Frames a second of the clips.
RATE = 25

#: Amplitude of a face's sway as a share of the photograph's width, and its period in frames.
SWAY, PERIOD = 0.03, 50

OUTPUTS = ("mp4", "masks")


def portraits(width: int, height: int, faces: int, count: int) -> Iterator[Image]:
    """Draw frames (height, width, 3) with one swaying astronaut, or with two by two of them."""
    across = 2 if faces > 1 else 1
    tile = (width // across, height // across)
    photo = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
    table = np.ascontiguousarray(skimage.data.coffee()[..., ::-1])
    zoom = tile[1] / 432
    for i in range(count):
        rows = []
        for row in range(across):
            tiles = []
            for column in range(across):
                back = cv2.resize(table, tile, interpolation=cv2.INTER_CUBIC)
                shift = SWAY * 512 * math.sin(2 * math.pi * (i / PERIOD + (2 * row + column) / 5))
                x = tile[0] / 2 - zoom * (223 + shift)
                matrix = np.array([[zoom, 0, x], [0, zoom, 0]])
                mode = cv2.BORDER_TRANSPARENT
                cv2.warpAffine(photo, matrix, tile, back, cv2.INTER_CUBIC, mode)
                tiles.append(back)
            rows.append(np.hstack(tiles))
        yield np.ascontiguousarray(np.vstack(rows))


def write_clip(path: Path, frames: Iterator[Image], width: int, height: int) -> None:
    """Encode frames as a camera's file would have them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo"]
    command += ["-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", str(RATE), "-i", "pipe:0"]
    command += ["-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for frame in frames:
            process.stdin.write(frame.tobytes())
    if process.returncode:
        raise SystemExit(f"{path}: ffmpeg failed")


def cpu_of(command: Sequence[str], checkout: Path | None = None) -> float:
    """Run a command to its end; return its CPU seconds, with those of the processes it started."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)} if checkout else dict(os.environ)
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


class CountingDetector(Detector):
    """Counts the frames that a detector looks at."""

    name = "counting"

    def __init__(self, inner: Detector) -> None:
        self.inner, self.frames = inner, list[Frame]()

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Pass a frame on."""
        self.frames.append(frame)
        return self.inner.detect(frame)


class CountingSegmenter(Segmenter):
    """Counts the faces that a segmenter parses."""

    name = "counting"

    def __init__(self, inner: Segmenter) -> None:
        self.inner, self.faces, self.parsed = inner, 0, 0

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        """Pass faces on."""
        self.faces += len(detections)
        return self.inner.segment(frame, detections)


class Limit(Sink):
    """Ends a run after some frames."""

    name = "limit"

    def __init__(self, count: int) -> None:
        self._left = count

    def write(self, result: FrameResult) -> None:
        """Count a frame."""
        self._left -= 1
        if not self._left:
            raise EndRun


class Clip:
    """One clip, and what its runs are made of.

    Args:
        path: where it is written.
        size: a name of `SIZES`.
        faces: faces in each frame.
    """

    def __init__(self, path: Path, size: str, faces: int) -> None:
        self.path, (self.width, self.height, self.frames) = path, SIZES[size]
        pictures = portraits(self.width, self.height, faces, self.frames)
        write_clip(path, pictures, self.width, self.height)
        registry = Registry()
        self._detector = CountingDetector(registry.build("detector", "mtcnn"))
        segmenter = CountingSegmenter(registry.build("segmenter", "pspnet"))
        source = registry.open_source(str(path))
        Processor(source, self._detector, segmenter, [Limit(self.frames)]).run()
        self.faces = segmenter.faces / self.frames
        self.detections = len(self._detector.frames) / self.frames

    def run(self, output: str, checkout: Path | None = None) -> float:
        """Measure ``facereg run``: CPU ms a frame."""
        out = self.path.with_name(f"out.{output}" if output == "mp4" else "out")
        flag = "-o" if output == "mp4" else "-m"

        def once(frames: int) -> float:
            command = [sys.executable, "-P", "-m", "facereg", "run", str(self.path), flag, str(out)]
            command += ["--quiet", "--overwrite", "--duration", str((frames - 0.5) / RATE)]
            return cpu_of(command, checkout)

        return self._difference(once)

    def ffmpeg(self, output: str) -> float:
        """Measure ffmpeg alone: CPU ms a frame."""
        shape = Shape(self.width, self.height, Fraction(RATE))
        encoder = [*encoder_arguments("libx264", Quality(), shape), "-y", "-f", "mp4"]
        into = encoder if output == "mp4" else ["-f", "null"]

        def once(frames: int) -> float:
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin"]
            command += ["-threads", str(min(4, os.cpu_count() or 1)), "-i", str(self.path)]
            command += ["-frames:v", str(frames), *into, str(self.path.with_name("alone.mp4"))]
            return cpu_of(command)

        return self._difference(once)

    def network(self) -> float:
        """Measure the network on as many crops: CPU ms a frame."""
        model = find_model("base")
        size = int(model.card["input_size"])
        engine = build_engine(model, size, Compute())
        count = max(1, round(self.faces))
        crops = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
        return _process_ms(lambda: engine.logits(crops), 20) * self.faces / count

    def detector(self) -> float:
        """Measure the detector on as many frames: CPU ms a frame."""
        frames = self._detector.frames
        return (
            _process_ms(lambda: [self._detector.inner.detect(f) for f in frames[:6]], 2)
            / min(6, len(frames))
            * self.detections
        )

    def _difference(self, once: Any) -> float:
        return 1000 * (once(self.frames) - once(SHORT_FRAMES)) / (self.frames - SHORT_FRAMES)


def _process_ms(work: Any, times: int) -> float:
    """Return the CPU milliseconds of this process for one call, after one that is not counted."""
    work()
    start = time.process_time()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - start) / times


def measure(clip: Clip, rounds: int, before: Path | None) -> dict[str, Any]:
    """Take every figure in turn, ``rounds`` times; return the medians."""
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        taken["network"].append(clip.network())
        taken["detector"].append(clip.detector())
        for output in OUTPUTS:
            taken[f"ffmpeg {output}"].append(clip.ffmpeg(output))
            taken[f"run {output}"].append(clip.run(output))
            if before is not None:
                taken[f"before {output}"].append(clip.run(output, before))
    found: dict[str, Any] = {name: statistics.median(values) for name, values in taken.items()}
    for output in OUTPUTS:
        parts = found["network"] + found["detector"] + found[f"ffmpeg {output}"]
        found[f"ratio {output}"] = found[f"run {output}"] / parts
        if before is not None:
            pairs = zip(taken[f"run {output}"], taken[f"before {output}"], strict=True)
            found[f"of before {output}"] = statistics.median(now / then for now, then in pairs)
    return {name: round(value, 3) for name, value in found.items()}


def processor_name() -> str:
    """Name the processor, and whether it has instructions for 8-bit networks (VNNI)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in lines.items()}
    flags = named.get("flags", "").split()
    vnni = "VNNI" if {"avx512_vnni", "avx_vnni"} & set(flags) else "no VNNI"
    return f"{named.get('model name', '?')}, {vnni}, {os.cpu_count()} cores"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--faces", nargs="+", type=int, choices=(1, 4), default=[1, 4])
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout to compare with")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for size in args.sizes:
            for faces in args.faces:
                clip = Clip(Path(folder) / f"{size}-{faces}.mp4", size, faces)
                figures = measure(clip, args.rounds, args.before)
                found.append({"size": size, "faces": round(clip.faces, 2), **figures})
                if not args.json:
                    print(found[-1], flush=True)
    if args.json:
        print(json.dumps({"processor": processor_name(), "clips": found}, indent=1))
    else:
        print(processor_name())


if __name__ == "__main__":
    main()
