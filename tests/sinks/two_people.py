"""A plugin: a camera that films two people standing still, and components that know their places.

The camera shows the astronaut beside her mirror image, 640x480, 25 frames a second, and the number
of the frame as black and white blocks in its lowest rows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from facereg import (
    Box,
    Detection,
    Detector,
    Face,
    Frame,
    FrameResult,
    RegionMasks,
    Segmenter,
    Source,
    SourceInfo,
    hookimpl,
)
from facereg.regions import IDS
from facereg.types import Image
from tests import clips

#: Rows that are the same in every frame.
STILL = 448

FACES = (Box(113, 66, 207, 186), Box(433, 66, 527, 186))

#: Where the regions are, as shares of a face's box: center, half size.
PARTS = {
    "skin": (0.5, 0.5, 0.5, 0.5),
    "hair": (0.5, 0.1, 0.4, 0.1),
    "left_eyebrow": (0.7, 0.3, 0.12, 0.03),
    "right_eyebrow": (0.3, 0.3, 0.12, 0.03),
    "left_eyelid": (0.7, 0.38, 0.12, 0.06),
    "right_eyelid": (0.3, 0.38, 0.12, 0.06),
    "left_eye": (0.7, 0.4, 0.1, 0.04),
    "right_eye": (0.3, 0.4, 0.1, 0.04),
    "glasses": (0.5, 0.4, 0.06, 0.02),
    "nose": (0.5, 0.57, 0.1, 0.1),
    "upper_lip": (0.5, 0.74, 0.2, 0.04),
    "mouth_interior": (0.5, 0.8, 0.15, 0.03),
    "lower_lip": (0.5, 0.86, 0.2, 0.04),
    "left_ear": (0.95, 0.5, 0.05, 0.1),
    "right_ear": (0.05, 0.5, 0.05, 0.1),
}


def picture(index: int = 0) -> Image:
    """Draw a frame."""
    half = clips.astronaut()[:480, 63:383]
    image = np.hstack([half, half[:, ::-1]])
    image[STILL:] = cv2.resize(clips.numbered(index % 256 + 1)[-1], (640, 480))[STILL:]
    return np.ascontiguousarray(image)


def regions(box: Box) -> RegionMasks:
    """Draw the label map of one face."""
    labels = np.zeros((box.height, box.width), np.uint8)
    for name, (x, y, w, h) in PARTS.items():
        center = (round(x * box.width), round(y * box.height))
        axes = (round(w * box.width), round(h * box.height))
        cv2.ellipse(labels, center, axes, 0, 0, 360, IDS[name], -1)
    return RegionMasks(box, labels)


def result() -> FrameResult:
    """Say what a run on this camera gives for its first frame."""
    faces = (Face(i, Detection(box, 0.9), regions(box)) for i, box in enumerate(FACES, start=1))
    return FrameResult(Frame(picture()), tuple(faces))


def start(
    folder: Path, *args: str, source: str = "people:x", environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start ``facereg run`` on the two people, in a folder, with these variables set."""
    command = [sys.executable, "-m", "facereg", "run", source, "--plugin", __file__]
    command += ["-d", "knows", "-s", "knows", "--json", "--quiet", *args]
    everything = {**os.environ, **environment, "PYTHONPATH": str(Path(__file__).parents[2])}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=everything, stdout=pipe, stderr=pipe, text=True
    )


def looks_like(expected: Image) -> Callable[[Image], bool]:
    """Return a test whether a screenshot shows a picture, apart from its moving rows."""

    def test(shot: Image) -> bool:
        if shot.shape[0] < STILL or shot.shape[1] < 640:
            return False
        part = shot[:STILL, :640].astype(int)
        return bool(np.abs(part - expected[:STILL]).mean() < 0.5)

    return test


class TwoPeople(Source):
    """The camera."""

    name = "people"

    def __init__(self, spec: str, *, live: bool = True, count: int = 10_000) -> None:
        self.info = SourceInfo("people", 640, 480, Fraction(25), live=live)
        self._count, self._live = count, live
        self._over = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """Yield 25 frames a second; as fast as possible if it is not live."""
        still, start = picture(), time.monotonic()
        for i in range(self._count):
            if self._over.wait(max(0.0, start + i / 25 - time.monotonic()) if self._live else 0):
                return
            image = still.copy()
            image[STILL:] = picture(i)[STILL:]
            yield Frame(image, i, time.monotonic() if self._live else i / 25)

    def stop(self) -> None:
        """End."""
        self._over.set()


class Knows(Detector):
    """Finds the two people."""

    name = "knows"

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Return their boxes."""
        return [Detection(box, 0.9) for box in FACES]


class KnowsRegions(Segmenter):
    """Parses the two people."""

    name = "knows"

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        """Return their regions."""
        return [regions(d.box) for d in detections]


@hookimpl
def register_sources() -> tuple[type[Source], ...]:
    """Register the camera."""
    return (TwoPeople,)


@hookimpl
def register_detectors() -> tuple[type[Detector], ...]:
    """Register the detector."""
    return (Knows,)


@hookimpl
def register_segmenters() -> tuple[type[Segmenter], ...]:
    """Register the segmenter."""
    return (KnowsRegions,)
