"""The classic detector: boosted cascades of Haar features, without landmarks.

Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", 2001, with
the cascades that OpenCV 4 ships.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..components import Detector
from ..errors import PluginError, UsageError
from ..hookspecs import hookimpl
from ..types import Box, Detection, Frame, Image
from .suppression import Floats, suppress

if TYPE_CHECKING:
    from cv2 import CascadeClassifier

#: Side in pixels of the smallest face that both cascades can see.
MIN_SIDE = 24

#: Longest side in pixels of the copy in which faces are searched.
COPY_SIDE = 480

#: Factor between the face sizes that are searched.
SCALE_STEP = 1.1

#: Weight of a cascade's last stage at which the score is 1 - 1/e. Faces weigh about 2 to 8.
WEIGHT_SCALE = 3.0


class HaarDetector(Detector):
    """Finds faces from the front and from both sides, without landmarks; simple and old.

    Options:
        min_face: side in pixels of the smallest face to find in the frame.
        neighbors: overlapping hits that make a face; more of them means fewer false faces.
    """

    name = "haar"

    def __init__(self, *, min_face: int = 40, neighbors: int = 4) -> None:
        if min_face < 1:
            raise UsageError(f"detector haar: min_face={min_face}: must be at least 1 pixel")
        if neighbors < 1:
            raise UsageError(f"detector haar: neighbors={neighbors}: must be at least 1")
        self._min_face = min_face
        self._neighbors = neighbors
        self._front = _cascade("haarcascade_frontalface_default.xml")
        self._side = _cascade("haarcascade_profileface.xml")

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Find the faces of a frame, best first."""
        gray, min_side = self._copy(frame.image)
        width = gray.shape[1]
        front = self._hits(self._front, gray, min_side)
        left = self._hits(self._side, gray, min_side)
        right = self._hits(self._side, np.ascontiguousarray(gray[:, ::-1]), min_side)
        right[:, [0, 2]] = width - right[:, [2, 0]]
        hits = np.concatenate([front, left, right])
        hits = hits[suppress(hits[:, :4], hits[:, 4], 0.5, per="smaller")]
        across, down = frame.width / width, frame.height / gray.shape[0]
        boxes = np.round(hits[:, :4] * [across, down, across, down]).astype(int).tolist()
        return [Detection(Box(*box), float(s)) for box, s in zip(boxes, hits[:, 4], strict=True)]

    def _copy(self, image: Image) -> tuple[Image, int]:
        """Make the gray copy to search, no larger than needed; return the smallest face's side."""
        import cv2

        height, width = image.shape[:2]
        zoom = min(1.0, max(COPY_SIDE / max(height, width), MIN_SIDE / self._min_face))
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if zoom < 1:
            size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
            gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        return np.asarray(gray, np.uint8), max(MIN_SIDE, round(self._min_face * zoom))

    def _hits(self, cascade: CascadeClassifier, gray: Image, min_side: int) -> Floats:
        """Run one cascade: (n, 5) x0, y0, x1, y1, score."""
        if min(gray.shape) < min_side:
            return np.zeros((0, 5), np.float32)
        boxes, _, weights = cascade.detectMultiScale3(
            gray, SCALE_STEP, self._neighbors, minSize=(min_side, min_side), outputRejectLevels=True
        )
        corners = np.asarray(boxes, np.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        return np.concatenate([corners, _scores(np.asarray(weights))], axis=1)


def _scores(weights: NDArray[Any]) -> Floats:
    """Turn weights of the last stage, (n,) or (n, 1), into scores from 0 to 1, (n, 1)."""
    positive = np.maximum(weights.reshape(-1, 1), 0)
    return np.asarray(1 - np.exp(-positive / WEIGHT_SCALE), np.float32)


def _cascade(file: str) -> CascadeClassifier:
    """Load one of the cascades that OpenCV ships.

    Raises:
        PluginError: this OpenCV has none.
    """
    import cv2

    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    if folder is None or not hasattr(cv2, "CascadeClassifier") or not Path(folder, file).is_file():
        raise PluginError(
            f"detector haar: OpenCV {cv2.__version__} has no {file}: "
            f"pip install 'opencv-python>=4.10,<5'"
        )
    return cv2.CascadeClassifier(str(Path(folder, file)))


@hookimpl
def register_detectors() -> list[type[Detector]]:
    """Register `haar`."""
    return [HaarDetector]
