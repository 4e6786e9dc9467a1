"""Find the cuts of a video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Frame

#: Minimum mean change of a pixel, 0 to 255, between frames of different scenes.
CUT_CHANGE = 40.0
#: The same in the dark: a fraction of the mean brightness, but no less than the second value.
DARK_CUT_FRACTION, MIN_CUT_CHANGE = 0.6, 10.0
#: Width and height, in pixels, at which frames are compared.
THUMBNAIL_SIZE = (32, 18)


class CutDetector:
    """Compare each frame with the one before it."""

    def __init__(self) -> None:
        self._thumbnail: NDArray[np.uint8] | None = None

    def state(self) -> dict[str, Any]:
        """Return all that is known, as plain values and arrays."""
        return {"thumbnail": self._thumbnail}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._thumbnail = state["thumbnail"]

    def forget(self) -> None:
        """Compare the next frame with none."""
        self._thumbnail = None

    def is_cut(self, frame: Frame) -> bool:
        """Whether a frame is of another scene than the one before it."""
        thumbnail = _thumbnail(frame)
        before, self._thumbnail = self._thumbnail, thumbnail
        if before is None:
            return False
        brightness = (float(before.mean()) + float(thumbnail.mean())) / 2
        change = _mean_change(before, thumbnail)
        return change > min(CUT_CHANGE, max(MIN_CUT_CHANGE, DARK_CUT_FRACTION * brightness))


def _thumbnail(frame: Frame) -> NDArray[np.uint8]:
    import cv2

    size = (max(1, frame.width // 4), max(1, frame.height // 4))
    fewer = cv2.resize(frame.image, size, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(fewer, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def _mean_change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    import cv2

    return float(cv2.absdiff(before, after).mean())
