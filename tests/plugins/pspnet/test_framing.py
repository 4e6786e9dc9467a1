"""A crop is put higher where it would cut off hair, as far as the frame has anything there."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from facereg.plugins.pspnet import framing
from facereg.plugins.pspnet.crops import LIFT, lift_to_edge
from facereg.plugins.pspnet.framing import LIFT_STEP, MAX_LIFT, Framing, cuts_head
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.regions import IDS
from facereg.types import Box, Detection, Frame
from tests import clips

FACE = Detection(Box(100, 120, 160, 200), 1.0)


def top(name: str, share: float) -> np.ndarray:
    """Make logits with a class on a share of the upper edge, and background elsewhere."""
    logits = np.zeros((21, 96, 96), np.float32)
    logits[0] = 1
    logits[IDS[name], :3, : round(share * 96)] = 2
    return logits


def centre(framing: Framing, face: Detection) -> float:
    """Tell how far a crop's centre is above its box's, in sides of the box."""
    back = cv2.invertAffineTransform(framing.matrix(face))
    middle = float((back @ np.array([191.5, 191.5, 1]))[1])
    return ((face.box.y0 + face.box.y1 - 1) / 2 - middle) / 70


@pytest.mark.parametrize(
    ("name", "share", "cut"),
    [("hair", 0.2, True), ("head_covering", 0.2, True), ("hair", 0.02, False), ("skin", 1, False)],
)
def test_hair_and_hats_at_the_upper_edge_are_cut_off(name: str, share: float, cut: bool) -> None:
    assert cuts_head(top(name, share)) is cut


def test_a_crop_rises_with_its_track_and_stays() -> None:
    kept, face = Framing(1.7, 384), replace(FACE, track=3)
    kept.learn(3, top("skin", 1))
    assert centre(kept, face) == pytest.approx(LIFT)
    for i in range(1, 20):
        kept.learn(3, top("hair", 0.5))
        assert centre(kept, face) == pytest.approx(min(LIFT + i * LIFT_STEP, MAX_LIFT))
    kept.learn(3, top("skin", 1))
    other = Framing(1.7, 384)
    other.restore(kept.state())
    assert centre(other, face) == pytest.approx(MAX_LIFT)
    other.forget(3)
    assert centre(other, face) == pytest.approx(LIFT)


def test_a_new_face_is_cropped_again_at_once() -> None:
    kept, face = Framing(1.7, 384), replace(FACE, track=3)
    assert kept.reframed(face, top("skin", 1)) is None
    higher = kept.reframed(face, top("hair", 0.5))
    assert higher is not None
    np.testing.assert_array_equal(higher, kept.matrix(face))
    assert centre(kept, face) == pytest.approx(MAX_LIFT)
    assert kept.reframed(face, top("hair", 0.5)) is None, "it is known now"
    assert kept.reframed(FACE, top("hair", 0.5)) is not None
    assert centre(kept, FACE) == pytest.approx(LIFT), "nobody follows it"


@pytest.mark.parametrize("down", [0, 4, 40])
def test_a_crop_does_not_rise_beyond_the_frame(down: int) -> None:
    box = Box(100, 20 + down, 160, 100 + down)
    face = Detection(box, 1.0, None, 3)
    kept = Framing(1.7, 384)
    kept.reframed(face, top("hair", 0.5))
    free = (60 + down) / 70 - 1.7 / 2
    assert lift_to_edge(face, 1.7) == pytest.approx(free)
    assert centre(kept, face) == pytest.approx(np.clip(free, LIFT, MAX_LIFT), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("track", [None, 1])
def test_hair_is_found_whole(track: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    image = clips.astronaut()
    x0, y0, x1, y1 = clips.FACE
    low = Detection(Box(x0, y0 + 15, x1, y1 + 15), 1.0, None, track)  # as of a bowed head
    segmenter = PSPNetSegmenter(tta="off")

    def hair() -> int:
        found = segmenter.segment(Frame(image), [low])[0].area("hair")
        if track is not None:
            segmenter.forget(track)
        return found

    whole = hair()
    monkeypatch.setattr(framing, "MAX_LIFT", LIFT)
    assert whole > 1.05 * hair()
