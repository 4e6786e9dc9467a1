"""Drawn faces, and stand-ins for the detector and the segmenter that see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from facereg import Box, Detection, Face, Frame, RegionMasks
from facereg.regions import IDS
from facereg.tracking.tracker import Tracker

WIDTH, HEIGHT = 320, 240
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def frame(index: int, *, scene: int = 0) -> Frame:
    return Frame(NOISE // 2 + 100 * scene, index, index / 25)


def found(x: float, y: float, side: int = 60, score: float = 0.9) -> Detection:
    return Detection(Box(round(x), round(y), round(x) + side, round(y) + side), score)


def mask(x: float, y: float, side: int = 60) -> RegionMasks:
    """A drawn face that fills its box: skin, two eyes, a nose, a mouth."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    centre = (round(x + side / 2), round(y + side / 2))
    cv2.ellipse(labels, centre, (side // 2, side // 2), 0, 0, 360, IDS["skin"], -1)
    for dx, dy, name in ((-12, -8, "right_eye"), (12, -8, "left_eye"), (0, 4, "nose")):
        cv2.circle(labels, (centre[0] + dx, centre[1] + dy), 4, IDS[name], -1)
    cv2.circle(labels, (centre[0], centre[1] + 18), 5, IDS["lower_lip"], -1)
    return RegionMasks(Box(0, 0, WIDTH, HEIGHT), labels)


def bowed(x: float, y: float, side: int = 60) -> RegionMasks:
    """Somebody looks down: skin and the tip of a nose."""
    down = mask(x, y, side).labels
    down[~np.isin(down, (0, IDS["nose"]))] = IDS["skin"]
    return RegionMasks(Box(0, 0, WIDTH, HEIGHT), down)


def wall() -> RegionMasks:
    return RegionMasks(Box(0, 0, WIDTH, HEIGHT), np.zeros((HEIGHT, WIDTH), np.uint8))


class Watched:
    """Follows made-up faces, and remembers what the tracker asked for.

    Args:
        tracker: what follows them.
        detect: what the detector finds in a frame, by its index.
        mask: the mask of a detection in a frame, by its index.

    Attributes:
        detected, prefetched, peeked: indices of frames that the detector was asked about.
        segmented: the detections of every call of the segmenter.
        forgotten: tracks that the segmenter was told have ended.
    """

    def __init__(
        self,
        tracker: Tracker,
        detect: Callable[[int], Sequence[Detection]],
        mask: Callable[[int, Detection], RegionMasks],
    ) -> None:
        self.tracker, self.detect, self.mask = tracker, detect, mask
        self.detected: list[int] = []
        self.prefetched: list[int] = []
        self.peeked: list[int] = []
        self.segmented: list[tuple[Detection, ...]] = []
        self.forgotten: list[int] = []

    def prefetch(self, frame: Frame) -> None:
        self.prefetched.append(frame.index)

    def peek(self, frame: Frame) -> Sequence[Detection]:
        self.peeked.append(frame.index)
        return self.detect(frame.index)

    def result(self, frame: Frame) -> Sequence[Detection]:
        self.detected.append(frame.index)
        return self.detect(frame.index)

    def faces(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[Face]:
        self.segmented.append(tuple(detections))
        return [Face(d.track or 0, d, self.mask(frame.index, d)) for d in detections]

    def forget(self, track: int) -> None:
        self.forgotten.append(track)

    def follow(self, at: Frame | int, coming: Sequence[Frame] = ()) -> tuple[Face, ...]:
        """Follow the faces of a frame, or of a frame of the first scene by its index."""
        at = frame(at) if isinstance(at, int) else at
        return self.tracker.follow(at, coming, self, self)

    def follow_ids(self, frames: Sequence[Frame | int]) -> list[list[int]]:
        """Follow the faces of several frames; return the numbers of those of each."""
        return [[face.id for face in self.follow(at)] for at in frames]
