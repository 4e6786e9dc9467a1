"""From the output grid of a single-shot network to boxes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def decode(scores: Floats, offsets: Floats, stride: int, window: int, min_score: float) -> Floats:
    """Turn the cells with a score of ``min_score`` or more into boxes.

    Args:
        scores: (rows, columns), each cell's score.
        offsets: (rows, columns, 4), how far the corners x0, y0, x1, y1 of a cell's window must
            move to fit the face, in sides of the window.
        stride: pixels from one cell's window to the next.
        window: side of a cell's window in pixels.
        min_score: minimum score of a cell.

    Returns:
        (n, 5) x0, y0, x1, y1, score.
    """
    rows, columns = np.nonzero(scores >= min_score)
    corners = np.stack([columns, rows, columns, rows], axis=1) * float(stride)
    corners[:, 2:] += window
    corners += offsets[rows, columns] * window
    return np.column_stack([corners, scores[rows, columns]]).astype(np.float32)


def merge(boxes: Floats, overlap: float) -> Floats:
    """Keep the best of boxes (n, 5) whose intersection over union is more than ``overlap``."""
    if not len(boxes):
        return boxes
    sizes = boxes[:, 2:4] - boxes[:, :2]
    rectangles = np.concatenate([boxes[:, :2], sizes], axis=1).tolist()
    kept = cv2.dnn.NMSBoxes(rectangles, boxes[:, 4].tolist(), 0.0, overlap)
    return boxes[np.asarray(kept, int).ravel()]
