from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from facereg.training.config import Recipe
from facereg.training.dataset import IGNORE
from facereg.training.loader import NONE_OF_PARTIAL
from facereg.training.losses import distillation_loss, interpolation_matrix, segmentation_loss

NONE = torch.zeros(21, dtype=torch.bool)  # no class is partly labelled


def test_the_loss_passes_over_unknown_pixels() -> None:
    logits = torch.randn(1, 21, 24, 24, generator=torch.Generator().manual_seed(1))
    labels = torch.ones(1, 96, 96, dtype=torch.int64)
    labels[:, :, 48:] = IGNORE
    changed = logits.clone()
    changed[..., 14:] = 100.0  # only where nothing is known
    recipe = Recipe(steps=1)
    torch.testing.assert_close(
        segmentation_loss(logits, labels, recipe, NONE),
        segmentation_loss(changed, labels, recipe, NONE),
    )


def test_partial_labels_judge_their_classes_alone() -> None:
    hair = torch.zeros(21, dtype=torch.bool)
    hair[10] = True
    labels = torch.full((1, 96, 96), NONE_OF_PARTIAL)
    labels[:, :48] = 10
    answer = torch.zeros(1, 21, 24, 24)
    answer[:, 10, :12] = 20.0
    answer[:, 1, 12:] = 20.0  # skin, which these labels know nothing of
    recipe = Recipe(steps=1, smoothing=0.0)
    other = answer.clone()
    other[:, [1, 18], 12:] = other[:, [18, 1], 12:]  # clothing there is as good
    right = segmentation_loss(answer, labels, recipe, hair)
    torch.testing.assert_close(right, segmentation_loss(other, labels, recipe, hair))
    everywhere = answer.clone()
    everywhere[:, 10] = 40.0
    assert float(segmentation_loss(everywhere, labels, recipe, hair)) > float(right) + 5


@pytest.mark.parametrize("first", [0, 1])
def test_logits_are_compared_where_the_labels_are(first: int) -> None:
    logits = torch.randn(1, 3, 24, 36, generator=torch.Generator().manual_seed(1))
    whole = F.interpolate(logits, (96, 144), mode="bilinear", align_corners=False)
    rows, columns = interpolation_matrix(24, 96, first), interpolation_matrix(36, 144, first)
    torch.testing.assert_close(rows @ logits @ columns.T, whole[..., first::2, first::2])


def test_the_loss_of_a_mirror_image_is_the_same() -> None:
    logits = torch.randn(1, 21, 24, 24, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(1, 96, 96, dtype=torch.int64)
    labels[:, 20:61, 33:70] = 1
    recipe = Recipe(steps=1)
    torch.testing.assert_close(
        segmentation_loss(logits, labels, recipe, NONE, (0, 0)),
        segmentation_loss(logits.flip(2, 3), labels.flip(1, 2), recipe, NONE, (1, 1)),
    )


def test_a_perfect_answer_costs_less() -> None:
    labels = torch.ones(1, 96, 96, dtype=torch.int64)
    right = torch.zeros(1, 21, 24, 24)
    right[:, 1] = 20.0
    recipe = Recipe(steps=1, smoothing=0.0)
    assert segmentation_loss(right, labels, recipe, NONE) < 1e-3
    assert segmentation_loss(right.roll(1, 1), labels, recipe, NONE) > 5


def test_an_answer_is_compared_with_the_teachers_where_there_is_a_picture() -> None:
    logits = torch.randn(1, 21, 24, 24, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(1, 96, 96, dtype=torch.int64)
    labels[:, :, 48:] = IGNORE
    taught = logits.softmax(1)
    assert float(distillation_loss(taught, logits + 3.0, labels)) == pytest.approx(0, abs=1e-6)
    changed = logits.clone()
    changed[..., 12:] = 0.0
    assert float(distillation_loss(taught, changed, labels)) == pytest.approx(0, abs=1e-6)
    changed[..., :12] = 0.0
    assert float(distillation_loss(taught, changed, labels)) > 0.1


def test_teachers_are_not_followed_where_they_exclude_the_label() -> None:
    labels = torch.full((1, 96, 96), 3)
    taught = torch.full((1, 21, 24, 24), 0.9 / 20)
    taught[:, 3] = 0.1
    taught[..., 12:] = 0.0
    taught[:, 4, :, 12:] = 1.0  # sure of another class than the label
    logits = torch.zeros(1, 21, 24, 24)
    apart = distillation_loss(taught, logits, labels)
    taught[:, :, :, 12:] = taught[:, :, :, :12]
    torch.testing.assert_close(apart, distillation_loss(taught, logits, labels))
    partial = torch.full((1, 96, 96), NONE_OF_PARTIAL)  # names no class that could be excluded
    torch.testing.assert_close(apart, distillation_loss(taught, logits, partial))
