"""One face that is followed."""

from __future__ import annotations

import numpy as np
import pytest

from facereg import Box, Detection
from facereg.checkpoint import pack, unpack
from facereg.tracking.mask_position import MaskPosition
from facereg.tracking.track import MAX_MISSES, MIN_HITS, Track
from tests.tracking.scene import found, mask

FACE = MaskPosition(130, 110, 53)
SKIN = MaskPosition(130, 110, 53, has_parts=False, is_convincing=False)


def begun(score: float = 0.9) -> Track:
    return Track.begin(7, found(100, 80, score=score), 0.0)


def test_it_begins_where_the_face_was_detected() -> None:
    track = begun()
    assert track.detection.box == Box(100, 80, 160, 140)
    assert track.detection.track == 7


def test_a_weak_new_face_needs_a_convincing_mask() -> None:
    assert begun().is_plausible(FACE, 0.0)
    assert not begun().is_plausible(SKIN, 0.0)
    assert not begun().is_plausible(None, 0.0)
    assert begun(0.99).is_plausible(None, 0.0)


def test_it_is_established_after_enough_hits_and_survives_a_few_misses() -> None:
    track, time = begun(), 0.0
    for i in range(MIN_HITS):
        assert not track.is_established
        time = i / 25
        track.update(FACE, time)
    assert track.is_established
    for _ in range(MAX_MISSES):
        time += 0.04
        assert track.is_plausible(SKIN, time)
        track.update(SKIN, time)
    assert not track.is_plausible(SKIN, time + 0.04)


def test_a_landmark_moves_and_grows_with_the_mask() -> None:
    marks = np.array([[118, 105], [142, 105], [130, 118], [120, 128], [140, 128]], np.float32)
    track = Track.begin(1, Detection(Box(100, 80, 160, 140), 0.9, marks), 0.0)
    track.update(FACE, 0.0)
    for i in range(1, 60):  # until the filter has arrived
        track.update(MaskPosition(150, 110, 53), i / 25)
        track.predict(i / 25)
    assert track.detection.landmarks is not None
    assert track.detection.landmarks == pytest.approx(marks + np.float32([20, 0]), abs=2)


def test_a_mask_of_another_size_is_not_its_own() -> None:
    track = begun()
    regions = mask(100, 80)
    assert track.locate(regions) is not None
    track.update(MaskPosition(130, 110, 20), 0.0)
    assert track.locate(regions) is None


def test_its_state_is_plain_and_exact() -> None:
    track = begun()
    for i in range(5):
        track.update(FACE, i / 25)
        track.predict(i / 25)
    other = Track.restored(unpack(pack(track.state())))
    assert pack(other.state()) == pack(track.state())
    for one in (track, other):
        one.detected(found(104, 83), 0.3)
    assert other.detection.box == track.detection.box
