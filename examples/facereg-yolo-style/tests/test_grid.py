"""Decoding and merging, on grids written by hand."""

from __future__ import annotations

import numpy as np

from facereg_yolo_style.grid import decode, merge


def test_a_cell_becomes_its_window_moved_by_its_offsets() -> None:
    scores = np.zeros((4, 6), np.float32)
    scores[2, 5] = 0.9
    offsets = np.zeros((4, 6, 4), np.float32)
    offsets[2, 5] = (-0.5, 0, 0.5, 0.25)

    boxes = decode(scores, offsets, stride=8, window=16, min_score=0.5)

    assert np.allclose(boxes, [[40 - 8, 16, 56 + 8, 32 + 4, 0.9]])


def test_cells_that_are_not_sure_are_left_out() -> None:
    scores = np.array([[0.4, 0.6]], np.float32)

    assert len(decode(scores, np.zeros((1, 2, 4), np.float32), 8, 16, 0.5)) == 1
    assert decode(scores, np.zeros((1, 2, 4), np.float32), 8, 16, 0.9).shape == (0, 5)


def test_of_overlapping_boxes_the_best_stays() -> None:
    boxes = np.array([[0, 0, 10, 10, 0.7], [1, 1, 11, 11, 0.9], [50, 0, 60, 10, 0.6]], np.float32)

    kept = merge(boxes, overlap=0.3)

    assert np.allclose(sorted(kept[:, 4]), [0.6, 0.9])
    assert merge(boxes[:0], overlap=0.3).shape == (0, 5)
