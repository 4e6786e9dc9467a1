from __future__ import annotations

import numpy as np
import pytest

from facereg.regions import GROUPS
from facereg.training.metrics import Confusion, merge_groups


def test_scores_pool_the_pixels_of_all_images() -> None:
    confusion = Confusion()
    # Class 1: 6 true, 5 guessed, 4 of them right; in two images, one of which has none.
    confusion.add(np.uint8([[1, 1, 1, 1, 1, 1, 0, 0]]), np.uint8([[1, 1, 1, 1, 0, 0, 0, 0]]))
    confusion.add(np.uint8([[0, 0]]), np.uint8([[1, 0]]))
    assert confusion.f1()[1] == pytest.approx(2 * 4 / (6 + 5))
    assert confusion.iou()[1] == pytest.approx(4 / 7)
    assert np.isnan(confusion.f1()[2])


def test_unknown_pixels_are_passed_over() -> None:
    confusion = Confusion()
    confusion.add(np.uint8([[1, 255]]), np.uint8([[1, 3]]))
    assert confusion.counts.sum() == 1


def test_means_leave_out_background_and_what_never_occurs() -> None:
    confusion = Confusion()
    confusion.add(np.uint8([[0, 1, 1, 19, 19]]), np.uint8([[0, 1, 1, 19, 0]]))
    summary = confusion.summary()
    assert summary["mean_f1"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-4)
    assert summary["mean_f1_without_jewellery"] == 1.0
    assert summary["classes"]["hair"]["f1"] is None


def test_groups_merge_sides_and_lips() -> None:
    confusion = Confusion()
    confusion.add(np.uint8([[4, 5, 7, 9]]), np.uint8([[5, 4, 9, 7]]))
    merged = merge_groups(confusion, GROUPS)
    assert merged.f1()[merged.names.index("eyes")] == 1.0
    assert merged.f1()[merged.names.index("lips")] == 1.0
    assert merged.counts.sum() == confusion.counts.sum()
    assert len(merged.names) == len(set(merged.names)) == 15
