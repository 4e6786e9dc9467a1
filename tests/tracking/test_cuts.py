"""A cut is a change of the whole picture."""

from __future__ import annotations

import numpy as np

from facereg import Frame
from facereg.checkpoint import pack, unpack
from facereg.tracking.cuts import CutDetector
from tests.tracking.scene import NOISE, frame


def test_another_scene_is_a_cut_and_the_same_one_is_not() -> None:
    cuts = CutDetector()
    scenes = [0, 0, 1, 1, 0]
    assert [cuts.is_cut(frame(i, scene=s)) for i, s in enumerate(scenes)] == [
        False, False, True, False, True,
    ]  # fmt: skip


def test_a_dark_scene_needs_less_change() -> None:
    cuts = CutDetector()
    assert not cuts.is_cut(Frame(NOISE // 10))
    assert cuts.is_cut(Frame(np.rot90(NOISE // 4, 2).copy() + np.uint8(15), 1))


def test_what_was_forgotten_is_not_compared() -> None:
    cuts = CutDetector()
    cuts.is_cut(frame(0))
    cuts.forget()
    assert not cuts.is_cut(frame(1, scene=1))


def test_another_one_continues_from_its_state() -> None:
    one, other = CutDetector(), CutDetector()
    one.is_cut(frame(0))
    other.restore(unpack(pack(one.state())))
    assert other.is_cut(frame(1, scene=1))


def test_frames_before_a_coming_cut_are_counted() -> None:
    cuts = CutDetector()
    frames = [frame(i, scene=i // 3) for i in range(6)]
    assert not cuts.is_cut(frames[0])
    assert cuts.count_before_cut(frames[1:]) == 2
    assert cuts.count_before_cut(frames[1:3]) == 2
    assert [cuts.is_cut(one) for one in frames[1:]] == [False, False, True, False, False]
    assert cuts.count_before_cut([]) == 0


def test_a_frame_of_one_pixel_can_be_compared() -> None:
    cuts = CutDetector()
    dots = [Frame(np.full((1, 1, 3), value, np.uint8), i) for i, value in enumerate((0, 255))]
    assert [cuts.is_cut(dot) for dot in dots] == [False, True]
