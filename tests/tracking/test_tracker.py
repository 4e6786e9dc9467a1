from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from facereg import Box, Detection, Face, Frame, RegionMasks
from facereg.checkpoint import pack, unpack
from facereg.regions import IDS
from facereg.tracking.mask_position import measure
from facereg.tracking.one_euro import OneEuro
from facereg.tracking.track import SURE
from facereg.tracking.tracker import Tracker

WIDTH, HEIGHT = 320, 240
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def frame(index: int, *, scene: int = 0) -> Frame:
    return Frame(np.roll(NOISE // 2 + 100 * scene, 0, axis=1).copy(), index, index / 25)


def found(x: float, y: float, side: int = 60) -> Detection:
    return Detection(Box(round(x), round(y), round(x) + side, round(y) + side), 0.9)


def mask(x: float, y: float, side: int = 60) -> RegionMasks:
    """A drawn face that fills its box: skin, two eyes, a nose, a mouth."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    centre = (round(x + side / 2), round(y + side / 2))
    cv2.ellipse(labels, centre, (side // 2, side // 2), 0, 0, 360, IDS["skin"], -1)
    for dx, dy, name in ((-12, -8, "right_eye"), (12, -8, "left_eye"), (0, 4, "nose")):
        cv2.circle(labels, (centre[0] + dx, centre[1] + dy), 4, IDS[name], -1)
    cv2.circle(labels, (centre[0], centre[1] + 18), 5, IDS["lower_lip"], -1)
    return RegionMasks(Box(0, 0, WIDTH, HEIGHT), labels)


def bowed(x: float, y: float, side: int = 60) -> RegionMasks:
    """Somebody looks down: skin and the tip of a nose."""
    down = mask(x, y, side).labels
    down[~np.isin(down, (0, IDS["nose"]))] = IDS["skin"]
    return RegionMasks(Box(0, 0, WIDTH, HEIGHT), down)


def wall() -> RegionMasks:
    return RegionMasks(Box(0, 0, WIDTH, HEIGHT), np.zeros((HEIGHT, WIDTH), np.uint8))


def learn(
    tracker: Tracker, at: Frame, detections: Sequence[Detection], masks: Sequence[RegionMasks]
) -> tuple[Face, ...]:
    pairs = zip(detections, masks, strict=True)
    return tracker.learn(at, [Face(d.track or 0, d, m) for d, m in pairs])


def test_the_detector_runs_on_every_nth_frame_while_all_is_well() -> None:
    tracker, due = Tracker(5), []
    for i in range(20):
        if tracker.due(frame(i)):
            due.append(i)
            detections = tracker.update(frame(i), [found(100, 80)])
        else:
            detections = tracker.predict(frame(i))
        learn(tracker, frame(i), detections, [mask(100, 80)])
    assert due == [0, 5, 10, 15]


def test_while_nobody_is_there_it_looks_at_every_frame() -> None:
    tracker = Tracker(5)
    for i in range(4):
        assert tracker.due(frame(i))
        assert tracker.update(frame(i), []) == ()


def test_between_detections_the_box_follows_the_mask() -> None:
    tracker = Tracker(10)
    for i in range(9):
        x = 60 + 6 * i
        if tracker.due(frame(i)):
            detections = tracker.update(frame(i), [found(x, 80)])
        else:
            detections = tracker.predict(frame(i))
        assert abs(detections[0].box.x0 - x) < 20
        learn(tracker, frame(i), detections, [mask(x, 80)])
    assert detections[0].box.x0 > 85


@pytest.mark.parametrize("growth", [2.0, 0.0, -2.0])
def test_between_detections_the_box_grows_and_shrinks_with_the_mask(growth: float) -> None:
    tracker = Tracker(20)
    for i in range(13):
        side = round(70 + growth * i)
        corner = 120 - side / 2
        if tracker.due(frame(i)):
            detections = tracker.update(frame(i), [found(corner, corner, side)])
        else:
            detections = tracker.predict(frame(i))
        learn(tracker, frame(i), detections, [mask(corner, corner, side)])
    box = detections[0].box
    assert abs((box.x0 + box.x1) / 2 - 120) <= 2
    assert box.width == pytest.approx(70 + growth * 12, abs=8 if growth else 0)


def test_ids_are_stable_when_detections_come_in_another_order() -> None:
    tracker = Tracker(1)
    first = tracker.update(frame(0), [found(20, 80), found(200, 80)])
    second = tracker.update(frame(1), [found(203, 82), found(22, 80)])
    assert {d.track: d.box.x0 < 110 for d in first} == {d.track: d.box.x0 < 110 for d in second}


def test_a_mask_that_is_no_face_ends_the_track_at_once_and_calls_the_detector() -> None:
    tracker = Tracker(10)
    tracker.due(frame(0))
    learn(tracker, frame(0), tracker.update(frame(0), [found(100, 80)]), [mask(100, 80)])
    assert not tracker.due(frame(1))
    assert learn(tracker, frame(1), tracker.predict(frame(1)), [wall()]) == ()
    assert tracker.failed
    assert tracker.ended == [1]
    assert tracker.due(frame(2))


def test_a_cut_ends_every_track() -> None:
    tracker = Tracker(10)
    for i in range(2):
        tracker.due(frame(i))
        detections = tracker.update(frame(i), [found(100, 80)])
        learn(tracker, frame(i), detections, [mask(100, 80)])
    assert not tracker.due(frame(2))
    assert tracker.due(frame(3, scene=1))
    assert tracker.predict(frame(3, scene=1)) == ()
    (new,) = tracker.update(frame(3, scene=1), [found(100, 80)])
    assert new.track == 2


def test_a_scene_from_before_a_face_was_found_ends_nothing() -> None:
    tracker = Tracker(1)
    for i in range(40):  # it is there for two frames, and gone long before the scene changes
        tracker.due(frame(i))
        detections = tracker.update(frame(i), [found(100, 80)] if i < 2 else [])
        learn(tracker, frame(i), detections, [mask(100, 80) if i < 2 else wall()] * len(detections))
    numbers = []
    for i in range(40, 43):
        tracker.due(frame(i, scene=1))
        (face,) = tracker.update(frame(i, scene=1), [found(100, 80)])
        learn(tracker, frame(i, scene=1), [face], [mask(100, 80)])
        numbers.append(face.track)
    assert len(set(numbers)) == 1


def test_a_face_that_returns_within_a_second_keeps_its_number() -> None:
    tracker = Tracker(1)
    (first,) = tracker.update(frame(0), [found(100, 80)])
    learn(tracker, frame(0), [first], [wall()])
    for i in range(1, 20):
        tracker.update(frame(i), [])
    (back,) = tracker.update(frame(20), [found(130, 85)])
    assert back.track == first.track
    for i in range(21, 60):
        tracker.update(frame(i), [])
    (late,) = tracker.update(frame(60), [found(130, 85)])
    assert late.track != first.track


def test_a_face_that_the_detector_loses_is_followed_by_its_mask_for_a_while() -> None:
    tracker = Tracker(1)
    detections = tracker.update(frame(0), [found(100, 80)])
    learn(tracker, frame(0), detections, [mask(100, 80)])
    kept = []
    for i in range(1, 60):
        detections = tracker.update(frame(i), [])
        kept.append(len(detections))
        learn(tracker, frame(i), detections, [mask(100, 80)] * len(detections))
    assert kept[:30] == [1] * 30
    assert kept[-1] == 0


def test_a_still_face_has_a_still_box_though_the_detector_trembles() -> None:
    tracker, rng = Tracker(1), np.random.default_rng(1)
    boxes = set()
    for i in range(50):
        dx, dy = rng.normal(0, 0.5, 2)
        (d,) = tracker.update(frame(i), [found(100 + dx, 80 + dy, 100)])
        if i > 5:
            boxes.add(d.box)
    assert len(boxes) <= 3


def test_the_filter_keeps_up_with_fast_motion() -> None:
    smooth = OneEuro()
    for i in range(20):
        value = np.array([10.0 * i, 0, 10.0 * i + 60, 60])
        got = smooth(value, 60.0, i / 25)
    assert abs(got[0] - value[0]) < 6


def test_an_anchor_is_the_masks_centre_near_the_box() -> None:
    anchor = measure(mask(100, 80), Box(100, 80, 160, 140))
    assert anchor is not None
    assert abs(anchor.x - 130) < 1
    assert abs(anchor.y - 110) < 1
    assert measure(wall(), Box(100, 80, 160, 140)) is None
    assert measure(mask(100, 80), Box(0, 0, 60, 60)) is None  # somebody else's face


def test_a_doubtful_detection_needs_a_mask_that_is_a_face() -> None:
    for score, kept in ((0.8, 0), (0.99, 1)):
        tracker = Tracker(1)
        detections = tracker.update(frame(0), [Detection(Box(100, 80, 160, 140), score)])
        assert len(learn(tracker, frame(0), detections, [wall()])) == kept
        assert not tracker.failed


def known_well(tracker: Tracker, frames: int = 20) -> None:
    """Follow a face for so many frames."""
    for i in range(frames):
        due = tracker.due(frame(i))
        new = tracker.update(frame(i), [found(100, 80)]) if due else tracker.predict(frame(i))
        assert len(learn(tracker, frame(i), new, [mask(100, 80)])) == 1


def test_a_known_face_that_looks_down_is_followed_for_four_frames() -> None:
    tracker = Tracker(100)
    known_well(tracker)
    kept = []
    for i in range(20, 26):
        tracker.due(frame(i))
        new = tracker.predict(frame(i))
        kept.append(len(learn(tracker, frame(i), new, [bowed(100, 80 + i - 20)] * len(new))))
    assert kept == [1, 1, 1, 1, 0, 0]


def test_a_known_face_that_looks_down_stays_as_long_as_the_detector_sees_it() -> None:
    tracker, asked = Tracker(5), 0
    known_well(tracker)
    for i in range(20, 60):
        due = tracker.due(frame(i))
        new = tracker.update(frame(i), [found(100, 80)]) if due else tracker.predict(frame(i))
        faces = learn(tracker, frame(i), new, [bowed(100, 80)])
        if tracker.failed and not due:
            new = tracker.update(frame(i), [found(100, 80)])
            faces = learn(tracker, frame(i), new, [bowed(100, 80)])
        asked += due
        assert [face.id for face in faces] == [1]
    assert tracker.ended == []
    assert asked == 8


def test_a_known_face_that_is_found_again_needs_no_eyes_and_a_new_one_does() -> None:
    for frames, kept in ((20, 1), (3, 0)):
        tracker = Tracker(1)
        known_well(tracker, frames)
        learn(tracker, frame(20), tracker.predict(frame(20)), [wall()])
        assert tracker.ended == [1]
        again = tracker.update(frame(21), [found(104, 84)])
        assert [d.track for d in again] == [1]
        assert len(learn(tracker, frame(21), again, [bowed(104, 84)])) == kept


def test_a_known_face_stays_without_its_mask_while_the_detector_finds_it() -> None:
    tracker = Tracker(8)
    known_well(tracker)
    for i in range(20, 24):
        tracker.due(frame(i))
        assert learn(tracker, frame(i), tracker.predict(frame(i)), [wall()]) == ()
        assert tracker.failed  # so the detector looks again, in the same frame
        (again,) = tracker.update(frame(i), [found(100, 80)])
        assert again.score < SURE
        assert [face.id for face in learn(tracker, frame(i), [again], [wall()])] == [1]


def test_a_known_face_ends_at_once_where_its_mask_is_no_face_or_another_one() -> None:
    for no_face in (wall(), bowed(135, 80), bowed(112, 92, 36)):
        tracker = Tracker(100)
        known_well(tracker)
        assert learn(tracker, frame(20), tracker.predict(frame(20)), [no_face]) == ()
        assert tracker.ended == [1]


def test_a_cut_between_dark_scenes_ends_every_track() -> None:
    tracker = Tracker(10)
    night = [Frame(picture, i, i / 25) for i, picture in enumerate((NOISE // 10, NOISE // 10))]
    other = Frame(np.rot90(NOISE // 4, 2).copy() + np.uint8(15), 2, 2 / 25)
    for at in night:
        tracker.due(at)
        detections = tracker.update(at, [found(100, 80)])
        learn(tracker, at, detections, [mask(100, 80)])
    assert tracker.due(other)
    assert tracker.predict(other) == ()


def follow(tracker: Tracker, index: int) -> list[tuple]:
    """Follow two faces, one of which is away in frames 5 to 8, over a cut before frame 12."""
    at, places = frame(index, scene=index // 12), [(60 + 3.3 * index, 80), (220, 90)]
    there = places[:1] if 5 <= index <= 8 else places
    if tracker.due(at):
        shape = np.array([[18, 25], [42, 25], [30, 38], [20, 48], [40, 48]], np.float32)
        marks = [shape + np.array(place, np.float32) for place in there]
        pairs = zip(there, marks, strict=True)
        new = [Detection(found(*place).box, 0.9 + place[0] / 3000, m) for place, m in pairs]
        detections = tracker.update(at, new)
    else:
        detections = tracker.predict(at)
    near = [min(places, key=lambda place: abs(place[0] - d.box.x0)) for d in detections]
    faces = learn(tracker, at, detections, [mask(*n) if n in there else wall() for n in near])
    ended, tracker.ended = tracker.ended, []
    rows = [(f.id, f.detection.box, f.detection.score, f.detection.landmarks) for f in faces]
    return [tuple(ended), *((*row[:3], row[3].tolist()) for row in rows)]


def test_another_tracker_goes_on_exactly_where_one_ended() -> None:
    one, states, results = Tracker(3), [], []
    for i in range(16):
        states.append(pack(one.state()))
        results.append(follow(one, i))
    assert {result[0] for result in results} == {(), (2,), (1, 2)}
    for i, state in enumerate(states):
        other = Tracker(3)
        other.restore(unpack(state))
        assert [follow(other, j) for j in range(i, 16)] == results[i:], f"from frame {i}"


@pytest.mark.parametrize(("score", "followed"), [(0.99, True), (0.9, False)])
def test_a_face_that_the_detector_is_sure_of_is_known_well_without_its_mask(
    score: float, followed: bool
) -> None:
    tracker = Tracker(1)
    at = Detection(found(100, 80).box, score)
    first = tracker.update(frame(0), [at])
    assert learn(tracker, frame(0), first, [mask(100, 80)])
    for i in range(1, 12):  # a profile: skin and a nose
        assert learn(tracker, frame(i), tracker.update(frame(i), [at]), [bowed(100, 80)])
    kept = learn(tracker, frame(12), tracker.predict(frame(12)), [bowed(100, 80)])
    assert bool(kept) is followed
