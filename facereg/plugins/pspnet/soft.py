"""How likely each pixel is a class, from the logits of a face's crop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...types import Box
from .crops import OUTSIDE_LOGIT, Matrix, map_to_logits, nearer_others, warp_plane


@dataclass(frozen=True, slots=True, eq=False)
class SoftRegions:
    """A face's logits, as `RegionMasks.probability` needs them: the `find_probability` of a face.

    Attributes:
        logits: (C, h, w) float16, covering the whole crop.
        matrix: (2, 3), from frame pixels to crop pixels.
        size: side of the crop.
        box: the part of the frame that the crop covers.
        face: the face's box.
        others: the boxes of the frame's other faces, whose pixels are background here.
    """

    logits: NDArray[np.float16]
    matrix: Matrix
    size: int
    box: Box
    face: Box
    others: tuple[Box, ...]

    @classmethod
    def of(
        cls,
        logits: NDArray[np.float32],
        matrix: Matrix,
        size: int,
        box: Box,
        *,
        face: Box,
        others: Sequence[Box] = (),
    ) -> SoftRegions:
        """Keep a crop's logits (C, h, w) in half of their memory; this takes microseconds."""
        count, height, width = logits.shape
        halves = np.asarray(cv2.convertFp16(logits.reshape(count * height, width)))
        return cls(
            halves.view(np.float16).reshape(logits.shape), matrix, size, box, face, tuple(others)
        )

    def __call__(self, ids: tuple[int, ...]) -> NDArray[np.float32]:
        """Compute how likely each pixel of the box is one of some classes, (h, w) float32.

        What is enlarged to the frame's resolution is the logit of these classes against all others,
        which is a straight slope across an edge, and not the probability, whose steps would show.
        """
        margin = _margin(self.logits.astype(np.float32), ids)
        whole = Box(0, 0, self.box.width, self.box.height)
        if not whole.area:
            return np.zeros((whole.height, whole.width), np.float32)
        outside = OUTSIDE_LOGIT if 0 in ids else -OUTSIDE_LOGIT
        large = warp_plane(
            margin, map_to_logits(self.matrix, self.size, margin, self.box), whole, outside
        )
        soft = np.asarray(1 / (1 + np.exp(-large)), np.float32)
        for part, nearer in nearer_others(self.face, self.others, self.box):
            soft[part][nearer] = 0 in ids
        return soft


def _margin(logits: NDArray[np.float32], ids: tuple[int, ...]) -> NDArray[np.float32]:
    """Compute the logit of some classes against all others, (h, w)."""
    chosen = np.isin(np.arange(len(logits)), ids)
    if chosen.all() or not chosen.any():
        return np.full(
            logits.shape[1:], OUTSIDE_LOGIT if chosen.any() else -OUTSIDE_LOGIT, np.float32
        )
    powers = np.exp(logits - logits.max(0))
    tiny = np.float32(math.exp(-OUTSIDE_LOGIT))
    odds = np.maximum(powers[chosen].sum(0), tiny) / np.maximum(powers[~chosen].sum(0), tiny)
    return np.asarray(np.log(odds), np.float32)
