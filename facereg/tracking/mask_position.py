"""Where a mask says a face is, and whether it looks like one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..regions import CLASSES, class_ids
from ..types import Box, RegionMasks

#: Least share of a box that a face's pixels fill, and of those that eyes, nose or mouth take.
FILL, PART = 0.3, 0.003
#: The same of a face that is new and that the detector is not sure of.
NEW_FILL, NEW_PART = 0.5, 0.006
#: Share of a box's side around it in which its mask counts: another face beside it must not.
REACH = 0.1
#: Most that a face may grow or shrink by, as its mask tells, until the detector must look again.
GROWTH = 1.5
#: Shares of its size by which a face may move and grow from one frame to the next while its mask
#: shows no more than skin.
DRIFT = 0.25

_FACE = np.zeros(256, np.uint8)
_FACE[list(class_ids(["face", "glasses"]))] = 1
_PARTS = tuple(
    list(class_ids(names))
    for names in (["eyes", "eyelids", "eyebrows", "glasses"], ["nose"], ["mouth"])
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a mask says a face is.

    Attributes:
        x, y: centre of the face's pixels.
        size: root of their number.
        whole: whether at least two of eyes (or brows or glasses), nose and mouth are among them.
            Somebody who looks down shows less.
        convincing: whether they would do for a face that is new.
    """

    x: float
    y: float
    size: float
    whole: bool = True
    convincing: bool = True

    def continues(self, before: Anchor | None) -> bool:
        """Whether this is about where the face was in the frame before."""
        if before is None:
            return False
        reach = DRIFT * before.size
        away = math.hypot(self.x - before.x, self.y - before.y)
        return away <= reach and abs(self.size - before.size) <= reach

    def grew_from(self, origin: Anchor) -> bool:
        """Whether a face may have become as large or small as this since the detector saw it."""
        return 1 / GROWTH <= self.size / origin.size <= GROWTH


def measure(regions: RegionMasks, box: Box) -> Anchor | None:
    """Find the anchor of a face's mask near its box; None if it does not fill a fair part of it."""
    import cv2

    reach = round(REACH * max(box.width, box.height))
    x0, y0 = max(box.x0 - reach, regions.box.x0), max(box.y0 - reach, regions.box.y0)
    near = regions.labels[
        y0 - regions.box.y0 : max(0, box.y1 + reach - regions.box.y0),
        x0 - regions.box.x0 : max(0, box.x1 + reach - regions.box.x0),
    ]
    if not near.size:
        return None
    moments = cv2.moments(cv2.LUT(near, _FACE), binaryImage=True)
    face = moments["m00"]
    counts = np.bincount(near.ravel(), minlength=len(CLASSES))
    parts = [float(counts[ids].sum()) for ids in _PARTS]
    if face < FILL * box.area:
        return None
    whole = sum(part >= PART * face for part in parts) >= 2
    convincing = face >= NEW_FILL * box.area and min(parts) >= NEW_PART * face
    x, y = x0 + moments["m10"] / face, y0 + moments["m01"] / face
    return Anchor(x, y, math.sqrt(face), whole, convincing)
