from __future__ import annotations

import itertools

import numpy as np
import pytest

from facereg import Box, Detection, Face, Frame, FrameResult, RegionMasks, UsageError


def face(number: int, box: Box, label: int) -> Face:
    labels = np.full((box.height, box.width), label, np.uint8)
    return Face(number, Detection(box, 0.9), RegionMasks(box, labels))


def test_a_frame_is_read_only() -> None:
    frame = Frame(np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0] = 1


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 4), (0, 6, 3)])
def test_a_frame_refuses_what_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
        Frame(np.zeros(shape, np.uint8))


def test_a_box_is_half_open() -> None:
    box = Box(2, 3, 5, 7)
    assert (box.width, box.height, box.area) == (3, 4, 12)
    assert box.iou(Box(5, 3, 8, 7)) == 0
    assert box.iou(box) == 1
    assert Box(-5, -5, 3, 3).clip(10, 2) == Box(0, 0, 3, 2)
    assert Box(20, 20, 30, 30).clip(10, 10).area == 0


def test_the_larger_box_wins_whatever_the_order() -> None:
    near, far = face(1, Box(0, 0, 8, 8), 1), face(2, Box(4, 4, 10, 10), 10)
    frame = Frame(np.zeros((12, 12, 3), np.uint8))
    for faces in itertools.permutations([near, far]):
        labels = FrameResult(frame, tuple(faces)).labels()
        assert labels[5, 5] == 1
        assert labels[9, 9] == 10
        assert labels[11, 11] == 0
        assert FrameResult(frame, tuple(faces)).instances()[5, 5] == 1


def test_background_of_the_nearer_face_does_not_hide_the_other() -> None:
    near, far = face(1, Box(0, 0, 8, 8), 0), face(2, Box(4, 4, 10, 10), 10)
    labels = FrameResult(Frame(np.zeros((12, 12, 3), np.uint8)), (near, far)).labels()
    assert labels[5, 5] == 10


def test_masks_and_areas_know_classes_and_groups() -> None:
    labels = np.array([[4, 5, 6], [7, 8, 9]], np.uint8)
    regions = RegionMasks(Box(0, 0, 3, 2), labels)
    assert regions.mask("eyes").tolist() == [[True, True, False], [False, False, False]]
    assert regions.mask("mouth", "nose").sum() == 4
    assert regions.area("lips") == 2
    assert regions.areas() == dict.fromkeys(
        ("left_eye", "right_eye", "nose", "lower_lip", "mouth_interior", "upper_lip"), 1
    )


def test_an_unknown_region_names_the_nearest() -> None:
    regions = RegionMasks(Box(0, 0, 1, 1), np.zeros((1, 1), np.uint8))
    with pytest.raises(UsageError, match="'nostril'"):
        regions.mask("nostril")
    with pytest.raises(UsageError, match=r"did you mean .*eyelids"):
        regions.area("eyelid")


def test_every_pixel_has_one_owner() -> None:
    near, far = face(1, Box(0, 0, 8, 8), 1), face(2, Box(4, 4, 10, 10), 10)
    result = FrameResult(Frame(np.zeros((12, 12, 3), np.uint8)), (near, far))

    owned = {one.id: regions for one, regions in result.owned()}

    assert owned[1] is near.regions
    assert owned[2].area("hair") == 36 - 16
    assert not owned[2].labels[:4, :4].any()
    assert far.regions is not None and far.regions.labels.all()  # what was made stays as it is
