"""Faces are hidden in the frames in which nobody finds them, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from facereg.components import Detector
from facereg.privacy.guard import Guard, Sight
from facereg.privacy.hold import Hold, HoldSettings
from facereg.privacy.place import Place
from facereg.privacy.trail import NOBODY, Trail
from facereg.registry.registry import Registry
from facereg.types import Box, Detection, Face, Frame, FrameResult, Labels, RegionMasks
from facereg.views import view

FPS = 25
SIZE = (120, 160)


def frame(index: int, level: int = 90) -> Frame:
    """Make a frame of noise."""
    pixels = np.random.default_rng(index).integers(0, 60, (*SIZE, 3))
    return Frame((pixels + level).astype(np.uint8), index, index / FPS)


def face(x: int, number: int = 1, *, parsed: bool = True) -> Face:
    """Make a face of 20x30 pixels whose left edge is at ``x``."""
    box = Box(x, 40, x + 20, 70)
    regions = None
    inside = box.clip(SIZE[1], SIZE[0])
    if parsed and inside.area:
        labels: Labels = np.ones((inside.height, inside.width), np.uint8)
        regions = RegionMasks(inside, labels)
    return Face(number, Detection(box, 0.99), regions)


def held(
    hold: Hold, faces: Sequence[Sequence[Face]], levels: Sequence[int] = ()
) -> list[FrameResult]:
    """Pass frames with these faces through a hold."""
    results = []
    for i, found in enumerate(faces):
        level = levels[i] if levels else 90
        results += hold.add(FrameResult(frame(i, level), tuple(found)))
    return results + hold.flush()


def covered(result: FrameResult, x: int) -> bool:
    """Whether most of the face whose left edge is at ``x`` is filled."""
    return bool((result.draw("fill:face")[45:65, x + 3 : x + 17] == 0).mean() > 0.9)


def test_a_gap_is_hidden_where_the_face_went() -> None:
    places = [10 + 4 * i for i in range(20)]
    faces = [[] if 8 <= i < 13 else [face(x)] for i, x in enumerate(places)]

    results = held(Hold(HoldSettings(0.3)), faces)

    assert [r.frame.index for r in results] == list(range(20))
    assert all(covered(r, x) for r, x in zip(results, places, strict=True))
    assert [len(r.faces) for r in results] == [len(f) for f in faces], "they are not counted"
    assert not any(r.labels().any() for r in results[8:13]), "nor are they in masks"


def test_a_face_is_hidden_before_it_is_found_and_after_it_was_lost() -> None:
    faces = [[face(60)] if 10 <= i < 15 else [] for i in range(40)]

    results = held(Hold(HoldSettings(0.28)), faces)

    assert [i for i, r in enumerate(results) if covered(r, 60)] == list(range(6, 22))


def test_a_face_that_leaves_is_hidden_where_it_went() -> None:
    places = [60 + 5 * i for i in range(16)]
    faces = [[face(x)] if i < 10 else [] for i, x in enumerate(places)]

    results = held(Hold(HoldSettings(0.2)), faces)

    assert all(covered(r, x) for r, x in zip(results[:14], places[:14], strict=True))


def test_a_cut_ends_holds() -> None:
    faces = [[face(60)] if i < 5 else [face(20, 2)] if i >= 8 else [] for i in range(20)]
    levels = [30 if i < 8 else 190 for i in range(20)]

    results = held(Hold(HoldSettings(1.0)), faces, levels)

    assert [i for i, r in enumerate(results) if covered(r, 60)] == list(range(8))
    assert [i for i, r in enumerate(results) if covered(r, 20)] == list(range(8, 20))


def test_nothing_is_held_among_pictures() -> None:
    faces = [[face(60)] if i == 3 else [] for i in range(8)]

    results = held(Hold(HoldSettings(1.0, stills=True)), faces)

    assert [i for i, r in enumerate(results) if covered(r, 60)] == [3]


def test_without_a_delay_a_lost_face_is_held_all_the_same() -> None:
    hold = Hold(HoldSettings(0.2, delay=0))
    faces = [[face(60)] if i < 5 else [] for i in range(15)]

    results = [hold.add(FrameResult(frame(i), tuple(f))) for i, f in enumerate(faces)]

    assert all(len(one) == 1 for one in results)
    assert [i for i, (r,) in enumerate(results) if covered(r, 60)] == list(range(10))


def test_chosen_faces_are_held_and_others_are_not() -> None:
    faces = [[face(20), face(90, 2)] if i < 5 else [] for i in range(10)]
    result = held(Hold(HoldSettings(0.3)), faces)[6]

    picture = result.draw("fill:face,except=2")
    assert (picture[50, 30] == 0).all() and not (picture[50, 100] == 0).all()
    picture = result.draw("fill:face,only=2")
    assert not (picture[50, 30] == 0).all() and (picture[50, 100] == 0).all()


def test_whom_the_guard_alone_sees_is_hidden_unless_only_others_are() -> None:
    guard = Guard(Seer({4: [(60, 0.95)]}), Seer({}))
    result = held(Hold(HoldSettings(look_every=1), guard), [[] for _ in range(9)])[4]

    (found,) = result.held
    assert found.id == NOBODY and not result.faces
    assert covered(result, 60)
    assert (result.draw("fill:face,except=1")[50, 70] == 0).all()
    assert not (result.draw("fill:face,only=1")[50, 70] == 0).all()


class Seer(Detector):
    """Finds faces at known places of known frames: index -> left edge and score."""

    name = "seer"

    def __init__(self, known: dict[int, list[tuple[int, float]]]) -> None:
        self._known = known

    def detect(self, frame: Frame) -> Sequence[Detection]:
        return [
            Detection(Box(x, 40, x + 20, 70), score)
            for x, score in self._known.get(frame.index, ())
        ]


def test_a_mask_that_lags_behind_is_widened_to_where_the_guard_sees_the_face() -> None:
    guard = Guard(Seer({i: [(68, 0.9)] for i in range(10)}), Seer({}))
    results = held(Hold(HoldSettings(look_every=1), guard), [[face(60)]] * 10)

    assert all(covered(r, 60) and covered(r, 68) for r in results)
    assert all(r.held[0].id == 1 for r in results)


def test_regions_that_are_not_the_whole_face_are_not_widened() -> None:
    guard = Guard(Seer({i: [(68, 0.9)] for i in range(10)}), Seer({}))
    result = held(Hold(HoldSettings(look_every=1), guard), [[face(60)]] * 10)[5]

    assert not (result.draw("fill:eyes")[50, 78] == 0).all()


def test_a_number_that_changes_in_a_gap_leaves_no_hole() -> None:
    faces = [[face(60)] if i < 5 else [face(60, 2)] if i > 8 else [] for i in range(14)]

    results = held(Hold(HoldSettings(0.3)), faces)

    assert all(covered(r, 60) for r in results)


def test_a_held_mask_is_moved_and_scaled() -> None:
    trail = Trail(1)
    trail.follow(0.0, face(60))

    carried = trail.carried(0.1, Place(100, 55, 40, 60), (160, 120))

    assert carried.regions is not None
    assert carried.regions.box == Box(80, 25, 120, 85)
    assert carried.regions.area("skin") == 40 * 60


def test_a_mask_that_would_be_outside_the_frame_is_cut_off() -> None:
    trail = Trail(1)
    trail.follow(0.0, face(60))

    carried = trail.carried(0.1, Place(5, 55, 20, 30), (160, 120))
    assert carried.regions is not None and carried.regions.box == Box(0, 40, 15, 70)
    assert trail.carried(0.1, Place(-50, 55, 20, 30), (160, 120)).regions is None


def test_held_faces_survive_pickling() -> None:
    import pickle

    result = FrameResult(frame(0), held=(face(3),))

    assert len(pickle.loads(pickle.dumps(result)).held) == 1


def test_the_views_say_whether_they_hide() -> None:
    registry = Registry()
    registry.view("overlay")
    assert not registry.hides_faces
    registry.view("pixelate:face,margin=0.1")
    assert registry.hides_faces


@pytest.mark.slow
@pytest.mark.parametrize("angle", [60, -80, 130])
def test_a_known_face_is_found_however_it_leans(angle: int) -> None:
    import cv2

    from facereg._api.components import build_guard
    from tests import clips

    guard = build_guard(Registry(), None)
    assert guard is not None
    x, y = (clips.FACE[0] + clips.FACE[2]) / 2, (clips.FACE[1] + clips.FACE[3]) / 2
    matrix = cv2.getRotationMatrix2D((x, y), -angle, 1)
    picture = np.asarray(cv2.warpAffine(clips.astronaut(), matrix, (512, 512)), np.uint8)

    expected = Place(x + 10, y - 8, 95, 120)
    found = guard.look_near(Frame(picture), expected, lean=angle - 15)

    assert isinstance(found, Sight)
    assert found.place.iou(expected) > 0.4
    assert abs(found.lean - angle) < 15
    guard.close()


@pytest.mark.slow
def test_a_face_that_lies_is_found_in_turned_frames() -> None:
    from facereg._api.components import build_guard
    from tests import clips

    guard = build_guard(Registry(), None)
    assert guard is not None
    lying = np.ascontiguousarray(np.rot90(clips.astronaut(), 3))  # clockwise

    (found,) = guard.look(Frame(lying), 1)

    x0, y0, x1, y1 = clips.FACE
    assert found.place.iou(Place.of(Box(512 - y1, x0, 512 - y0, x1))) > 0.5
    guard.close()


def test_the_first_frames_of_a_view_are_drawn_from_held_faces_alone() -> None:
    result = FrameResult(frame(0), held=(face(60, parsed=False),))

    assert (view("fill:face")(result)[55, 70] == 0).all()
    assert (view("overlay")(result) == result.frame.image).all()
