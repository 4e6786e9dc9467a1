"""Non-maximum suppression: of boxes that cover each other, keep the one that scores best."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def suppress(
    boxes: Floats, scores: Floats, limit: float, *, per: Literal["union", "smaller"] = "union"
) -> NDArray[np.intp]:
    """Choose boxes that overlap no better one by more than ``limit``.

    Args:
        boxes: (n, 4) x0, y0, x1, y1, half-open.
        scores: (n,), higher is better.
        limit: the share of overlap, 0 to 1, that two boxes may have and both be kept.
        per: whether the overlap is a share of the two boxes' union, or of the smaller of them,
            which also drops a box inside another.

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
