"""The losses: cross-entropy and soft Dice against labels, and distillation from teachers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..regions import CLASSES
from .config import Recipe
from .dataset import IGNORE, OCCLUDED
from .loader import NONE_OF_PARTIAL
from .metrics import JEWELLERY

#: A teacher excludes a class that it gives a lower probability than this.
EXCLUDED_PROBABILITY = 0.05


def class_weights(recipe: Recipe) -> Tensor:
    """Return the weight of each class in the cross-entropy, (C,)."""
    weights = torch.ones(len(CLASSES))
    weights[[i for i, name in enumerate(CLASSES) if name in JEWELLERY]] = recipe.jewellery
    return weights


def interpolation_matrix(cells: int, pixels: int, first: int) -> Tensor:
    """Return weights (pixels/2, cells) that interpolate cells at every other pixel.

    The positions are exact: comparing logits with labels half a pixel away costs 0.003 mean F1.

    Args:
        cells: logits in a row or column.
        pixels: labels in the same row or column.
        first: the first pixel, 0 or 1.
    """
    at = (torch.arange(first, pixels, 2) + 0.5) * cells / pixels - 0.5
    at = at.clamp(0, cells - 1)
    low = at.floor().long().clamp_max(cells - 2)
    rows, share = torch.arange(len(at)), at - low
    weights = torch.zeros(len(at), cells)
    weights[rows, low], weights[rows, low + 1] = 1 - share, share
    return weights


def segmentation_loss(
    logits: Tensor,
    labels: Tensor,
    recipe: Recipe,
    partial_classes: Tensor,
    phase: tuple[int, int] = (0, 0),
) -> Tensor:
    """Return cross-entropy plus soft Dice over the classes present, at a quarter of the pixels.

    Args:
        logits: (N, C, S/4, S/4).
        labels: (N, S, S) int64; `IGNORE` if unknown, `OCCLUDED` for background in front of a face,
            `NONE_OF_PARTIAL` for any class but the partial ones.
        recipe: gives the weights and the label smoothing.
        partial_classes: (C,) bool, the classes that the partial dataset labels.
        phase: first row and column of the pixels that are compared, 0 or 1.
    """
    rows = interpolation_matrix(logits.shape[2], labels.shape[1], phase[0])
    columns = interpolation_matrix(logits.shape[3], labels.shape[2], phase[1])
    labels = labels[:, phase[0] :: 2, phase[1] :: 2]
    logits = rows @ logits.float() @ columns.T
    labels = labels.masked_fill(labels == OCCLUDED, 0)
    other, known = labels == NONE_OF_PARTIAL, labels < OCCLUDED
    entropy = F.cross_entropy(
        logits,
        labels.masked_fill(~known, IGNORE),
        class_weights(recipe)[: logits.shape[1]],
        ignore_index=IGNORE,
        label_smoothing=recipe.smoothing,
        reduction="sum",
    )
    if other.any():  # all classes but the partial ones count as one
        elsewhere = logits.masked_fill(partial_classes.view(1, -1, 1, 1), -torch.inf).logsumexp(1)
        entropy = entropy + (logits.logsumexp(1) - elsewhere)[other].sum()
    entropy = entropy / (known | other).sum().clamp_min(1)
    return entropy + recipe.dice * dice_loss(logits, labels, known)


def dice_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Return 1 - soft Dice, the mean over the classes present in the known pixels."""
    share = logits.softmax(1) * known.unsqueeze(1)
    truth = torch.zeros_like(share).scatter_(
        1, labels.clamp_max(logits.shape[1] - 1).unsqueeze(1), 1
    )
    truth = truth * known.unsqueeze(1)
    hit = (share * truth).sum((0, 2, 3))
    size, total = truth.sum((0, 2, 3)), (share + truth).sum((0, 2, 3))
    present = size > 0
    return (1 - 2 * hit[present] / total[present].clamp_min(1)).sum() / present.sum().clamp_min(1)


def distillation_loss(taught: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from the teachers, the mean over known pixels.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015. A pixel whose label the
    teachers exclude (`EXCLUDED_PROBABILITY`) is skipped: there the label is right.

    Args:
        taught: (N, C, S/4, S/4), the teachers' probabilities.
        logits: of the same shape.
        labels: (N, S, S); pixels of `IGNORE` and `OCCLUDED` are skipped.
    """
    labels = labels[:, 2::4, 2::4].unsqueeze(1)
    named = labels < taught.shape[1]
    possible = taught.gather(1, labels.where(named, 0)) > EXCLUDED_PROBABILITY
    known = (labels != IGNORE) & (labels != OCCLUDED) & (possible | ~named)
    divergence = F.kl_div(logits.float().log_softmax(1), taught, reduction="none")
    return (divergence * known).sum() / known.sum().clamp_min(1)
