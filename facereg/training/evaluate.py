"""Score a segmentation network on a folder of labelled face crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..plugins.pspnet.crops import argmax_resized, close_holes, preprocess_crop
from .dataset import FaceDataset
from .metrics import Confusion

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Parses a crop, (H, W, 3) uint8 BGR, to a label map of the given height and width.
Predict = Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]


def predictions(
    data: FaceDataset, predict: Predict
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield (name, true labels, predicted labels) of each image at the size of its label map."""
    for i, name in enumerate(data.names):
        truth = data.labels(i)
        yield name, truth, predict(data.image(i), (truth.shape[0], truth.shape[1]))


def score(data: FaceDataset, predict: Predict) -> Confusion:
    """Count the pixels of all images of a dataset in one confusion matrix."""
    confusion = Confusion()
    for _, truth, prediction in predictions(data, predict):
        confusion.add(truth, prediction)
    return confusion


def predict_with_onnx(path: Path, size: int) -> Predict:
    """Return a `Predict` that runs an exported network on square inputs of ``size`` pixels."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def predict(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
        return argmax_resized(
            session.run(None, {"crops": preprocess_crop(image, size)[None]})[0][0], shape
        )

    return predict


def crop_logits(network: nn.Module, size: int) -> Callable[[NDArray[np.uint8]], Tensor]:
    """Return a function from a crop, (H, W, 3) uint8 BGR, to logits (C, size/4, size/4)."""
    import torch

    from ..plugins.pspnet.network import MEAN, STD, Deployed

    deployed = Deployed(network, MEAN, STD).eval()

    @torch.inference_mode()
    def run(image: NDArray[np.uint8]) -> Tensor:
        logits: Tensor = deployed(torch.from_numpy(preprocess_crop(image, size))[None])[0]
        return logits

    return run


def predict_with_torch(network: nn.Module, size: int) -> Predict:
    """Return a `Predict` that runs a torch network on square inputs of ``size`` pixels."""
    import torch
    import torch.nn.functional as F

    run = crop_logits(network, size)

    def predict(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
        logits = torch.from_numpy(close_holes(run(image).numpy()))[None]
        logits = F.interpolate(logits, shape, mode="bilinear", align_corners=False)
        return np.asarray(logits.argmax(1)[0].numpy(), np.uint8)

    return predict
