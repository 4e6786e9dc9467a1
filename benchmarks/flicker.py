"""Measure how much label maps flicker: labels that change where the picture does not.

    python benchmarks/flicker.py [CLIP ...] [--frames N] [--json]

The script runs three times over the same frames: *raw* (the detector in every frame, each frame
parsed on its own), *tracked* (default tracking, masks not smoothed) and *default*.

Dense optical flow (DIS) carries each frame's labels to the next one. Flicker is the share of the
face pixels whose label the flow does not explain. If the flow points between pixels, it explains
the labels of all pixels around that place: a border that moves by a fifth of a pixel a frame has to
step over a whole pixel in every fifth frame. ``nearest`` is stricter: the label must be that of the
nearest pixel. ``beyond a pixel`` is laxer: it may be that of any neighbour.

Only pixels are judged whose forward and backward flow agree and that the crops of both frames show.
The lower edge of a crop lies in the clothing and moves with the head: ``edge`` is the share of the
face pixels that appear and disappear with it.

A pair of frames counts if every run has the same number of faces in both. The speed of a face is
the median flow in it, in sides of the face a frame. The agreement of a run with raw is the F1 over
all pixels, averaged over the classes that occur, in frames with fast motion and in the others.
``common`` leaves out classes with less than a thousandth of raw's face pixels, whose F1 is chance.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facereg.models import example, find_model
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings
from facereg.plugins.pspnet.crops import LIFT, crop_matrix
from facereg.plugins.pspnet.framing import MAX_LIFT
from facereg.registry.registry import Registry
from facereg.training.metrics import Confusion
from facereg.types import Face, FrameResult, Labels

Flow = NDArray[np.float32]

#: Pixels by which forward and backward flow may disagree, plus this share of their lengths.
AGREE, AGREE_SHARE = 0.5, 0.05
#: A place closer to a pixel than this is taken for that pixel.
AT = 0.1
#: Side in pixels at which the area of a crop is computed, and the share of it that is judged: the
#: outermost pixels of a crop are only half visible.
SIDE, WITHIN = 256, 0.98
#: Minimum share of raw's face pixels of a common class.
COMMON = 0.001

RUNS = ("raw", "tracked", "default")


@dataclass
class Tally:
    """Counts of a run.

    Attributes:
        changed, near, far: judged pixels with another label than the flow explains, than the
            nearest pixel's, and than any of those beside it.
        edge: face pixels that only one of the two crops shows.
        judged: face pixels with consistent flow, in both crops.
        confusion: against raw, in frames with fast motion (True) and in the others.
    """

    changed: int = 0
    near: int = 0
    far: int = 0
    edge: int = 0
    judged: int = 0
    confusion: dict[bool, Confusion] = field(default_factory=lambda: defaultdict(Confusion))


def raw(registry: Registry, clip: str, args: argparse.Namespace) -> Iterator[FrameResult]:
    """Parse every frame on its own."""
    with (
        closing(registry.open_source(clip)) as source,
        closing(registry.build("detector", args.detector)) as detector,
        closing(registry.build("segmenter", args.segmenter, smooth=False)) as segmenter,
    ):
        for frame in source.frames():
            # A face with a number is one of a video: it is parsed as there, once (tta=auto).
            found = [replace(face, track=1) for face in detector.detect(frame)]
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
    """Dense flow between two frames, in both directions.

    Args:
        before, after: (H, W, 3) uint8 BGR.

    Attributes:
        place: (H, W, 2) float32 x, y in the frame before of each pixel after.
        known: (H, W) bool, where both flows agree and the place is inside the frame.
        length: (H, W) float32, pixels moved.
    """

    def __init__(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
        one, two = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (before, after))
        flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        back: Flow = flow.calc(two, one, None)
        forth: Flow = flow.calc(one, two, None)
        height, width = one.shape
        grid = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
        self.place = grid + back
        there = self._at(forth, self.place, cv2.INTER_LINEAR)
        self.length = np.linalg.norm(back, axis=2)
        apart = np.linalg.norm(back + there, axis=2)
        inside = (self.place >= 0).all(2) & (self.place <= (width - 1, height - 1)).all(2)
        self.known = inside & (apart <= AGREE + AGREE_SHARE * self.length)

    def bring(self, labels: Labels) -> Labels:
        """Carry label maps, (H, W) uint8, along the flow."""
        return np.asarray(self._at(labels, self.place, cv2.INTER_NEAREST), np.uint8)

    @staticmethod
    def _at(values: NDArray[Any], place: Flow, between: int) -> NDArray[Any]:
        return np.asarray(cv2.remap(values, place[:, :, 0], place[:, :, 1], between))

    def explains(self, before: Labels, after: Labels) -> NDArray[np.bool_]:
        """Return (H, W) bool: whether a pixel around the place has the label of ``after``."""
        low, high = np.floor(self.place + AT), np.ceil(self.place - AT)
        explained = np.zeros(after.shape, bool)
        for x, y in itertools.product((low, high), repeat=2):
            corner = np.dstack([x[:, :, 0], y[:, :, 1]])
            explained |= self._at(before, corner, cv2.INTER_NEAREST) == after
        return explained


def shown(result: FrameResult, scale: float) -> Labels:
    """Return (H, W): 1 where a frame's crops show the frame, however high they are placed.

    Args:
        scale: side of the crop over the mean side of the face's box.
    """
    size = (result.frame.width, result.frame.height)
    area = np.zeros(size[::-1], np.uint8)
    for face in result.faces:
        low, high = (
            cv2.warpAffine(
                np.ones((SIDE, SIDE), np.uint8),
                crop_matrix(face.detection, WITHIN * scale, SIDE, lift),
                size,
                flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            )
            for lift in (LIFT, MAX_LIFT)
        )
        area |= low & high
    return area


def count(tally: Tally, motion: Motion, maps: Sequence[Labels], areas: Sequence[Labels]) -> None:
    """Add one pair of frames: their label maps and the areas of their crops."""
    before, after = maps
    brought = motion.bring(before)
    known = motion.known & ((brought != 0) | (after != 0))
    crops = motion.bring(areas[0]) + areas[1]
    judged = known & (crops == 2)
    changed = judged & (brought != after)
    beside = np.zeros_like(changed)
    for dy, dx in itertools.product((-1, 0, 1), repeat=2):
        beside |= motion.bring(np.roll(before, (dy, dx), (0, 1))) == after
    tally.judged += int(judged.sum())
    tally.near += int(changed.sum())
    tally.changed += int((changed & ~motion.explains(before, after)).sum())
    tally.far += int((changed & ~beside).sum())
    tally.edge += int((known & (crops == 1) & (brought != after)).sum())


def speed(motion: Motion, result: FrameResult) -> float:
    """Measure the speed of the fastest face, in sides of its box a frame."""
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
    runs: tuple[Any, ...] = (
        raw(registry, clip, args),
        tracked(registry, clip, args, smooth=False),
        tracked(registry, clip, args, smooth=True),
    )
    tallies = {name: Tally() for name in RUNS}
    pairs = left_out = fast_frames = frames = 0
    last: tuple[tuple[FrameResult, ...], list[Labels], list[Labels]] | None = None
    for results in itertools.islice(zip(*runs, strict=True), args.frames):
        frames += 1
        maps = [result.labels() for result in results]
        areas = [shown(result, args.crop_scale) for result in results]
        if last is not None:
            motion = Motion(last[0][0].frame.image, results[0].frame.image)
            fast = speed(motion, results[0]) >= args.fast
            fast_frames += fast
            same = all(len(a.faces) == len(b.faces) for a, b in zip(last[0], results, strict=True))
            if same and results[0].faces:
                pairs += 1
                for i, tally in enumerate(tallies.values()):
                    count(tally, motion, (last[1][i], maps[i]), (last[2][i], areas[i]))
                    tally.confusion[fast].add(maps[0], maps[i])
            left_out += not same
        last = results, maps, areas
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


def agreement(confusion: Confusion, least: float) -> float | None:
    """Average F1 over the classes that take at least this share of the true face pixels."""
    of_class = confusion.counts[1:].sum(1)
    f1 = confusion.f1()[1:][of_class >= least * max(1, of_class.sum())]
    known = f1[~np.isnan(f1)]
    return float(known.mean()) if of_class.any() and known.size else None


def summary(tally: Tally) -> dict[str, float | None]:
    """Turn the counts into shares."""
    counts = {"flicker": tally.changed, "nearest": tally.near, "beyond_a_pixel": tally.far}
    judged = max(1, tally.judged)
    fast, calm = tally.confusion[True], tally.confusion[False]
    return {
        **{name: round(count / judged, 6) for name, count in counts.items()},
        "edge": round(tally.edge / max(1, tally.judged + tally.edge), 6),
        "f1_with_raw_fast": agreement(fast, 0),
        "f1_with_raw_calm": agreement(calm, 0),
        "f1_with_raw_fast_common": agreement(fast, COMMON),
        "f1_with_raw_calm_common": agreement(calm, COMMON),
    }


def show(found: dict[str, Any]) -> None:
    """Print the table of a clip."""
    print(
        f"{found['clip']}: {found['frames']} frames, {found['pairs']} pairs judged, "
        f"{found['left_out']} left out as faces came or went, "
        f"{found['fast_frames']} with fast motion"
    )
    shares = {"flicker": "flicker", "nearest": "nearest", "beyond_a_pixel": ">1 pixel"}
    scores = ("fast", "calm", "fast_common", "calm_common")
    head = "".join(f"{title:>10}{'of raw':>8}" for title in shares.values())
    print(f"{'':12}{head}{'edge':>9}{'F1 fast':>9}{'calm':>8}{'common:':>9}{'calm':>8}")
    base = found["raw"]
    for name in RUNS:
        run = found[name]
        cells = [
            f"{100 * run[key]:>9.3f}%{run[key] / base[key] if base[key] else 1:>8.2f}"
            for key in shares
        ]
        cells.append(f"{100 * run['edge']:>8.3f}%")
        values = [run[f"f1_with_raw_{score}"] for score in scores]
        cells += [
            f"{'-' if f1 is None else f'{f1:.4f}':>{w}}"
            for f1, w in zip(values, (9, 8, 9, 8), strict=True)
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
    parser.add_argument(
        "--crop-scale",
        type=float,
        default=float(find_model("base").card["crop_scale"]),
        metavar="X",
        help="side of the crop over the face's, of another segmenter (%(default)s)",
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
