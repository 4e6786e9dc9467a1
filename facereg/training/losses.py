"""What training lowers: cross-entropy and soft Dice, against labels and against teachers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..regions import CLASSES
from .config import Recipe
from .dataset import IGNORE, OCCLUDED
from .loader import REST
from .metrics import JEWELLERY

#: Probability up to which teachers exclude a class.
EXCLUDED = 0.05


def class_weights(recipe: Recipe) -> Tensor:
    """Weigh each class in the cross-entropy, (C,)."""
    weights = torch.ones(len(CLASSES))
    weights[[i for i, name in enumerate(CLASSES) if name in JEWELLERY]] = recipe.jewellery
    return weights


def at_every_other(cells: int, pixels: int, first: int) -> Tensor:
    """Weights (pixels/2, cells) that interpolate cells at every other of the pixels they cover.

    Exactly there: labels half a pixel beside the logits would teach a network to draw beside.
    """
    at = (torch.arange(first, pixels, 2) + 0.5) * cells / pixels - 0.5
    at = at.clamp(0, cells - 1)
    low = at.floor().long().clamp_max(cells - 2)
    rows, share = torch.arange(len(at)), at - low
    weights = torch.zeros(len(at), cells)
    weights[rows, low], weights[rows, low + 1] = 1 - share, share
    return weights


def loss_of(
    logits: Tensor,
    labels: Tensor,
    recipe: Recipe,
    judged: Tensor,
    phase: tuple[int, int] = (0, 0),
) -> Tensor:
    """Cross-entropy plus soft Dice over the classes present, at a quarter of the crop's pixels.

    Args:
        logits: (N, C, S/4, S/4).
        labels: (N, S, S) int64; `IGNORE` where unknown, `REST` where none of the judged classes.
        recipe: its weights and its smoothing.
        judged: (C,) bool, the classes that partial labels tell from the rest.
        phase: first row and column of those pixels, 0 or 1; every other one follows.
    """
    rows = at_every_other(logits.shape[2], labels.shape[1], phase[0])
    columns = at_every_other(logits.shape[3], labels.shape[2], phase[1])
    labels = labels[:, phase[0] :: 2, phase[1] :: 2]
    logits = rows @ logits.float() @ columns.T
    labels = labels.masked_fill(labels == OCCLUDED, 0)
    rest, known = labels == REST, labels < OCCLUDED
    named = labels.masked_fill(~known, IGNORE)
    entropy = F.cross_entropy(
        logits,
        named,
        class_weights(recipe)[: logits.shape[1]],
        ignore_index=IGNORE,
        label_smoothing=recipe.smoothing,
        reduction="sum",
    )
    if rest.any():  # the rest is whatever is not judged, together
        elsewhere = logits.masked_fill(judged.view(1, -1, 1, 1), -torch.inf).logsumexp(1)
        entropy = entropy + (logits.logsumexp(1) - elsewhere)[rest].sum()
    entropy = entropy / (known | rest).sum().clamp_min(1)
    return entropy + recipe.dice * dice_of(logits, labels, known)


def dice_of(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """One less the soft Dice coefficient, the mean over the classes present in known pixels."""
    share = logits.softmax(1) * known.unsqueeze(1)
    truth = torch.zeros_like(share).scatter_(
        1, labels.clamp_max(logits.shape[1] - 1).unsqueeze(1), 1
    )
    truth = truth * known.unsqueeze(1)
    hit = (share * truth).sum((0, 2, 3))
    size, total = truth.sum((0, 2, 3)), (share + truth).sum((0, 2, 3))
    present = size > 0
    return (1 - 2 * hit[present] / total[present].clamp_min(1)).sum() / present.sum().clamp_min(1)


def distance_to(taught: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Kullback-Leibler divergence of an answer from its teachers', the mean over known pixels.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015. Nothing is learnt from
    teachers where they all but exclude the label: what they miss is to be learnt from labels.

    Args:
        taught: (N, C, S/4, S/4), the probabilities that the teachers give.
        logits: of the same shape.
        labels: (N, S, S); nothing is learnt where they are `IGNORE` or `OCCLUDED`.
    """
    labels = labels[:, 2::4, 2::4].unsqueeze(1)
    named = labels < taught.shape[1]
    granted = taught.gather(1, labels.where(named, 0)) > EXCLUDED
    known = (labels != IGNORE) & (labels != OCCLUDED) & (granted | ~named)
    apart = F.kl_div(logits.float().log_softmax(1), taught, reduction="none")
    return (apart * known).sum() / known.sum().clamp_min(1)
