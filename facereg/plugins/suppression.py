"""Non-maximum suppression: of overlapping boxes, keep the one with the highest score."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def suppress(
    boxes: Floats, scores: Floats, limit: float, *, per: Literal["union", "smaller"] = "union"
) -> NDArray[np.intp]:
    """Choose the boxes that do not overlap a better one by more than ``limit``.

    Args:
        boxes: (n, 4) x0, y0, x1, y1, half-open.
        scores: (n,), higher is better.
        limit: the largest overlap, 0 to 1, with which two boxes are both kept.
        per: whether the overlap is a share of the boxes' union or of the smaller box; the latter
            also drops a box inside another.

    Returns:
        (k,) indices into ``boxes``, best first.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = boxes[:, :2], boxes[:, 2:]
    areas = np.prod(np.maximum(high - low, 0), axis=1)
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        sides = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        if per == "union":
            whole = areas[best] + areas[rest] - shared
        else:
            whole = np.minimum(areas[best], areas[rest])
        order = rest[shared <= limit * whole]
    return np.array(kept, np.intp)
