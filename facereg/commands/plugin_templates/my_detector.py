"""A detector for facereg: change `detect`, keep the rest."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

import facereg

api_version = 1


class MyDetector(facereg.Detector):
    """Finds areas of skin colour; replace this by your own way to find faces.

    Options:
        min_width: minimum width of a face, as a share of the frame's width.
    """

    name = "my-detector"

    def __init__(self, *, min_width: float = 0.08) -> None:
        # Load a model here: this runs once, before the source is opened.
        if not 0 < min_width <= 1:
            raise facereg.UsageError(
                f"detector my-detector: min_width={min_width}: must be from 0 to 1"
            )
        self._min_width = min_width

    def detect(self, frame: facereg.Frame) -> Sequence[facereg.Detection]:
        """Find the faces of a frame. ``frame.image`` is (H, W, 3) uint8 BGR and read-only."""
        colors = cv2.cvtColor(frame.image, cv2.COLOR_BGR2YCrCb)
        skin = cv2.inRange(colors, (100, 138, 95), (255, 180, 135))
        size = max(1, round(self._min_width * frame.width / 3))
        skin = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
        _, _, areas, _ = cv2.connectedComponentsWithStats(skin)
        found = []
        for x, y, width, height, pixels in areas[1:].tolist():  # the first is not skin
            if width >= self._min_width * frame.width and 0.7 < height / width < 2.5:
                box = facereg.Box(x, y, x + width, y + height)
                found.append(facereg.Detection(box, score=pixels / box.area))
        return found


@facereg.hookimpl
def register_detectors() -> list[type[facereg.Detector]]:
    """Name the detector to facereg."""
    return [MyDetector]
