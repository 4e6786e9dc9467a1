"""Who is who from frame to frame, and where each face is while no detector runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from facereg import Box, Detection, Face, Frame, PluginError, RegionMasks
from facereg.checkpoint import pack, unpack
from facereg.tracking.track import HIGH_SCORE
from facereg.tracking.tracker import Tracker
from tests.tracking.scene import NOISE, Watched, bowed, found, frame, mask, wall


def still(every: int, *, score: float = 0.9) -> Watched:
    """One face that is always there, and does not move."""
    return Watched(
        Tracker(every), lambda _i: [found(100, 80, score=score)], lambda _i, _d: mask(100, 80)
    )


def established(every: int, frames: int = 20) -> Watched:
    """One face that has been followed for some frames; what comes then is to be set."""
    watched = still(every)
    assert watched.follow_ids(range(frames)) == [[1]] * frames
    return watched


def test_the_detector_runs_on_every_nth_frame_while_all_is_well() -> None:
    watched = still(5)
    watched.follow_ids(range(20))
    assert watched.detected == [0, 5, 10, 15]


def test_while_nobody_is_there_it_runs_on_every_frame() -> None:
    watched = Watched(Tracker(5), lambda _i: [], lambda _i, _d: wall())
    assert watched.follow_ids(range(4)) == [[]] * 4
    assert watched.detected == [0, 1, 2, 3]


def test_the_next_detection_is_prefetched_as_soon_as_its_frame_has_been_read() -> None:
    watched = still(5)
    for i in range(10):
        watched.follow(i, [frame(j) for j in range(i + 1, i + 4)])
    assert sorted(set(watched.prefetched)) == [5, 10]
    assert watched.prefetched[0] == 5
    assert watched.detected == [0, 5]


def test_the_next_frame_is_prefetched_while_nobody_is_there() -> None:
    watched = Watched(Tracker(5), lambda _i: [], lambda _i, _d: wall())
    watched.follow(0, [frame(1), frame(2)])
    assert watched.prefetched == [1]


def test_between_detections_the_box_follows_the_mask() -> None:
    watched = Watched(
        Tracker(10), lambda i: [found(60 + 6 * i, 80)], lambda i, _d: mask(60 + 6 * i, 80)
    )
    for i in range(9):
        (face,) = watched.follow(i)
        assert abs(face.detection.box.x0 - (60 + 6 * i)) < 20
    assert watched.detected == [0]
    assert face.detection.box.x0 > 85


@pytest.mark.parametrize("growth", [2.0, 0.0, -2.0])
def test_between_detections_the_box_grows_and_shrinks_with_the_mask(growth: float) -> None:
    def side(i: int) -> int:
        return round(70 + growth * i)

    def corner(i: int) -> float:
        return 120 - side(i) / 2

    watched = Watched(
        Tracker(20),
        lambda i: [found(corner(i), corner(i), side(i))],
        lambda i, _d: mask(corner(i), corner(i), side(i)),
    )
    for i in range(12):
        (face,) = watched.follow(i)
    assert watched.detected == [0]
    box = face.detection.box
    assert abs((box.x0 + box.x1) / 2 - 120) <= 2
    assert box.width == pytest.approx(70 + growth * 11, abs=8 if growth else 0)


def test_ids_are_stable_when_detections_come_in_another_order() -> None:
    places = [[(20, 80), (200, 80)], [(203, 82), (22, 80)]]
    watched = Watched(
        Tracker(1),
        lambda i: [found(*place) for place in places[i]],
        lambda _i, d: mask(d.box.x0, d.box.y0),
    )
    one, two = ({f.id: f.detection.box.x0 < 110 for f in watched.follow(i)} for i in range(2))
    assert one == two


def test_a_mask_that_is_no_face_ends_the_track_at_once_and_calls_the_detector() -> None:
    there = [found(100, 80)]
    watched = Watched(
        Tracker(10), lambda _i: there, lambda i, _d: mask(100, 80) if i < 1 else wall()
    )
    assert watched.follow_ids([0]) == [[1]]
    there.clear()
    assert watched.follow_ids([1]) == [[]]
    assert watched.detected == [0, 1]
    assert watched.forgotten == [1]
    watched.follow(2)
    assert watched.detected == [0, 1, 2]


def test_a_cut_ends_every_track() -> None:
    watched = still(10)
    assert watched.follow_ids(range(3)) == [[1]] * 3
    assert watched.follow_ids([frame(3, scene=1)]) == [[2]]
    assert watched.detected == [0, 3]
    assert watched.forgotten == [1]


def test_a_scene_from_before_a_face_was_found_ends_nothing() -> None:
    def is_there(i: int) -> bool:  # for two frames, and gone long before the scene changes
        return i < 2 or i >= 40

    watched = Watched(
        Tracker(1),
        lambda i: [found(100, 80)] * is_there(i),
        lambda i, _d: mask(100, 80) if is_there(i) else wall(),
    )
    watched.follow_ids(range(40))
    numbers = watched.follow_ids([frame(i, scene=1) for i in range(40, 43)])
    assert numbers == [numbers[0]] * 3
    assert len(numbers[0]) == 1


def test_a_face_that_returns_within_a_second_keeps_its_number() -> None:
    places = {0: (100, 80), 20: (130, 85), 60: (130, 85)}
    watched = Watched(
        Tracker(1),
        lambda i: [found(*places[i])] if i in places else [],
        lambda i, _d: mask(*places[i]) if i in places else wall(),
    )
    numbers = watched.follow_ids(range(61))
    assert numbers[0] == numbers[20] == [1]
    assert numbers[60] == [2]


def test_a_face_that_the_detector_loses_is_followed_by_its_mask_for_a_while() -> None:
    watched = Watched(
        Tracker(1), lambda i: [found(100, 80)] if i == 0 else [], lambda _i, _d: mask(100, 80)
    )
    numbers = watched.follow_ids(range(60))
    assert numbers[:31] == [[1]] * 31
    assert numbers[-1] == []


def test_a_still_face_has_a_still_box_though_the_detector_trembles() -> None:
    rng = np.random.default_rng(1)
    watched = Watched(
        Tracker(1),
        lambda _i: [found(100 + rng.normal(0, 0.5), 80 + rng.normal(0, 0.5), 100)],
        lambda _i, _d: mask(100, 80, 100),
    )
    boxes = [watched.follow(i)[0].detection.box for i in range(50)]
    assert len(set(boxes[6:])) <= 3


@pytest.mark.parametrize(("score", "kept"), [(0.8, []), (0.99, [1])])
def test_a_doubtful_detection_needs_a_mask_that_is_a_face(score: float, kept: list[int]) -> None:
    watched = Watched(Tracker(1), lambda _i: [found(100, 80, score=score)], lambda _i, _d: wall())
    assert watched.follow_ids([0]) == [kept]


def test_an_established_face_that_looks_down_is_followed_for_four_frames() -> None:
    watched = established(100)
    watched.detect = lambda _i: []
    watched.mask = lambda i, _d: bowed(100, 80 + i - 20)
    assert watched.follow_ids(range(20, 26)) == [[1]] * 4 + [[]] * 2


def test_an_established_face_that_looks_down_stays_as_long_as_the_detector_sees_it() -> None:
    watched = established(5)
    watched.mask = lambda _i, _d: bowed(100, 80)
    watched.detected.clear()
    assert watched.follow_ids(range(20, 60)) == [[1]] * 40
    assert watched.forgotten == []
    assert watched.detected == list(range(20, 60, 5))


@pytest.mark.parametrize(("frames", "kept"), [(20, [1]), (3, [])])
def test_an_established_face_that_is_found_again_needs_no_eyes_and_a_new_one_does(
    frames: int, kept: list[int]
) -> None:
    watched = established(1, frames)
    watched.detect = lambda i: [] if i == 20 else [found(104, 84)]
    watched.mask = lambda i, _d: wall() if i == 20 else bowed(104, 84)
    assert watched.follow_ids([20, 21]) == [[], kept]


def test_an_established_face_stays_without_its_mask_while_the_detector_finds_it() -> None:
    watched = established(8)
    watched.mask = lambda _i, _d: wall()
    assert watched.follow_ids(range(20, 24)) == [[1]] * 4
    assert watched.detected[-4:] == [20, 21, 22, 23]  # the detector looks again in the same frame
    assert watched.forgotten == []
    assert watched.segmented[-1][0].score < HIGH_SCORE


@pytest.mark.parametrize("other", [wall(), bowed(135, 80), bowed(112, 92, 36)])
def test_an_established_face_ends_at_once_if_its_mask_is_no_face_or_another_one(
    other: RegionMasks,
) -> None:
    watched = established(100)
    watched.detect, watched.mask = lambda _i: [], lambda _i, _d: other
    assert watched.follow_ids([20]) == [[]]
    assert watched.forgotten == [1]


def test_a_cut_between_dark_scenes_ends_every_track() -> None:
    night = [Frame(NOISE // 10, i, i / 25) for i in range(2)]
    other = Frame(np.rot90(NOISE // 4, 2).copy() + np.uint8(15), 2, 2 / 25)
    assert still(10).follow_ids([*night, other]) == [[1], [1], [2]]


@pytest.mark.parametrize(("score", "kept"), [(0.99, [1]), (0.9, [])])
def test_a_face_that_the_detector_is_sure_of_is_established_without_its_mask(
    score: float, kept: list[int]
) -> None:
    watched = Watched(
        Tracker(1),
        lambda i: [found(100, 80, score=score)] if i < 12 else [],
        lambda i, _d: bowed(100, 80) if i else mask(100, 80),  # a profile: skin and a nose
    )
    assert watched.follow_ids(range(13))[-1] == kept


def test_a_frame_that_failed_does_not_harm_the_next() -> None:
    watched = still(3)
    watched.follow_ids(range(3))

    def fail(index: int) -> Sequence[Detection]:
        raise PluginError("out of memory")

    good, watched.detect = watched.detect, fail
    with pytest.raises(PluginError):
        watched.follow(3)
    watched.detect = good
    assert watched.follow_ids([4, 5]) == [[1], [1]]
    assert watched.detected == [0, 3, 4]


def two_faces(tracker: Tracker) -> Watched:
    """Two faces, one of which is away in frames 5 to 8."""

    def places(i: int) -> list[tuple[float, float]]:
        return [(60 + 3.3 * i, 80), (220, 90)]

    def there(i: int) -> list[tuple[float, float]]:
        return places(i)[:1] if 5 <= i <= 8 else places(i)

    def detect(i: int) -> list[Detection]:
        shape = np.array([[18, 25], [42, 25], [30, 38], [20, 48], [40, 48]], np.float32)
        return [
            Detection(found(*p).box, 0.9 + p[0] / 3000, shape + np.array(p, np.float32))
            for p in there(i)
        ]

    def draw(i: int, d: Detection) -> RegionMasks:
        nearest = min(places(i), key=lambda place: abs(place[0] - d.box.x0))
        return mask(*nearest) if nearest in there(i) else wall()

    return Watched(tracker, detect, draw)


def rows(faces: Sequence[Face]) -> list[tuple[int, Box, float, list[list[float]]]]:
    found = []
    for face in faces:
        one = face.detection
        assert one.landmarks is not None
        found.append((face.id, one.box, one.score, one.landmarks.tolist()))
    return found


def test_another_tracker_continues_exactly_where_one_ended() -> None:
    frames = [frame(i, scene=i // 12) for i in range(16)]  # with a cut before frame 12
    one, states, results = two_faces(Tracker(3)), [], []
    for at in frames:
        states.append(pack(one.tracker.state()))
        results.append(rows(one.follow(at)))
    assert one.forgotten == [2, 1, 2]
    for i, state in enumerate(states):
        other = two_faces(Tracker(3))
        other.tracker.restore(unpack(state))
        assert [rows(other.follow(at)) for at in frames[i:]] == results[i:], f"from frame {i}"


# --- look back ------------------------------------------------------------------------------------


def entering(
    tracker: Tracker, first: int, *, last: int = 10**6, scene: int = 0
) -> tuple[Watched, list[Frame]]:
    """One face that is always there, and another one in frames ``first`` to ``last``."""

    def there(i: int) -> list[tuple[int, int]]:
        return [(20, 80), (200, 90)][: 1 + (first <= i <= last)]

    def draw(i: int, d: Detection) -> RegionMasks:
        nearest = min(there(i), key=lambda place: abs(place[0] - d.box.x0))
        return mask(*nearest) if d.box.iou(found(*nearest).box) > 0.2 else wall()

    watched = Watched(tracker, lambda i: [found(*place) for place in there(i)], draw)
    return watched, [frame(i, scene=scene and i // scene) for i in range(24)]


def follow_all(watched: Watched, frames: Sequence[Frame], ahead: int) -> list[list[int]]:
    """Follow the faces of a video, with some frames read ahead."""
    return [
        [face.id for face in watched.follow(at, frames[i + 1 : i + 1 + ahead])]
        for i, at in enumerate(frames)
    ]


@pytest.mark.parametrize("first", range(1, 24))
def test_a_face_is_found_in_the_frame_in_which_it_enters(first: int) -> None:
    watched, frames = entering(Tracker(8, look_back=7), first)
    assert follow_all(watched, frames, 12) == [[1]] * first + [[1, 2]] * (24 - first)


def test_without_look_back_it_is_found_at_the_next_detection() -> None:
    watched, frames = entering(Tracker(8), 3)
    assert follow_all(watched, frames, 4) == [[1]] * 8 + [[1, 2]] * 16
    assert watched.peeked == []


def test_a_short_look_back_finds_it_that_many_frames_earlier() -> None:
    watched, frames = entering(Tracker(8, look_back=2), 3)
    assert follow_all(watched, frames, 2) == [[1]] * 6 + [[1, 2]] * 18


def test_only_frames_before_a_new_face_are_searched() -> None:
    watched, frames = entering(Tracker(8, look_back=7), 11)
    follow_all(watched, frames, 12)
    assert watched.detected == [0, 8, 9, 10, 11, 16]
    assert set(watched.peeked) == {8, 16, 23}  # 23 is the last frame of the video


def test_a_face_that_leaves_before_the_last_frame_of_its_scene_is_found_there() -> None:
    # The scene ends with frame 11, before the next detection's turn in frame 16.
    watched, frames = entering(Tracker(8, look_back=7), 10, last=11, scene=12)
    numbers = follow_all(watched, frames, 12)
    assert numbers[9:12] == [[1], [1, 2], [1, 2]]
    assert len(numbers[12]) == 1


def test_a_wall_that_is_taken_for_a_face_is_searched_once() -> None:
    watched = Watched(
        Tracker(8, look_back=7),
        lambda _i: [found(20, 80), found(200, 90)],
        lambda _i, d: mask(20, 80) if d.box.x0 < 100 else wall(),
    )
    frames = [frame(i) for i in range(24)]
    assert follow_all(watched, frames, 12) == [[1]] * 24
    assert watched.detected == [0, 8, 16]


def test_a_face_that_fades_in_is_found_as_soon_as_the_detector_is_sure() -> None:
    # A weak detection in frame 8 is rejected; from frame 11 on the detector is sure of the face.
    def detect(i: int) -> list[Detection]:
        second = [found(200, 90, score=0.99 if i >= 11 else 0.8)] if i >= 8 else []
        return [found(20, 80), *second]

    watched = Watched(
        Tracker(8, look_back=7),
        detect,
        lambda i, d: mask(20, 80) if d.box.x0 < 100 else mask(200, 90) if i >= 11 else wall(),
    )
    numbers = follow_all(watched, [frame(i) for i in range(24)], 12)
    assert [len(ids) for ids in numbers] == [1] * 11 + [2] * 13


@pytest.mark.parametrize(("look_back", "again"), [(7, 15), (0, 20)])
def test_a_face_that_was_lost_is_searched_in_every_frame_for_a_moment(
    look_back: int, again: int
) -> None:
    # Frames 12 to 14: behind a pillar. No detection has its turn before frame 20.
    def hidden(i: int) -> bool:
        return 12 <= i <= 14

    watched = Watched(
        Tracker(8, look_back),
        lambda i: [found(20, 80), found(200, 90)][: 2 - hidden(i)],
        lambda i, d: wall() if d.box.x0 > 100 and hidden(i) else mask(d.box.x0, d.box.y0),
    )
    numbers = follow_all(watched, [frame(i) for i in range(30)], 12)
    assert [sorted(ids) for ids in numbers] == (
        [[1, 2]] * 12 + [[1]] * (again - 12) + [[1, 2]] * (30 - again)
    )


def test_results_do_not_depend_on_how_many_more_frames_have_been_read() -> None:
    (one, frames), (other, _) = (entering(Tracker(8, look_back=7), 13) for _ in range(2))
    assert follow_all(one, frames, 7) == follow_all(other, frames, 12)
    assert one.detected == other.detected


def test_looking_back_continues_exactly_where_it_was_cut_off() -> None:
    (one, frames), states, results = entering(Tracker(8, look_back=7), 5), [], []
    for i, at in enumerate(frames):
        states.append(pack(one.tracker.state()))
        results.append([face.id for face in one.follow(at, frames[i + 1 : i + 13])])
    for i, state in list(enumerate(states))[::3]:
        other, _ = entering(Tracker(8, look_back=7), 5)
        other.tracker.restore(unpack(state))
        again = [
            [face.id for face in other.follow(at, frames[j + 1 : j + 13])]
            for j, at in enumerate(frames)
            if j >= i
        ]
        assert again == results[i:], f"from frame {i}"
