"""Compare tracked faces with those that the detector finds in every frame.

    python benchmarks/tracking.py [CLIP ...] [--every 1 3 5 10] [--frames N] [--json] [--sheet PNG]

*detector* is the detector in every frame, without tracking: what it finds is the reference. Each
other row is ``facereg run --detect-every N``.

kept        share of the detector's faces that are tracked in the same frame, at an IoU above 0.3
false       share of the tracked faces that the detector does not find there within 5 frames
with face   frames with at least one face
ids         numbers given; ideally as many as there are people
detections  frames in which the detector ran

A wrong detection counts against a correct track: ``--sheet`` draws every face of the last clip that
the last interval did not keep, and below them every false one, to be judged by eye.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facereg.components import Detector
from facereg.models import example
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings
from facereg.registry.registry import Registry
from facereg.types import Box, Detection, Frame, Image

#: Minimum IoU of two boxes of one face, and frames within which it counts as found.
SAME_IOU, WITHIN_FRAMES = 0.3, 5

#: Side in pixels of a face on the sheet, and faces in one of its rows.
SIDE, COLUMNS = 120, 10

Boxes = list[list[Box]]


class Counted(Detector):
    """Counts how often a detector is asked."""

    name = "counted"

    def __init__(self, detector: Detector) -> None:
        self._detector, self.asked = detector, 0

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Ask it."""
        self.asked += 1
        return self._detector.detect(frame)

    def close(self) -> None:
        """Close it."""
        self._detector.close()


def detected(registry: Registry, clip: str, args: argparse.Namespace) -> Boxes:
    """Find the faces of every frame by itself."""
    with (
        closing(registry.open_source(clip)) as source,
        closing(registry.build("detector", args.detector)) as detector,
    ):
        frames = itertools.islice(source.frames(), args.frames)
        return [[found.box for found in detector.detect(frame)] for frame in frames]


def followed(
    registry: Registry, clip: str, every: int, args: argparse.Namespace
) -> tuple[Boxes, set[int], int]:
    """Follow the faces; return the boxes of every frame, the ids, and how often it looked."""
    detector = Counted(registry.build("detector", args.detector))
    segmenter = registry.build("segmenter", args.segmenter)
    source = registry.open_source(clip)
    boxes: Boxes = []
    ids: set[int] = set()
    results = Processor(source, detector, segmenter, (), Settings(detect_every=every)).results()
    for result in itertools.islice(results, args.frames):
        boxes.append([face.detection.box for face in result.faces])
        ids |= {face.id for face in result.faces}
    results.close()
    return boxes, ids, detector.asked


def alone_in(these: Boxes, those: Boxes, within: int) -> Boxes:
    """Return the boxes that have no counterpart within a number of frames."""
    left = []
    for i, boxes in enumerate(these):
        near = list(itertools.chain.from_iterable(those[max(0, i - within) : i + within + 1]))
        left.append([box for box in boxes if all(box.iou(other) <= SAME_IOU for other in near)])
    return left


def overlap(these: Boxes, those: Boxes) -> float:
    """Return the mean IoU of boxes with the nearest of the same frame."""
    nearest = [
        max(box.iou(other) for other in others)
        for boxes, others in zip(these, those, strict=True)
        for box in boxes
        if others
    ]
    same = [iou for iou in nearest if iou > SAME_IOU]
    return sum(same) / max(1, len(same))


def pictures(registry: Registry, clip: str, boxes: Boxes) -> list[Image]:
    """Cut boxes out of a clip, with as much around each, and with its frame's number."""
    cut = []
    with closing(registry.open_source(clip)) as source:
        for frame, faces in zip(source.frames(), boxes, strict=False):
            for box in faces:
                side = 2 * max(box.width, box.height)
                middle = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
                part = cv2.getRectSubPix(frame.image, (side, side), middle)
                part = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
                yellow = (0, 255, 255)
                cv2.putText(part, str(frame.index), (3, 14), cv2.FONT_HERSHEY_PLAIN, 1, yellow)
                cut.append(np.asarray(part, np.uint8))
    return cut


def sheet(rows: Sequence[list[Image]]) -> Image:
    """Lay pictures out, each group in rows of its own."""
    lines = []
    for group in rows:
        for i in range(0, len(group), COLUMNS):
            line = np.zeros((SIDE, COLUMNS * SIDE, 3), np.uint8)
            some = np.hstack(group[i : i + COLUMNS])
            line[:, : some.shape[1]] = some
            lines.append(line)
    return np.vstack(lines or [np.zeros((SIDE, COLUMNS * SIDE, 3), np.uint8)])


def describe(boxes: Boxes) -> dict[str, Any]:
    """Count the faces of a run."""
    faces = sum(map(len, boxes))
    return {
        "face_frames": faces,
        "faces_a_frame": round(faces / max(1, len(boxes)), 3),
        "frames_with_a_face": sum(map(bool, boxes)),
    }


def measure(clip: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run a clip without tracking, and with it at every interval."""
    registry = Registry()
    alone = detected(registry, clip, args)
    runs: dict[str, dict[str, Any]] = {"detector": {**describe(alone), "detections": len(alone)}}
    for every in args.every:
        boxes, ids, asked = followed(registry, clip, every, args)
        faces, of_all = sum(map(len, boxes)), sum(map(len, alone))
        missed, wrong = alone_in(alone, boxes, 0), alone_in(boxes, alone, WITHIN_FRAMES)
        false = sum(map(len, wrong))
        runs[f"every {every}"] = {
            **describe(boxes),
            "detections": asked,
            "kept": round(1 - sum(map(len, missed)) / max(1, of_all), 5),
            "false": round(false / max(1, faces), 5),
            "false_face_frames": false,
            "iou": round(overlap(alone, boxes), 4),
            "ids": len(ids),
        }
    if args.sheet:
        drawn = sheet([pictures(registry, clip, boxes) for boxes in (missed, wrong)])
        cv2.imwrite(str(args.sheet), drawn)
    return {"clip": clip, "frames": len(alone), "runs": runs}


def show(found: dict[str, Any]) -> None:
    """Print the table of a clip."""
    print(f"{found['clip']}: {found['frames']} frames")
    names = ("faces", "with face", "detections", "kept", "false", "ids", "iou")
    print(f"  {'':<10}" + "".join(f"{name:>12}" for name in names))
    for name, run in found["runs"].items():
        cells = [f"{run[key]:>12}" for key in ("face_frames", "frames_with_a_face", "detections")]
        if "kept" in run:
            cells += [f"{100 * run[key]:>11.2f}%" for key in ("kept", "false")]
            cells.append(f"{run['ids']:>12}{run['iou']:>12.3f}")
        print(f"  {name:<10}{''.join(cells)}")


def main() -> None:
    """Measure every clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", nargs="*", metavar="CLIP", help="videos (default: the example)")
    parser.add_argument("-d", "--detector", default="mtcnn")
    parser.add_argument("-s", "--segmenter", default="pspnet")
    parser.add_argument("--every", type=int, nargs="+", default=[1, 3, 5, 10], metavar="N")
    parser.add_argument("--frames", type=int, help="frames of each clip at most")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw what is missed and false")
    args = parser.parse_args()
    found = [measure(clip, args) for clip in args.clips or [str(example())]]
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        for one in found:
            show(one)


if __name__ == "__main__":
    main()
