"""Results to feed sinks with, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facereg.components import Run, Sink
from facereg.types import Box, Detection, Face, Frame, FrameResult, RegionMasks, SourceInfo


def info(width: int = 160, height: int = 120, rate: str | None = "25", **more: Any) -> SourceInfo:
    return SourceInfo("clip.mp4", width, height, Fraction(rate) if rate else None, **more)


def face(number: int, box: Box, seed: int = 0) -> Face:
    """Make a face whose regions are a disc of skin with random specks, around its box."""
    labels = np.zeros((box.height + 6, box.width + 8), np.uint8)
    y, x = np.ogrid[: labels.shape[0], : labels.shape[1]]
    inside = (y - labels.shape[0] / 2) ** 2 + (x - labels.shape[1] / 2) ** 2 < (box.width / 2) ** 2
    labels[inside] = 1
    specks = np.random.default_rng(seed).integers(0, 21, labels.shape, np.uint8)
    labels[inside & (specks > 12)] = specks[inside & (specks > 12)]
    around = Box(box.x0 - 4, box.y0 - 3, box.x1 + 4, box.y1 + 3)
    return Face(number, Detection(box, 0.98765), RegionMasks(around, labels))


def result(
    index: int,
    *,
    faces: int | None = None,
    size: tuple[int, int] = (160, 120),
    time: float | None = None,
    name: str | None = None,
) -> FrameResult:
    """Make a frame of noise with faces that move; every fourth frame has none."""
    width, height = size
    noise = np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)
    count = index % 4 if faces is None else faces
    found = [
        face(i + 1, Box(8 + 45 * i + index % 3, 20, 44 + 45 * i + index % 3, 60), index)
        for i in range(count)
    ]
    when = index / 25 if time is None else time
    return FrameResult(Frame(noise, index, when, name=name), tuple(found))


def picture(image: NDArray[np.uint8], index: int, time: float | Fraction) -> FrameResult:
    """Wrap a picture, without faces."""
    return FrameResult(Frame(np.array(image), index, float(time)))


def feed(
    sink: Sink, source: SourceInfo, results: Sequence[FrameResult], run: Run | None = None
) -> None:
    """Run a sink as the processor does: what was opened is closed, whatever happens."""
    try:
        sink.open(source, run or Run())
        for one in results:
            sink.write(one)
    finally:
        sink.close()
