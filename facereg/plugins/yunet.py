"""A one-stage detector that also finds turned and masked faces, with five landmarks.

Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023. OpenCV runs it. Its file comes
from its authors, with the user's consent: ``facereg models get yunet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..components import Detector
from ..downloads import find_download, find_fetched
from ..errors import ModelError, UsageError
from ..hookspecs import hookimpl
from ..types import Box, Detection, Frame
from .suppression import Floats

#: Overlap of two boxes, as a share of their union, above which they are one face.
DUPLICATE_IOU = 0.3

#: Maximum number of candidates that overlaps are removed from.
MAX_CANDIDATES = 5000

#: Shortest side in pixels that the network can search; narrower frames are padded.
MIN_SIDE = 32


class YunetDetector(Detector):
    """Finds turned and masked faces, too, with five landmarks; its file has to be fetched.

    Options:
        size: longest side in pixels of the copy that is searched; a face needs about 10 pixels.
        score: minimum score of a face, 0 to 1.
        weights: the network's file, instead of the one that `facereg models get yunet` fetched.
    """

    name = "yunet"

    def __init__(self, *, size: int = 640, score: float = 0.7, weights: Path | None = None) -> None:
        if not MIN_SIDE <= size <= 4096:
            raise UsageError(f"detector yunet: size={size}: must be {MIN_SIDE} to 4096")
        if not 0 <= score <= 1:
            raise UsageError(f"detector yunet: score={score}: must be from 0 to 1")
        self._size = size
        path = weights or find_fetched(find_download("yunet"))
        if path is None:
            raise ModelError("detector yunet: its file is not here: facereg models get yunet")
        if not path.is_file():
            raise ModelError(f"detector yunet: {path}: no such file")
        import cv2

        try:
            self._network = cv2.FaceDetectorYN.create(
                str(path), "", (size, size), score, DUPLICATE_IOU, MAX_CANDIDATES
            )
            self._network.detect(np.zeros((size, size, 3), np.uint8))
        except cv2.error as e:
            raise ModelError(f"detector yunet: {path}: not the network of YuNet") from e

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Find the faces of a frame, best first."""
        import cv2

        zoom = min(1.0, self._size / max(frame.height, frame.width))
        sides = [max(1, round(side * zoom)) for side in (frame.width, frame.height)]
        scale = np.divide((frame.width, frame.height), sides).astype(np.float32)
        copy = frame.image
        if zoom < 1:
            copy = np.asarray(cv2.resize(copy, sides, interpolation=cv2.INTER_AREA), np.uint8)
        across, down = (max(0, MIN_SIDE - side) for side in sides)
        if across or down:
            padded = cv2.copyMakeBorder(copy, 0, down, 0, across, cv2.BORDER_CONSTANT)
            copy = np.asarray(padded, np.uint8)
        self._network.setInputSize((copy.shape[1], copy.shape[0]))
        found = self._network.detect(copy)[1]
        rows: Floats = np.zeros((0, 15), np.float32) if found is None else np.asarray(found)
        rows = rows[np.isfinite(rows).all(1)]
        return [_detection(row, scale) for row in rows[np.argsort(-rows[:, 14], kind="stable")]]


def _detection(row: Floats, scale: Floats) -> Detection:
    """Turn a row of OpenCV (x, y, width, height, five landmarks, score) into a detection."""
    low, side = row[:2] * scale, row[2:4] * scale
    x0, y0, x1, y1 = np.round(np.concatenate([low, low + side])).astype(int).tolist()
    box = Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
    points = np.asarray(row[4:14].reshape(5, 2) * scale, np.float32)
    return Detection(box, float(np.clip(row[14], 0, 1)), points)


@hookimpl
def register_detectors() -> list[type[Detector]]:
    """Register `yunet`."""
    return [YunetDetector]
