"""Find the cuts of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        self._thumbnail: NDArray[np.uint8] | None = None  # of the last frame
        self._coming: dict[int, NDArray[np.uint8]] = {}  # of frames after it, by their index

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
        before, self._thumbnail = self._thumbnail, self._look_at(frame)
        self._coming = {i: one for i, one in self._coming.items() if i > frame.index}
        return before is not None and _differ(before, self._thumbnail)

    def count_before_cut(self, coming: Sequence[Frame]) -> int:
        """Count the frames, of those that follow the last one, that are of the same scene."""
        before = self._thumbnail
        for i, frame in enumerate(coming):
            thumbnail = self._look_at(frame)
            if before is not None and _differ(before, thumbnail):
                return i
            before = thumbnail
        return len(coming)

    def _look_at(self, frame: Frame) -> NDArray[np.uint8]:
        """Make a frame's thumbnail, once."""
        if frame.index not in self._coming:
            self._coming[frame.index] = _thumbnail(frame)
        return self._coming[frame.index]


def _thumbnail(frame: Frame) -> NDArray[np.uint8]:
    import cv2

    size = (max(1, frame.width // 4), max(1, frame.height // 4))
    fewer = cv2.resize(frame.image, size, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(fewer, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def _differ(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether two thumbnails are of different scenes."""
    import cv2

    brightness = (float(before.mean()) + float(after.mean())) / 2
    change = float(cv2.absdiff(before, after).mean())
    return change > min(CUT_CHANGE, max(MIN_CUT_CHANGE, DARK_CUT_FRACTION * brightness))
