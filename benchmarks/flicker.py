"""Measure how much label maps flicker: labels that change where the picture does not.

    python benchmarks/flicker.py [CLIP ...] [--frames N] [--json]

Three runs over the same frames: *raw* (the detector in every frame, its boxes as they are, each
frame parsed by itself), *tracked* (default tracking, masks not smoothed) and *default*.

Dense optical flow (DIS) brings each frame's labels to the next one. Only pixels whose forward and
backward flow agree are judged; flicker is the share of the face pixels among them whose label is
another one than what the flow brought. ``beyond a pixel`` counts only those whose label was not
even beside the place that the flow points to, which forgives the flow its rounding.

A pair of frames counts where every run has as many faces in the one as in the other. How fast a
face moves is the median flow in it, in sides of the face a frame; the agreement of a run with raw
is the F1 over all pixels, averaged over the classes that occur, of the frames with fast motion and
of the others.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facereg.commands.bench import example
from facereg.processor import Processor, Settings
from facereg.registry import Registry
from facereg.training.scores import Confusion
from facereg.types import Face, FrameResult, Labels

Flow = NDArray[np.float32]

#: Pixels by which forward and backward flow may disagree, beside this share of their lengths.
AGREE, AGREE_SHARE = 0.5, 0.05

RUNS = ("raw", "tracked", "default")


@dataclass
class Tally:
    """What is counted of a run.

    Attributes:
        changed, far: pixels whose label changed, and changed beyond a pixel.
        judged: face pixels with consistent flow.
        confusion: against raw, in frames with fast motion (True) and in the others.
    """

    changed: int = 0
    far: int = 0
    judged: int = 0
    confusion: dict[bool, Confusion] = field(default_factory=lambda: defaultdict(Confusion))


def raw(registry: Registry, clip: str, args: argparse.Namespace) -> Iterator[FrameResult]:
    """Parse every frame by itself."""
    with (
        closing(registry.open_source(clip)) as source,
        closing(registry.build("detector", args.detector)) as detector,
        closing(registry.build("segmenter", args.segmenter, smooth=False)) as segmenter,
    ):
        for frame in source.frames():
            found = detector.detect(frame)
            regions = segmenter.segment(frame, found)
            pairs = enumerate(zip(found, regions, strict=True), start=1)
            yield FrameResult(frame, tuple(Face(i, d, r) for i, (d, r) in pairs))


def tracked(
    registry: Registry, clip: str, args: argparse.Namespace, *, smooth: bool
) -> Iterator[FrameResult]:
    """Parse as ``facereg run`` does."""
    detector = registry.build("detector", args.detector)
    segmenter = registry.build("segmenter", args.segmenter, smooth=smooth)
    return Processor(registry.open_source(clip), detector, segmenter, (), Settings()).results()


class Motion:
    """Dense flow between two frames, both ways.

    Args:
        before, after: (H, W, 3) uint8 BGR.

    Attributes:
        place: (H, W, 2) float32 x, y in the frame before of each pixel after.
        known: (H, W) bool, where both flows agree and the place is inside the frame.
        length: (H, W) float32, pixels moved.
    """

    def __init__(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
        one, two = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (before, after))
        flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        back: Flow = flow.calc(two, one, None)
        forth: Flow = flow.calc(one, two, None)
        height, width = one.shape
        grid = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
        self.place = grid + back
        there = cv2.remap(forth, self.place, None, cv2.INTER_LINEAR)
        self.length = np.linalg.norm(back, axis=2)
        apart = np.linalg.norm(back + there, axis=2)
        inside = (self.place >= 0).all(2) & (self.place <= (width - 1, height - 1)).all(2)
        self.known = inside & (apart <= AGREE + AGREE_SHARE * self.length)

    def bring(self, labels: Labels) -> Labels:
        """Move label maps along, (H, W) uint8."""
        return np.asarray(cv2.remap(labels, self.place, None, cv2.INTER_NEAREST), np.uint8)


def count(tally: Tally, motion: Motion, before: Labels, after: Labels) -> None:
    """Add one pair of frames."""
    brought = motion.bring(before)
    judged = motion.known & ((brought != 0) | (after != 0))
    changed = judged & (brought != after)
    near = np.zeros_like(changed)
    for dy, dx in itertools.product((-1, 0, 1), repeat=2):
        near |= motion.bring(np.roll(before, (dy, dx), (0, 1))) == after
    tally.judged += int(judged.sum())
    tally.changed += int(changed.sum())
    tally.far += int((changed & ~near).sum())


def speed(motion: Motion, result: FrameResult) -> float:
    """Measure how fast the fastest face moves, in sides of its box a frame."""
    speeds = [0.0]
    for face in result.faces:
        box = face.detection.box.clip(result.frame.width, result.frame.height)
        if box.area:
            moved = float(np.median(motion.length[box.slices]))
            speeds.append(moved / max(1.0, (box.width + box.height) / 2))
    return max(speeds)


def measure(clip: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run a clip three ways at once, frame by frame."""
    registry = Registry()
    runs = (
        raw(registry, clip, args),
        tracked(registry, clip, args, smooth=False),
        tracked(registry, clip, args, smooth=True),
    )
    tallies = {name: Tally() for name in RUNS}
    pairs = left_out = fast_frames = frames = 0
    last: tuple[tuple[FrameResult, ...], list[Labels]] | None = None
    for results in itertools.islice(zip(*runs, strict=True), args.frames):
        frames += 1
        maps = [result.labels() for result in results]
        if last is not None:
            motion = Motion(last[0][0].frame.image, results[0].frame.image)
            fast = speed(motion, results[0]) >= args.fast
            fast_frames += fast
            same = all(len(a.faces) == len(b.faces) for a, b in zip(last[0], results, strict=True))
            if same and results[0].faces:
                pairs += 1
                for tally, one, two in zip(tallies.values(), last[1], maps, strict=True):
                    count(tally, motion, one, two)
                    tally.confusion[fast].add(maps[0], two)
            left_out += not same
        last = results, maps
    for run in runs:
        run.close()
    return {
        "clip": clip,
        "frames": frames,
        "pairs": pairs,
        "left_out": left_out,
        "fast_frames": fast_frames,
        **{name: summary(tally) for name, tally in tallies.items()},
    }


def summary(tally: Tally) -> dict[str, float | None]:
    """Turn counts into shares."""

    def agreement(fast: bool) -> float | None:
        counted = tally.confusion[fast]
        return float(counted.summary()["mean_f1"]) if counted.counts[1:].any() else None

    judged = max(1, tally.judged)
    return {
        "flicker": round(tally.changed / judged, 6),
        "beyond_a_pixel": round(tally.far / judged, 6),
        "f1_with_raw_fast": agreement(True),
        "f1_with_raw_calm": agreement(False),
    }


def show(found: dict[str, Any]) -> None:
    """Print the table of a clip."""
    print(
        f"{found['clip']}: {found['frames']} frames, {found['pairs']} pairs judged, "
        f"{found['left_out']} left out as faces came or went, "
        f"{found['fast_frames']} with fast motion"
    )
    head = {"flicker": 19, "of raw": 8, ">1 pixel": 10, " of raw": 8, "F1 fast": 9, "calm": 8}
    print("".join(f"{name:>{width}}" for name, width in head.items()))
    base = found["raw"]
    for name in RUNS:
        run = found[name]
        cells = [
            f"{100 * run[key]:>{width}.3f}%{run[key] / base[key] if base[key] else 1:>8.2f}"
            for key, width in (("flicker", 8), ("beyond_a_pixel", 9))
        ]
        scores = [run["f1_with_raw_fast"], run["f1_with_raw_calm"]]
        cells += [
            f"{'-' if f1 is None else f'{f1:.4f}':>{w}}"
            for f1, w in zip(scores, (9, 8), strict=True)
        ]
        print(f"  {name:<10}{''.join(cells)}")


def main() -> None:
    """Measure every clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", nargs="*", metavar="CLIP", help="videos (default: the example)")
    parser.add_argument("-d", "--detector", default="mtcnn")
    parser.add_argument("-s", "--segmenter", default="pspnet")
    parser.add_argument("--frames", type=int, help="frames of each clip at most")
    parser.add_argument(
        "--fast", type=float, default=0.02, help="sides a frame that are fast (%(default)s)"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = [measure(clip, args) for clip in args.clips or [str(example())]]
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        for one in found:
            show(one)


if __name__ == "__main__":
    main()
