"""Soft regions: probabilities agree with the labels and are smoothed as they are."""

from __future__ import annotations

import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from facereg import Box, Detection, Face, Frame, FrameResult, RegionMasks
from facereg.models import find_model
from facereg.plugins.pspnet.engines import Compute
from facereg.plugins.pspnet.model import TrainedModel
from facereg.plugins.pspnet.soft import SoftRegions
from facereg.regions import CLASSES
from tests import clips

FACE = replace(Detection(Box(*clips.FACE), 1.0), track=4)


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return TrainedModel(find_model("base"), 0, 0.0, Compute(threads=1))


@pytest.fixture(scope="module")
def regions(model: TrainedModel) -> RegionMasks:
    return model.segment(Frame(clips.astronaut().copy()), [FACE])[0]


@pytest.mark.parametrize("name", ["hair", "lips", "face", "background", "left_eye"])
def test_a_class_is_likely_where_the_labels_have_it(regions: RegionMasks, name: str) -> None:
    soft, mask = regions.probability(name), regions.mask(name)

    assert soft is not None
    assert (soft.shape, soft.dtype) == (mask.shape, np.float32)
    assert 0 <= soft.min() <= soft.max() <= 1
    differ = (soft > 0.5) != mask
    assert differ.sum() < 0.06 * min(mask.sum(), (~mask).sum())


def test_an_edge_is_soft_and_all_else_is_certain(regions: RegionMasks) -> None:
    soft = regions.probability("hair")

    assert soft is not None
    between = (soft > 0.1) & (soft < 0.9)
    assert 0.005 < between.mean() < 0.15
    assert np.abs(np.diff(soft, axis=0)).max() < 0.75  # no step from 0 to 1 between two pixels


def test_all_classes_together_are_certain(regions: RegionMasks) -> None:
    everything, single = regions.probability(*CLASSES), [regions.probability(n) for n in CLASSES]

    assert everything is not None
    assert everything.min() > 0.999
    total = np.sum([plane for plane in single if plane is not None], axis=0)
    assert np.abs(total - 1).mean() < 0.01


def test_the_probability_is_smoothed_as_the_labels_are(model: TrainedModel) -> None:
    image = clips.astronaut().copy()
    noisy = np.clip(image + np.random.default_rng(0).normal(0, 8, image.shape), 0, 255)
    frames = [Frame(image), Frame(noisy.astype(np.uint8), 1)]
    one = [model.segment(frame, [replace(FACE, track=9)])[0] for frame in frames]
    alone = TrainedModel(find_model("base"), 0, 0.0, Compute(threads=1), smooth=False)
    other = [alone.segment(frame, [replace(FACE, track=9)])[0] for frame in frames]

    def change(found: list[RegionMasks]) -> float:
        before, after = (r.probability("hair") for r in found)
        assert before is not None
        assert after is not None
        return float(np.abs(before - after).mean())

    assert change(one) < 0.7 * change(other)


def test_pixels_of_another_face_are_background(model: TrainedModel) -> None:
    x0, y0, x1, y1 = clips.FACE
    other = Detection(Box(x0 - 60, y0, x1 - 60, y1), 1.0, track=5)
    mine, _ = model.segment(Frame(clips.astronaut().copy()), [replace(FACE, track=6), other])

    (theirs,) = (model.segment(Frame(clips.astronaut().copy()), [replace(FACE, track=7)]),)
    lost = (mine.labels == 0) & (theirs[0].labels != 0)
    soft = mine.probability("head")
    assert lost.sum() > 500
    assert soft is not None
    assert soft[lost].mean() < 0.05
    background = mine.probability("background")
    assert background is not None
    assert background[lost].mean() > 0.95


def test_a_face_behind_another_one_ends_where_that_one_begins(regions: RegionMasks) -> None:
    near_box = Box(*clips.FACE).moved(40, 40)
    near = RegionMasks(near_box, np.full((near_box.height, near_box.width), 1, np.uint8))
    grown = Detection(near_box.grown(50), 1.0)
    result = FrameResult(
        Frame(clips.astronaut().copy()), (Face(1, FACE, regions), Face(2, grown, near))
    )

    own = {face.id: part for face, part in result.owned()}

    soft = own[1].probability("face")
    assert soft is not None
    assert not soft[near_box.moved(-regions.box.x0, -regions.box.y0).slices].any()
    assert soft.any()


def test_a_mirrored_face_is_as_soft(regions: RegionMasks) -> None:
    flipped = regions.mirrored(512)

    soft, other = regions.probability("lips"), flipped.probability("lips")
    assert soft is not None
    assert other is not None
    np.testing.assert_array_equal(soft[:, ::-1], other)
    assert flipped.mirrored(512).box == regions.box


def test_it_survives_pickling(regions: RegionMasks) -> None:
    again = pickle.loads(pickle.dumps(regions.without(regions.mask("nose"))))

    soft = again.probability("nose", "skin")
    assert soft is not None
    assert not soft[regions.mask("nose")].any()


def test_a_face_keeps_its_logits_in_half_of_their_memory(regions: RegionMasks) -> None:
    kept = regions.find_probability
    assert isinstance(kept, SoftRegions)
    assert kept.logits.dtype == np.float16
    logits = kept.logits.astype(np.float32)
    tracemalloc.start()
    SoftRegions.of(logits, kept.matrix, kept.size, kept.box, face=kept.face)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.1 * kept.logits.nbytes
