"""Stand-ins for the ends of the pipeline, and artificial frames and results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from ..components import Detector, Run, Sink, Source
from ..regions import IDS
from ..types import Box, Detection, Face, Frame, FrameResult, Image, RegionMasks, SourceInfo


class MemorySource(Source):
    """Yields pictures from memory.

    Args:
        images: (H, W, 3) uint8 BGR, at least one.
        fps: frames a second.
        live: whether frames may be dropped.
    """

    name = "memory"

    def __init__(
        self, images: Sequence[Image], *, fps: Fraction | int = 25, live: bool = False
    ) -> None:
        self._images, self._rate = list(images), Fraction(fps)
        height, width = self._images[0].shape[:2]
        count = None if live else len(self._images)
        self.info = SourceInfo("memory", width, height, self._rate, live, count)
        self.closed = False

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures, at the source's rate."""
        for i, image in enumerate(self._images):
            yield Frame(image.copy(), i, float(i / self._rate))

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class ScriptedDetector(Detector):
    """Returns prepared answers.

    Args:
        script: the answer for each frame, by its index, or an exception to raise. Frames that are
            not in it have no face.
    """

    name = "scripted"

    def __init__(self, script: Mapping[int, Sequence[Detection] | Exception]) -> None:
        self._script = dict(script)
        self.asked: list[int] = []
        self.closed = False

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Answer by the frame's index."""
        self.asked.append(frame.index)
        answer = self._script.get(frame.index, ())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class RecordingSink(Sink):
    """Keeps what it is given: ``info``, ``run`` and ``results``; and ``ticks`` and ``closed``."""

    name = "recording"

    def __init__(self) -> None:
        self.info: SourceInfo | None = None
        self.run: Run | None = None
        self.results: list[FrameResult] = []
        self.ticks = 0
        self.closed = False

    def open(self, info: SourceInfo, run: Run) -> None:
        """Keep what is known about the source and the run."""
        self.info, self.run = info, run

    def write(self, result: FrameResult) -> None:
        """Keep the result."""
        self.results.append(result)

    def tick(self) -> None:
        """Count."""
        self.ticks += 1

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def noise(height: int, width: int, seed: int = 0) -> Image:
    """Make a picture of noise, (H, W, 3) uint8; the same for the same seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(pixels, np.uint8)


def some_result(index: int, width: int = 64, height: int = 48) -> FrameResult:
    """Make a result with one face, at 25 frames a second; every third has none."""
    frame = Frame(noise(height, width, index), index, index / 25)
    if index % 3 == 2:
        return FrameResult(frame)
    box = Box(width // 4, height // 4, 3 * width // 4, 3 * height // 4)
    labels = np.full((box.height, box.width), IDS["skin"], np.uint8)
    labels[-4:-2, 4:-4] = IDS["lower_lip"]
    face = Face(1, Detection(box, 0.9, track=1), RegionMasks(box, labels))
    return FrameResult(frame, (face,))
