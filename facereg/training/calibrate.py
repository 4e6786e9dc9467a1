"""Shift the logits of earring and necklace by a constant each, to maximise the mean F1.

The loss gives these two classes more weight, because they are small and rare; the network
therefore predicts them too often. The shift is added to the bias of the last layer. Two numbers are
fitted to a hundred thousand pixels of each class. Shifting all classes gained on the training
images and lost on the held-out ones.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..plugins.pspnet.network import PSPNet
from ..regions import CLASSES
from .dataset import FaceDataset
from .evaluate import crop_logits
from .metrics import JEWELLERY, Confusion

#: Shifts to try, in logits.
SHIFTS = tuple(step / 5 for step in range(-10, 11))

#: Maximum number of images that the shifts are fitted to.
MAX_IMAGES = 400


def calibrate(network: PSPNet, data: FaceDataset, size: int) -> dict[str, float]:
    """Shift the bias of a network's last layer, in place.

    Args:
        network: the trained network.
        data: labelled crops that the network was not trained on.
        size: side of the network's input, pixels.

    Returns:
        The shift of each class that was shifted, by name.
    """
    step = max(1, len(data) // MAX_IMAGES)
    logits, labels = _sample_pixels(network, data, size, range(0, len(data), step))
    shifts = np.zeros(logits.shape[1])
    for label in [i for i, name in enumerate(CLASSES) if name in JEWELLERY]:
        original = logits[:, label].clone()
        scores = []
        for shift in SHIFTS:
            logits[:, label] = original + shift
            scores.append(_mean_f1(logits, labels))
        best = max(range(len(SHIFTS)), key=lambda i: (scores[i], -abs(SHIFTS[i])))
        shifts[label] = SHIFTS[best]
        logits[:, label] = original + SHIFTS[best]
    bias = network.classify.bias
    assert bias is not None
    with torch.no_grad():
        bias += torch.from_numpy(shifts).float()
    return {name: float(shift) for name, shift in zip(CLASSES, shifts, strict=True) if shift}


def _sample_pixels(
    network: PSPNet, data: FaceDataset, size: int, indices: range
) -> tuple[Tensor, NDArray[np.uint8]]:
    """Collect logits (P, C) and labels (P,) of every fourth pixel of every fourth row."""
    logits, labels = [], []
    run = crop_logits(network, size)
    for i in indices:
        truth = data.labels(i)
        shape = (truth.shape[1], truth.shape[0])
        planes = [cv2.resize(p, shape)[1::4, 1::4].ravel() for p in run(data.image(i)).numpy()]
        logits.append(torch.from_numpy(np.stack(planes, axis=1)))
        labels.append(truth[1::4, 1::4].ravel())
    return torch.cat(logits), np.concatenate(labels)


def _mean_f1(logits: Tensor, labels: NDArray[np.uint8]) -> float:
    confusion = Confusion()
    confusion.add(labels, np.asarray(logits.argmax(1).numpy(), np.uint8))
    return float(np.nanmean(confusion.f1()[1:]))
