"""How high a crop is placed over a face: higher if hair or a hat reaches its upper edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...regions import IDS
from ...types import Detection
from .crops import LIFT, Matrix, crop_matrix, lift_to_edge
from .engines import Logits

#: Maximum of `LIFT`: placed higher, a crop would lose the neck.
MAX_LIFT = 0.2
#: How much the lift grows from one frame of a video to the next.
LIFT_STEP = 0.01
#: A head is cut off if hair or a hat takes more than this share of the crop's upper edge.
MIN_CUT_SHARE = 0.05

_TOP = [IDS["hair"], IDS["head_covering"]]


def cuts_head(logits: Logits) -> bool:
    """Return whether a crop's upper edge cuts off hair or a hat.

    Beyond the frame's edge a crop is black, so the frame's own edge cuts nothing.

    Args:
        logits: (C, h, w), covering the whole crop.
    """
    edge = logits[:, 0]
    return bool(np.equal(edge[_TOP].max(0), edge.max(0)).mean() > MIN_CUT_SHARE)


class Framing:
    """Places crops over faces, and remembers how high each track's crop is.

    Args:
        scale: side of the crop over the mean side of the face's box.
        size: side of the crop in its own pixels.
    """

    def __init__(self, scale: float, size: int) -> None:
        self._scale, self._size = scale, size
        self._lifts: dict[int, float] = {}

    def matrix(self, detection: Detection) -> Matrix:
        """Map frame pixels to the pixels of a face's crop, (2, 3)."""
        lift = LIFT if detection.track is None else self._lifts.get(detection.track, LIFT)
        return self._matrix(detection, lift)

    def reframed(self, detection: Detection, logits: Logits) -> Matrix | None:
        """Map to a higher crop for a new face whose head the first crop cuts off, or None."""
        if detection.track in self._lifts or not cuts_head(logits):
            return None
        if detection.track is not None:
            self._lifts[detection.track] = MAX_LIFT
        return self._matrix(detection, MAX_LIFT)

    def learn(self, track: int | None, logits: Logits) -> None:
        """Raise the next crop of a track if its last one cuts off its head.

        It never sinks again: a crop that rises and sinks makes its lower edge flicker.
        """
        if track is not None:
            lift = self._lifts.get(track, LIFT)
            self._lifts[track] = min(lift + LIFT_STEP, MAX_LIFT) if cuts_head(logits) else lift

    def _matrix(self, detection: Detection, lift: float) -> Matrix:
        useful = max(LIFT, lift_to_edge(detection, self._scale))
        return crop_matrix(detection, self._scale, self._size, min(lift, useful))

    def forget(self, track: int) -> None:
        """Drop what is kept of a track."""
        self._lifts.pop(track, None)

    def state(self) -> dict[str, float]:
        """Return what is kept of every track."""
        return {str(track): lift for track, lift in self._lifts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        self._lifts = {int(track): float(lift) for track, lift in state.items()}
