"""The closer, mirrored crop shows the same places, and its logits come back to them."""

from __future__ import annotations

import numpy as np
import pytest

from facereg.plugins.pspnet.crops import cut
from facereg.plugins.pspnet.tta import ZOOM, merge_logits, zoomed_mirror
from facereg.regions import IDS
from tests import clips

WHOLE = np.array([[0.75, 0, 0], [0, 0.75, 0]]) - [[0, 0, 0.125], [0, 0, 0.125]]  # 512 to 384


def test_the_closer_crop_is_the_inner_part_in_a_mirror() -> None:
    crop = cut(clips.astronaut(), WHOLE, 384)
    inner = cut(clips.astronaut(), zoomed_mirror(WHOLE, 384), 384)
    edge = round(192 * (1 - 1 / ZOOM))
    part = crop[edge:-edge, edge:-edge][:, ::-1]
    assert part.shape[0] == pytest.approx(384 / ZOOM, abs=1)
    small = inner[:: len(inner) // 32, :: len(inner) // 32].astype(float)
    places = np.linspace(0, len(part) - 1, len(small) + 1)[:-1].round().astype(int)
    assert np.abs(small - part[np.ix_(places, places)]).mean() < 16
    assert np.abs(small[:, ::-1] - part[np.ix_(places, places)]).mean() > 40


def test_logits_of_both_crops_meet_at_the_same_places() -> None:
    places = np.arange(96, dtype=np.float32)
    whole = np.zeros((21, 96, 96), np.float32)
    whole[0] = places  # a ramp across
    whole[IDS["left_eye"]] = places[:, None]  # and one down
    middle = 95 / 2
    inner = np.zeros_like(whole)
    inner[0] = middle - (places - middle) / ZOOM
    inner[IDS["right_eye"]] = middle + (places[:, None] - middle) / ZOOM  # in the mirror
    merged = merge_logits(whole, inner)
    assert merged.shape == (21, 192, 192)
    fine = (np.arange(192) + 0.5) / 2 - 0.5
    inside = slice(1, -1)  # at the very edge nothing lies beyond to interpolate with
    np.testing.assert_allclose(merged[0][:, inside], np.tile(fine[inside], (192, 1)), atol=0.06)
    np.testing.assert_allclose(
        merged[IDS["left_eye"]][inside], np.tile(fine[inside, None], (1, 192)), atol=0.06
    )
    assert not merged[IDS["right_eye"]].any()


def test_the_closer_crop_counts_for_half_inside_and_not_beyond_its_edge() -> None:
    whole, inner = np.zeros((21, 96, 96), np.float32), np.ones((21, 96, 96), np.float32)
    merged = merge_logits(whole, inner)[1]
    assert merged[96, 96] == 0.5
    beyond = int(96 * (1 - 1 / ZOOM)) - 2
    assert not merged[:beyond].any() and not merged[:, -beyond:].any()
    assert np.abs(np.diff(merged[96])).max() < 0.06  # no seam
