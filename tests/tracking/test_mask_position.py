"""Where a mask says a face is."""

from __future__ import annotations

import pytest

from facereg import Box, RegionMasks
from facereg.tracking.mask_position import MaskPosition, locate_mask
from tests.tracking.scene import bowed, mask, wall

BOX = Box(100, 80, 160, 140)


def test_it_is_the_centroid_of_the_face_near_the_box() -> None:
    position = locate_mask(mask(100, 80), BOX)
    assert position is not None
    assert abs(position.x - 130) < 1
    assert abs(position.y - 110) < 1
    assert position.size == pytest.approx(53, abs=2)  # root of the area of a disc of 60


def test_a_wall_and_somebody_elses_face_have_none() -> None:
    assert locate_mask(wall(), BOX) is None
    assert locate_mask(mask(100, 80), Box(0, 0, 60, 60)) is None


def test_a_mask_that_does_not_reach_the_box_has_none() -> None:
    whole = mask(100, 80)
    part = RegionMasks(Box(0, 0, 20, 20), whole.labels[:20, :20])
    assert locate_mask(part, BOX) is None


def test_a_face_that_looks_down_shows_no_parts() -> None:
    up, down = locate_mask(mask(100, 80), BOX), locate_mask(bowed(100, 80), BOX)
    assert up is not None
    assert down is not None
    assert (up.has_parts, up.is_convincing) == (True, True)
    assert (down.has_parts, down.is_convincing) == (False, False)


def test_it_continues_where_it_was_and_nowhere_else() -> None:
    before = MaskPosition(100, 100, 40)
    assert MaskPosition(108, 100, 44).continues(before)
    assert not MaskPosition(111, 100, 40).continues(before)
    assert not MaskPosition(100, 100, 51).continues(before)
    assert not before.continues(None)


@pytest.mark.parametrize(("size", "same"), [(59, True), (61, False), (27, True), (26, False)])
def test_a_face_grows_by_half_at_most_between_detections(size: float, same: bool) -> None:
    assert MaskPosition(0, 0, size).has_scale_of(MaskPosition(0, 0, 40)) is same
