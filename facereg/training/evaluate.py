"""Score a segmentation network on a folder of labelled face crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from .dataset import FaceDataset
from .scores import Confusion

#: From a crop, (H, W, 3) uint8 BGR, and the size wanted (height, width) to its label map.
Predict = Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]


def predictions(
    data: FaceDataset, predict: Predict
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield (name, true labels, predicted labels) of each image at the size of its label map."""
    for i, name in enumerate(data.names):
        truth = data.labels(i)
        yield name, truth, predict(data.image(i), (truth.shape[0], truth.shape[1]))


def score(data: FaceDataset, predict: Predict) -> Confusion:
    """Pool the pixels of a whole dataset into one confusion matrix."""
    confusion = Confusion()
    for _, truth, guess in predictions(data, predict):
        confusion.add(truth, guess)
    return confusion


def predict_with_torch(network: object, size: int) -> Predict:
    """Make a `Predict` of a torch network on square inputs of ``size`` pixels."""
    import torch
    import torch.nn.functional as F

    from .train import normalise

    assert isinstance(network, torch.nn.Module)
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def predict(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
        crop = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        logits = network(normalise(torch.from_numpy(crop)[None]))
        logits = F.interpolate(logits, shape, mode="bilinear", align_corners=False)
        return np.asarray(logits.argmax(1)[0].numpy(), np.uint8)

    return predict
