"""A model with a card: what it remembers of a face, and when it forgets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facereg import Box, Detection, Frame
from facereg.models import find_model
from facereg.plugins.pspnet.engines import Compute
from facereg.plugins.pspnet.model import TrainedModel
from tests import clips

FACE = replace(Detection(Box(*clips.FACE), 1.0), track=4)


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return TrainedModel(find_model("base"), 0, 0.0, Compute(threads=1))


def frame(step: int) -> Frame:
    return Frame(np.ascontiguousarray(np.roll(clips.astronaut(), step, axis=1)), step, step / 25)


def test_what_it_remembers_can_be_taken_up_by_another(model: TrainedModel) -> None:
    model.segment(frame(0), [FACE])
    state = model.state()
    other = TrainedModel(find_model("base"), 0, 0.0, Compute(threads=1))
    other.restore(state)

    (one,), (two,) = (m.segment(frame(3), [FACE]) for m in (model, other))

    np.testing.assert_array_equal(one.labels, two.labels)
    model.forget(4)
    assert model.state() == {"framing": {}, "smoother": {}}


def test_without_smoothing_nothing_is_kept_of_the_masks() -> None:
    model = TrainedModel(find_model("base"), 0, 0.0, Compute(threads=1), smooth=False)

    (first,) = model.segment(frame(0), [FACE])
    model.segment(frame(3), [FACE])
    (again,) = model.segment(frame(0), [FACE])

    np.testing.assert_array_equal(first.labels, again.labels)
    assert model.state()["smoother"] == {}


def test_it_names_its_weights_and_its_engine(model: TrainedModel) -> None:
    described = model.describe()

    assert described["name"] == "base"
    assert described["sha256"] == find_model("base").sha256
    assert described["engine"] == "onnx cpu int8"
