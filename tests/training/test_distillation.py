from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from facereg import UsageError
from facereg.models import find_model
from facereg.plugins.pspnet import tta
from facereg.plugins.pspnet.crops import cut
from facereg.plugins.pspnet.engines import Compute, build_engine
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.training.card import new_card, write_card, write_weights
from facereg.training.distillation import Teachers
from tests import clips
from tests.training.networks import small_network


@pytest.mark.slow
def test_teachers_give_the_mean_of_their_probabilities(tmp_path: Path) -> None:
    crop = clips.astronaut()[0:224, 110:334]
    views = np.stack([cv2.resize(crop, (192, 192))])
    network = small_network()
    write_weights(network.state_dict(), tmp_path / "small.safetensors")
    write_card(new_card(network, 192), tmp_path / "small.safetensors")
    names = ["base", str(tmp_path / "small.safetensors")]
    both = Teachers(names, 192)(views)
    assert both.shape == (1, 21, 48, 48)
    torch.testing.assert_close(both.sum(1), torch.ones(1, 48, 48))
    torch.testing.assert_close(both, sum(Teachers([n], 192)(views) for n in names) / 2)
    with pytest.raises(UsageError, match="unknown model 'bsae'"):
        Teachers(["bsae"], 192)


@pytest.mark.slow
def test_a_teacher_answers_at_its_own_size_too() -> None:
    views = clips.astronaut()[None, :448, :448]
    smaller = cv2.resize(views[0], (384, 384), interpolation=cv2.INTER_AREA)
    answer = Teachers(["base"], 448)(views)
    assert answer.shape == (1, 21, 112, 112)
    torch.testing.assert_close(answer.sum(1), torch.ones(1, 112, 112))
    engine = build_engine(find_model("base"), 384, Compute())
    closer = cut(smaller, tta.zoomed_mirror(np.eye(2, 3), 384), 384)
    own = torch.from_numpy(tta.merge_logits(*engine.logits(np.stack([smaller, closer]))))[None]
    sharp = F.interpolate(own, 112, mode="bilinear").softmax(1)
    assert (answer >= sharp / 2 - 1e-3).all()
    assert (answer - sharp).abs().max() > 0.1


@pytest.mark.slow
def test_a_teacher_looks_twice() -> None:
    view = cv2.resize(clips.astronaut()[:448, :448], (384, 384), interpolation=cv2.INTER_AREA)
    taught = Teachers(["base"], 384)(view[None])[0].argmax(0).numpy()
    twice, once = (PSPNetSegmenter(tta=how).parse_crop(view, (96, 96)) for how in ("on", "off"))
    assert np.mean(taught == twice) > 0.99
    assert np.mean(taught == twice) > np.mean(taught == once) + 0.02
