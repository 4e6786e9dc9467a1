"""Show pictures as their display matrix asks: turned, mirrored, or both."""

from __future__ import annotations

import logging
import math
import struct
from typing import NamedTuple

import numpy as np

from ..types import Image

log = logging.getLogger(__name__)

#: Size of a display matrix: 3 x 3 whole numbers of 32 bits.
MATRIX_BYTES = 36

#: Degrees by which a matrix may differ from a quarter turn and still be taken for it in silence.
TOLERANCE_DEGREES = 1.0


class Orientation(NamedTuple):
    """How to turn a stored picture upright: first turn it, then mirror it.

    Attributes:
        quarters: quarter turns clockwise, 0 to 3.
        mirrored: whether left and right are then exchanged.
    """

    quarters: int = 0
    mirrored: bool = False

    @property
    def degrees(self) -> int:
        """Degrees clockwise, 0 to 270."""
        return 90 * self.quarters

    def apply(self, image: Image) -> Image:
        """Turn a picture upright: (H, W, 3) in, contiguous (H, W, 3) or (W, H, 3) out."""
        if self.quarters:
            image = np.rot90(image, -self.quarters)
        if self.mirrored:
            image = image[:, ::-1]
        return np.ascontiguousarray(image)


def read_orientation(matrix: bytes | None) -> Orientation:
    """Read a display matrix, as MP4 and QuickTime files store it.

    It maps a stored point (p, q) to (a p + c q, b p + d q); x runs right, y runs down. An angle
    between quarter turns, and a shear, are brought to the nearest quarter turn with a warning.

    Args:
        matrix: nine 32-bit integers in the machine's byte order, or None for an upright picture.
    """
    if matrix is None or len(matrix) < MATRIX_BYTES:
        return Orientation()
    a, b, _, c, d, *_ = (value / 65536 for value in struct.unpack("=9i", matrix[:MATRIX_BYTES]))
    if not a * d - b * c:  # maps everything onto a line
        return Orientation()
    mirrored = a * d - b * c < 0
    # A mirror after the turn negates x: undo it, then what is left is the turn.
    turn = math.degrees(math.atan2(b, -a if mirrored else a))
    quarters = round(turn / 90)
    sheared = abs(a * c + b * d) > 0.02 * abs(a * d - b * c)
    if sheared or abs(turn - 90 * quarters) > TOLERANCE_DEGREES:
        log.warning(
            "the video asks to be shown turned by %.0f degrees%s: it is turned by %d",
            *(turn % 360, " and sheared" if sheared else "", 90 * (quarters % 4)),
        )
    return Orientation(quarters % 4, mirrored)
