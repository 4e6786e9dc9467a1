"""Where a face's mask lies, and whether it looks like a face."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..regions import CLASSES, class_ids
from ..types import Box, RegionMasks

#: Minimum fraction of a box that face pixels cover, and of these that a facial part covers.
MIN_FACE_FRACTION, MIN_PART_FRACTION = 0.3, 0.003
#: The same for a new face that the detector is unsure of.
NEW_MIN_FACE_FRACTION, NEW_MIN_PART_FRACTION = 0.5, 0.006
#: Margin around a box, in sides, within which mask pixels count; a neighbour's must not.
BOX_MARGIN = 0.1
#: Maximum ratio of a mask's size to its size at the last detection; beyond it, detect again.
MAX_SCALE_RATIO = 1.5
#: Maximum change of position and of size from frame to frame, in sizes, while a mask shows only
#: skin.
MAX_STEP = 0.25

_FACE = np.zeros(256, np.uint8)
_FACE[list(class_ids(["face", "glasses"]))] = 1
_PARTS = tuple(
    list(class_ids(names))
    for names in (["eyes", "eyelids", "eyebrows", "glasses"], ["nose"], ["mouth"])
)


@dataclass(frozen=True, slots=True)
class MaskPosition:
    """Centroid and scale of a face's mask.

    Attributes:
        x, y: centroid of the face's pixels.
        size: square root of their number.
        has_parts: whether the mask shows at least two of eyes (or brows or glasses), nose and
            mouth. The mask of somebody who looks down shows fewer.
        is_convincing: whether the mask is good enough for a new face.
    """

    x: float
    y: float
    size: float
    has_parts: bool = True
    is_convincing: bool = True

    def continues(self, previous: MaskPosition | None) -> bool:
        """Whether this is about where the face was in the previous frame."""
        if previous is None:
            return False
        reach = MAX_STEP * previous.size
        distance = math.hypot(self.x - previous.x, self.y - previous.y)
        return distance <= reach and abs(self.size - previous.size) <= reach

    def has_scale_of(self, reference: MaskPosition) -> bool:
        """Whether the face may have grown or shrunk to this size since the last detection."""
        return 1 / MAX_SCALE_RATIO <= self.size / reference.size <= MAX_SCALE_RATIO


def locate_mask(regions: RegionMasks, box: Box) -> MaskPosition | None:
    """Locate the face's pixels in and near a box.

    Args:
        regions: the face's mask, in pixels of the frame.
        box: where the face was detected or predicted.

    Returns:
        Their position, or None if they cover too little of the box to be its face.
    """
    import cv2

    margin = round(BOX_MARGIN * max(box.width, box.height))
    x0, y0 = max(box.x0 - margin, regions.box.x0), max(box.y0 - margin, regions.box.y0)
    near = regions.labels[
        y0 - regions.box.y0 : max(0, box.y1 + margin - regions.box.y0),
        x0 - regions.box.x0 : max(0, box.x1 + margin - regions.box.x0),
    ]
    if not near.size:
        return None
    moments = cv2.moments(cv2.LUT(near, _FACE), binaryImage=True)
    face = moments["m00"]
    if face < MIN_FACE_FRACTION * box.area:
        return None
    counts = np.bincount(near.ravel(), minlength=len(CLASSES))
    parts = [float(counts[ids].sum()) for ids in _PARTS]
    return MaskPosition(
        x=x0 + moments["m10"] / face,
        y=y0 + moments["m01"] / face,
        size=math.sqrt(face),
        has_parts=sum(part >= MIN_PART_FRACTION * face for part in parts) >= 2,
        is_convincing=face >= NEW_MIN_FACE_FRACTION * box.area
        and min(parts) >= NEW_MIN_PART_FRACTION * face,
    )
