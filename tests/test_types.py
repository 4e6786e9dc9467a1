"""Values are made once, describe themselves in a line, and turn into what other programs take."""

from __future__ import annotations

import itertools
import json
import pickle
import sys
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from facereg import (
    Box,
    Detection,
    Face,
    FaceregError,
    Frame,
    FrameResult,
    PluginError,
    RegionMasks,
    SourceInfo,
    UsageError,
)


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


BLACK = np.zeros((12, 12, 3), np.uint8)
RESULT = FrameResult(
    Frame(BLACK, 7, 0.28), (face(3, Box(2, 2, 6, 6), 1), face(4, Box(5, 5, 9, 9), 10))
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Box(1, 2, 3, 4), "Box(x0=1, y0=2, x1=3, y1=4)"),
        (RESULT.frame, "Frame(12x12, index=7, time=0.28)"),
        (Frame(BLACK, name="a.png"), "Frame(12x12, index=0, time=0, name='a.png')"),
        (
            Detection(Box(1, 2, 3, 4), 0.98765, np.zeros((5, 2), np.float32), 6),
            "Detection(box=(1, 2, 3, 4), score=0.9877, landmarks=yes, track=6)",
        ),
        (RESULT.faces[0].regions, "RegionMasks(box=(2, 2, 6, 6), classes=1)"),
        (RESULT.faces[0], "Face(id=3, box=(2, 2, 6, 6), score=0.9, regions=yes)"),
        (RESULT, "FrameResult(12x12, index=7, time=0.28, faces=2)"),
        (
            SourceInfo("cam", 640, 480, Fraction(30000, 1001), live=True),
            "SourceInfo('cam', 640x480, fps=29.97, live)",
        ),
    ],
)
def test_a_value_is_shown_in_a_short_line(value: Any, shown: str) -> None:
    assert repr(value) == shown


def test_a_clock_has_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Frame(BLACK, clock=datetime(2030, 5, 17))  # noqa: DTZ001


def test_a_result_is_a_line_of_json() -> None:
    assert json.loads(json.dumps(RESULT.to_dict())) == {
        "index": 7,
        "time": 0.28,
        "faces": [
            {
                "id": 3,
                "box": [2, 2, 6, 6],
                "score": 0.9,
                "areas": {"skin": 16},
                "crop": [2, 2, 6, 6],
            },
            {
                "id": 4,
                "box": [5, 5, 9, 9],
                "score": 0.9,
                "areas": {"hair": 16},
                "crop": [5, 5, 9, 9],
            },
        ],
    }


def test_a_live_result_has_its_moment_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    clock = datetime(2030, 5, 17, 11, 30, 0, 123456, tzinfo=east)
    plain = FrameResult(Frame(BLACK, clock=clock, name="a.png")).to_dict()
    assert plain["clock"] == "2030-05-17T09:30:00.123Z"
    assert list(plain) == ["index", "time", "clock", "name", "faces"]


def test_a_result_made_by_hand_draws_itself() -> None:
    assert RESULT.draw().shape == (12, 12, 3)
    assert RESULT.draw("isolated:skin").sum() == 0
    assert RESULT._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="unknown view 'overlai'"):
        RESULT.draw("overlai")


def test_a_result_survives_a_pool_of_processes() -> None:
    again = pickle.loads(pickle.dumps(RESULT))
    assert again.to_dict() == RESULT.to_dict()
    assert (again.labels() == RESULT.labels()).all()


def test_a_result_becomes_detections_of_supervision() -> None:
    pytest.importorskip("supervision")
    found = RESULT.to_supervision()
    assert found.xyxy.tolist() == [[2, 2, 6, 6], [5, 5, 9, 9]]
    assert found.tracker_id.tolist() == [3, 4]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.9])
    assert found.mask.shape == (2, 12, 12)
    assert found.mask.sum(axis=(1, 2)).tolist() == [16, 16]
    assert len(FrameResult(RESULT.frame).to_supervision()) == 0
    bare = FrameResult(RESULT.frame, (Face(1, RESULT.faces[0].detection),))
    assert bare.to_supervision().mask is None


def test_supervision_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(FaceregError, match=r"pip install 'facereg\[formats\]'"):
        RESULT.to_supervision()


def test_regions_of_labels_alone_have_no_probability() -> None:
    regions = RegionMasks(Box(0, 0, 2, 1), np.array([[0, 7]], np.uint8))

    assert regions.probability("lips") is None
    with pytest.raises(UsageError, match="unknown region 'lip'"):
        regions.probability("lip")


def test_a_wrong_probability_is_the_segmenters_mistake() -> None:
    box, labels = Box(0, 0, 2, 1), np.array([[0, 7]], np.uint8)
    regions = RegionMasks(box, labels, lambda _: np.zeros((1, 3), np.float32))

    with pytest.raises(PluginError, match=r"\(1, 3\) float32, not \(1, 2\) float32"):
        regions.probability("lips")
