"""Measure how the cost of a frame grows with its faces, and what a second job adds.

    python benchmarks/scaling.py [--frames N] [--clip CLIP] [--plot PNG] [--json]

Faces: a 1280 x 720 clip of eight tiles. 1, 2, 4 or 8 of them show a swaying astronaut, the others a
cup of coffee. Default settings, once without output and once into an MP4.

Jobs: ``facereg batch`` over copies of one clip, with one and with two jobs. The start of each
process is counted.

Needs ``pip install -e '.[test]'`` for its pictures and for matplotlib.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import skimage.data

from facereg.models import example
from facereg.pipeline.processor import Processor
from facereg.registry.registry import Registry
from facereg.types import Image

FACES = (1, 2, 4, 8)
JOBS = (1, 2)

#: Tiles of the frame, and their size.
COLUMNS, ROWS, WIDTH, HEIGHT = 4, 2, 320, 360

#: Amplitude of a face's sway in pixels, and its period in frames.
SWAY, PERIOD = 14, 50

STAGES = ("detect", "track", "segment", "draw", "encode")


def tiled(faces: int, count: int) -> Iterator[Image]:
    """Draw ``count`` frames with ``faces`` faces, each (720, 1280, 3) uint8 BGR."""
    photo = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
    coffee = np.ascontiguousarray(skimage.data.coffee()[:, :356, ::-1])
    empty = cv2.resize(coffee, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    for i in range(count):
        tiles = []
        for tile in range(COLUMNS * ROWS):
            x = 40 + round(SWAY * math.sin(2 * math.pi * (i / PERIOD + tile / 5)))
            part = cv2.resize(
                photo[:432, x : x + 384], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA
            )
            tiles.append(part if tile < faces else empty)
        rows = [np.hstack(tiles[r * COLUMNS : (r + 1) * COLUMNS]) for r in range(ROWS)]
        yield np.ascontiguousarray(np.vstack(rows))


def write(path: Path, frames: Iterator[Image]) -> Path:
    """Encode frames at 25 a second."""
    size = f"{COLUMNS * WIDTH}x{ROWS * HEIGHT}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo"]
    command += ["-pix_fmt", "bgr24", "-s", size, "-r", "25", "-i", "pipe:0"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for frame in frames:
            process.stdin.write(frame.tobytes())
    if process.returncode:
        raise SystemExit(f"{path}: ffmpeg failed")
    return path


def one_run(clip: Path, out: Path | None) -> dict[str, Any]:
    """Run a clip with default settings; times in milliseconds a frame."""
    registry = Registry()
    detector, segmenter = registry.build("detector", "mtcnn"), registry.build("segmenter", "pspnet")
    sinks = [] if out is None else [registry.build("sink", "mp4", path=out, overwrite=True)]
    processor = Processor(registry.open_source(str(clip)), detector, segmenter, sinks)
    start = time.perf_counter()
    totals = processor.run()
    seconds = time.perf_counter() - start  # with the finishing of the file, unlike the totals'
    return {
        "faces_a_frame": round(totals.faces / totals.frames, 3),
        "ms_a_frame": round(1000 * seconds / totals.frames, 3),
        "fps": round(totals.frames / seconds, 2),
        "stages_ms": {k: round(totals.stages[k] / totals.frames, 3) for k in STAGES},
    }


def by_faces(count: int, folder: Path) -> list[dict[str, Any]]:
    """Measure each number of faces."""
    found = []
    for faces in FACES:
        clip = write(folder / f"{faces}.mp4", tiled(faces, count))
        found.append(
            {
                "faces": faces,
                "without_encoding": one_run(clip, None),
                "mp4": one_run(clip, folder / "out.mp4"),
            }
        )
    return found


def by_jobs(clip: Path, copies: int, folder: Path) -> list[dict[str, Any]]:
    """Measure ``facereg batch`` over copies of a clip."""
    sources = [folder / f"copy{i}{clip.suffix}" for i in range(copies)]
    for source in sources:
        shutil.copy(clip, source)
    found = []
    for jobs in JOBS:
        command = [sys.executable, "-m", "facereg", "batch", *map(str, sources), "--json"]
        command += ["-o", str(folder / f"jobs{jobs}"), "--jobs", str(jobs), "--quiet"]
        totals = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        found.append(
            {
                "jobs": jobs,
                "frames": totals["frames"],
                "seconds": totals["seconds"],
                "fps": round(totals["frames"] / totals["seconds"], 2),
            }
        )
    return found


def plot(found: dict[str, Any], path: Path) -> None:
    """Plot both."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    places = range(len(found["faces"]))
    bottom = np.zeros(len(found["faces"]))
    for stage in STAGES:
        heights = [one["mp4"]["stages_ms"][stage] for one in found["faces"]]
        left.bar(places, heights, 0.55, bottom=bottom, label=stage)
        bottom += heights
    for name, mark in (("mp4", "o"), ("without_encoding", "s")):
        times = [one[name]["ms_a_frame"] for one in found["faces"]]
        label = f"whole, {name.replace('_', ' ')}"
        left.plot(places, times, f"k{mark}-", markersize=4, linewidth=1, label=label)
    left.set_xticks(places, [str(one["faces"]) for one in found["faces"]])
    left.set_xlabel("faces in a 1280 x 720 frame")
    left.set_ylabel("ms a frame")
    left.legend(fontsize=8)
    bars = right.bar([str(one["jobs"]) for one in found["jobs"]], [o["fps"] for o in found["jobs"]])
    right.bar_label(bars, fmt="%.1f", fontsize=8)
    right.set_xlabel("jobs of facereg batch")
    right.set_ylabel("frames/s in all")
    figure.suptitle(f"{found['cores']} cores", fontsize=10)
    figure.savefig(path, dpi=120)


def show(found: dict[str, Any]) -> None:
    """Print both tables."""
    names = ("faces", "found", *STAGES, "ms, MP4", "fps, MP4", "ms, none", "fps, none")
    print("".join(f"{name:>11}" for name in names))
    for one in found["faces"]:
        mp4, none = one["mp4"], one["without_encoding"]
        stages = [mp4["stages_ms"][stage] for stage in STAGES]
        whole = [mp4["ms_a_frame"], mp4["fps"], none["ms_a_frame"], none["fps"]]
        cells = [mp4["faces_a_frame"], *stages, *whole]
        print(f"{one['faces']:>11}" + "".join(f"{cell:>11.2f}" for cell in cells))
    print()
    for one in found["jobs"]:
        print(
            f"{one['jobs']} jobs: {one['frames']} frames in {one['seconds']:.1f} s, {one['fps']}/s"
        )


def main() -> None:
    """Measure, draw and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--frames", type=int, default=100, help="of each tiled clip (%(default)s)")
    parser.add_argument("--clip", type=Path, help="what the jobs run on (default: the example)")
    parser.add_argument("--copies", type=int, default=4, help="of it (%(default)s)")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="PNG",
        default=Path(__file__).with_name("scaling.png"),
        help="where to draw (default: scaling.png beside this script)",
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        faces = by_faces(args.frames, folder)
        jobs = by_jobs(args.clip or example(), args.copies, folder)
    found = {"cores": os.cpu_count(), "frames": args.frames, "faces": faces, "jobs": jobs}
    plot(found, args.plot)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
