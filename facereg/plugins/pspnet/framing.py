"""How high a crop is put over a face: higher where hair or a hat reaches its upper edge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...regions import IDS
from ...types import Detection
from .crops import LIFT, Matrix, crop_matrix, lift_to_edge
from .engines import Logits

#: Most that a crop's centre is put above its box's, as `LIFT`: higher, it would lose the neck.
HIGHEST = 0.2
#: How much it rises from one frame of a video to the next.
STEP = 0.01
#: Share of the crop's upper edge from which on a head is cut off there.
WIDE = 0.05

_TOP = [IDS["hair"], IDS["head_covering"]]


def cuts_head(logits: Logits) -> bool:
    """Tell whether a crop's upper edge cuts off hair or a hat.

    Beyond the frame's edge a crop is black, so that the frame's own edge cuts nothing.

    Args:
        logits: (C, h, w), covering the crop evenly.
    """
    edge = logits[:, 0]
    return bool(np.equal(edge[_TOP].max(0), edge.max(0)).mean() > WIDE)


class Framing:
    """Puts crops over faces, and remembers how high each track's is.

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

    def higher(self, detection: Detection, logits: Logits) -> Matrix | None:
        """Map to the crop that a new face is to be parsed in, if its first one cuts its head."""
        if detection.track in self._lifts or not cuts_head(logits):
            return None
        if detection.track is not None:
            self._lifts[detection.track] = HIGHEST
        return self._matrix(detection, HIGHEST)

    def learn(self, track: int | None, logits: Logits) -> None:
        """Raise the next crop of a track if its last one cuts off its head.

        It does not sink again: a crop that comes and goes makes its lower edge flicker.
        """
        if track is not None:
            lift = self._lifts.get(track, LIFT)
            self._lifts[track] = min(lift + STEP, HIGHEST) if cuts_head(logits) else lift

    def _matrix(self, detection: Detection, lift: float) -> Matrix:
        useful = max(LIFT, lift_to_edge(detection, self._scale))
        return crop_matrix(detection, self._scale, self._size, min(lift, useful))

    def forget(self, track: int) -> None:
        """Drop what is kept of a track."""
        self._lifts.pop(track, None)

    def state(self) -> dict[str, float]:
        """Tell what is kept of every track."""
        return {str(track): lift for track, lift in self._lifts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` told."""
        self._lifts = {int(track): float(lift) for track, lift in state.items()}
