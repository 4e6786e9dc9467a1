"""Steady masks: blend a face's logits with those of the frame before, where it is still."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...types import Image

Logits = NDArray[np.float32]

#: Share of the frame before in a pixel that does not change at all.
KEEP = 0.8
#: Change of a pixel, 0 to 255 beyond the noise, from which on nothing of the frame before is kept.
MOTION = 12.0


@dataclass(slots=True)
class _State:
    picture: NDArray[np.float32]
    logits: Logits


class Smoother:
    """Remembers each track's last crop, in crop coordinates.

    A pixel's weight falls with how much the crop's picture changed there, so that nothing lags
    behind a movement or trails after it. The noise of the camera is taken off first: it is what
    half of the crop's pixels change by.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _State] = {}

    def __call__(self, track: int, crop: Image, logits: Logits) -> Logits:
        """Blend new logits (C, h, w) of a crop (S, S, 3) uint8 with the track's last ones."""
        size = (logits.shape[2], logits.shape[1])
        picture = cv2.resize(crop, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        before = self._tracks.get(track)
        if before is not None and before.logits.shape == logits.shape:
            change = np.abs(picture - before.picture).max(2)
            change = np.asarray(cv2.dilate(change, np.ones((3, 3), np.uint8)), np.float32)
            moved = (change - float(np.median(change))) / MOTION
            keep = KEEP * np.clip(1 - moved, 0, 1).astype(np.float32)
            still = max(0.0, 1 - float(np.median(change)) / (2 * MOTION))
            logits = logits + (keep * np.float32(still)) * (before.logits - logits)
        self._tracks[track] = _State(picture, logits)
        return logits

    def forget(self, track: int) -> None:
        """Drop what is kept of a track."""
        self._tracks.pop(track, None)
