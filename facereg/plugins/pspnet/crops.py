"""From a frame to levelled face crops, and from a crop's logits back to the frame.

A crop is framed as the training images are: a square about 2.1 times as wide as the face, its
centre a little above the face's, turned until the eyes are level.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ...types import Box, Detection, Image, Labels

Matrix = NDArray[np.float64]

#: Centre of the crop above the centre of the box, as a share of the box's mean side. On MTCNN's
#: boxes of 249 training images it is 0.07; a little more keeps more of the hair.
LIFT = 0.1

#: Logits below the best one. A class that is farther below it at all neighbouring logits is not
#: considered for a pixel between them. It could win only between two classes that are twice as far
#: apart: 3 pixels in 100,000 of 43 faces in five clips, for a quarter of the time.
MAX_LOGIT_GAP = 3.0

#: How far a head reaches beyond the sides and the top of its face's box, as a share of the box.
HEAD_REACH = 0.35

#: Maximum size of a patch of background within a head that is closed as a hole, as a share of the
#: crop. On the held-out images 30 % of such patches are really background. Of larger patches most
#: are: what is seen between an arm and the head, or through a loop of hair.
MAX_HOLE_SHARE = 0.002

#: A crop is brightened until its middle's 90th percentile is this, 0 to 255, and by at most this
#: factor. Measured in benchmarks/low_light.py.
FAIR_BRIGHTNESS, MAX_GAIN = 160, 6.0

#: Logit of the background outside a crop, where nothing else can be.
OUTSIDE_LOGIT = 30.0


def roll(landmarks: NDArray[np.float32]) -> float:
    """Measure how far a face leans, in radians, clockwise in the picture.

    The line between the eyes and the line from the eyes to the mouth are both used, weighted by
    their lengths, so that a profile, whose eyes coincide, is levelled by its mouth.

    Args:
        landmarks: (5, 2) x, y of right eye, left eye, nose, right and left mouth corner.
    """
    right_eye, left_eye, _, right_mouth, left_mouth = landmarks.astype(np.float64)
    across = left_eye - right_eye
    down = (right_mouth + left_mouth - right_eye - left_eye) / 2
    level = across + np.array([down[1], -down[0]])
    return math.atan2(level[1], level[0])


def crop_matrix(detection: Detection, scale: float, size: int, lift: float = LIFT) -> Matrix:
    """Map frame pixels to the pixels of a face's crop, (2, 3), by pixel centres.

    Args:
        scale: side of the crop over the mean of the box's sides.
        size: side of the crop in its own pixels.
        lift: its centre above the box's, in sides of the box.
    """
    box, face, angle = detection.box, _side(detection), _lean(detection)
    cos, sin = math.cos(angle), math.sin(angle)
    x = (box.x0 + box.x1 - 1) / 2 + lift * face * sin
    y = (box.y0 + box.y1 - 1) / 2 - lift * face * cos
    zoom = size / (scale * face)
    turn = zoom * np.array([[cos, sin], [-sin, cos]])
    shift = (size - 1) / 2 - turn @ np.array([x, y])
    return np.hstack([turn, shift[:, None]])


def lift_to_edge(detection: Detection, scale: float) -> float:
    """Return the lift at which a crop's upper edge is the frame's: above it there is nothing."""
    middle = (detection.box.y0 + detection.box.y1) / 2
    upright = max(0.1, math.cos(_lean(detection)))
    return middle / (_side(detection) * upright) - scale / 2


def _side(detection: Detection) -> float:
    return max(2.0, (detection.box.width + detection.box.height) / 2)


def _lean(detection: Detection) -> float:
    return 0.0 if detection.landmarks is None else roll(detection.landmarks)


def cut(image: Image, matrix: Matrix, size: int) -> Image:
    """Cut a crop out of a frame, (S, S, 3) uint8; black beyond the frame's edge."""
    zoom = math.hypot(matrix[0, 0], matrix[0, 1])
    if zoom < 0.5:  # average first, as bilinear sampling would skip pixels
        box = _bounds(matrix, size).clip(image.shape[1], image.shape[0])
        if box.area:
            small = (max(1, round(box.width * zoom)), max(1, round(box.height * zoom)))
            small_image = cv2.resize(image[box.slices], small, interpolation=cv2.INTER_AREA)
            image = np.asarray(small_image, np.uint8)
            matrix = _rebased(matrix, box, (small[0] / box.width, small[1] / box.height))
    crop = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(crop, np.uint8)


def _rebased(matrix: Matrix, box: Box, zoom: tuple[float, float]) -> Matrix:
    """Turn a map from frame pixels into a map from the pixels of a shrunken part of the frame."""
    part = np.array(
        [
            [1 / zoom[0], 0, box.x0 + 0.5 / zoom[0] - 0.5],
            [0, 1 / zoom[1], box.y0 + 0.5 / zoom[1] - 0.5],
            [0, 0, 1],
        ]
    )
    return np.asarray((np.vstack([matrix, [0, 0, 1]]) @ part)[:2])


def _bounds(matrix: Matrix, size: int) -> Box:
    """Find the upright box, in frame pixels, around a crop."""
    back = cv2.invertAffineTransform(matrix)
    edge = np.array(
        [[-0.5, -0.5], [size - 0.5, -0.5], [-0.5, size - 0.5], [size - 0.5, size - 0.5]]
    )
    corners = edge @ back[:, :2].T + back[:, 2]
    low, high = np.floor(corners.min(0) + 0.5), np.ceil(corners.max(0) + 0.5)
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def brighten(crop: Image) -> Image:
    """Brighten a crop (S, S, 3) whose face is dark, as a longer exposure would.

    Only the face decides, not a lit wall behind it. A crop in fair light is returned as it is.
    """
    edge = crop.shape[0] // 4
    middle = cv2.cvtColor(crop[edge:-edge:4, edge:-edge:4], cv2.COLOR_BGR2GRAY)
    light = float(np.percentile(middle, 90))
    if light >= FAIR_BRIGHTNESS:
        return crop
    gain = min(MAX_GAIN, FAIR_BRIGHTNESS / max(1.0, light))
    return np.asarray(cv2.convertScaleAbs(crop, alpha=gain), np.uint8)


def preprocess_crop(image: Image, size: int) -> Image:
    """Prepare an image that is already a face's crop for the network: (S, S, 3) uint8 BGR."""
    crop = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return brighten(np.asarray(crop, np.uint8))


def preprocess_matrix(image: Image, size: int) -> Matrix:
    """Map an image's pixels to those of `preprocess_crop`, (2, 3), by pixel centres."""
    x, y = size / image.shape[1], size / image.shape[0]
    return np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5]])


def close_holes(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give small patches of background within a head to the class that comes second there.

    Args:
        logits: (C, h, w); not changed.

    Returns:
        (C, h, w): the same array if there are no such patches.
    """
    background = np.equal(logits[0], logits.max(0)).view(np.uint8)
    _, patches, stats, _ = cv2.connectedComponentsWithStats(background, connectivity=4)
    x, y, width, height, area = stats[1:].T
    inside = (x > 0) & (y > 0) & (x + width < logits.shape[2]) & (y + height < logits.shape[1])
    holes = np.append(False, inside & (area <= MAX_HOLE_SHARE * background.size))
    if not holes.any():
        return logits
    closed: NDArray[np.float32] = logits.copy()
    closed[0][holes[patches]] = -OUTSIDE_LOGIT
    return closed


def argmax_resized(logits: NDArray[np.float32], shape: tuple[int, int]) -> Labels:
    """Enlarge a crop's logits (C, h, w) to a height and width and take the best class there."""
    size = (shape[1], shape[0])
    planes = [cv2.resize(plane, size) for plane in close_holes(logits)]
    return np.asarray(np.argmax(planes, 0), np.uint8)


def paste_labels(
    logits: NDArray[np.float32], matrix: Matrix, size: int, frame: tuple[int, int]
) -> tuple[Box, Labels]:
    """Enlarge a crop's logits to the frame's resolution and take the best class of each pixel.

    Args:
        logits: (C, h, w), covering the whole crop.
        matrix: (2, 3), from frame pixels to crop pixels.
        size: side of the crop.
        frame: height and width of the frame.

    Returns:
        The part of the frame that the crop covers, and its label map.
    """
    box = _bounds(matrix, size).clip(frame[1], frame[0])
    labels: Labels = np.zeros((box.height, box.width), np.uint8)
    if not box.area:
        return box, labels
    to_logits = map_to_logits(matrix, size, logits[0], box)
    whole = Box(0, 0, box.width, box.height)
    best = warp_plane(logits[0], to_logits, whole, OUTSIDE_LOGIT)
    near_top = logits.max(0) - MAX_LOGIT_GAP
    for label in range(1, len(logits)):
        chance = np.greater(logits[label], near_top).view(np.uint8)
        area = _seen_from(cv2.boundingRect(chance), to_logits).clip(box.width, box.height)
        if area.area:
            plane = warp_plane(logits[label], to_logits, area, -OUTSIDE_LOGIT)
            part_best, part_labels = best[area.slices], labels[area.slices]
            wins = cv2.compare(plane, part_best, cv2.CMP_GT)
            cv2.copyTo(np.full_like(part_labels, label), wins, part_labels)
            cv2.max(plane, part_best, part_best)
    return box, labels


def map_to_logits(matrix: Matrix, size: int, plane: NDArray[np.float32], box: Box) -> Matrix:
    """Map the pixels of a part of the frame to those of a plane of logits, by pixel centres."""
    stride = size / plane.shape[1]
    to_logits = matrix / stride
    to_logits[:, 2] += 0.5 / stride - 0.5
    to_logits[:, 2] += to_logits[:, :2] @ np.array([box.x0, box.y0])
    return np.asarray(to_logits, np.float64)


def _seen_from(rectangle: Sequence[int], to_logits: Matrix) -> Box:
    """Find the upright box of labels around a rectangle of logits, one logit wider on each side."""
    x, y, width, height = rectangle
    if not width:
        return Box(0, 0, 0, 0)
    back = cv2.invertAffineTransform(to_logits)
    x0, y0, x1, y1 = x - 1, y - 1, x + width, y + height
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) @ back[:, :2].T + back[:, 2]
    low, high = np.floor(corners.min(0)), np.ceil(corners.max(0)) + 1
    return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def warp_plane(
    plane: NDArray[np.float32], matrix: Matrix, area: Box, outside: float
) -> NDArray[np.float32]:
    """Sample a plane of logits bilinearly for an area of labels: (h, w)."""
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ np.array([area.x0, area.y0])
    return np.asarray(
        cv2.warpAffine(
            plane,
            shifted,
            (area.width, area.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=outside,
        ),
        np.float32,
    )


def remove_overlaps(
    detections: Sequence[Detection], boxes: Sequence[Box], maps: Sequence[Labels]
) -> None:
    """Remove from each face's label map the pixels that belong to another face.

    A crop also shows people beside the face, and the network parses them too. Within another face's
    head a pixel goes to the face whose centre is nearer, measured in sides of its box.

    Args:
        detections: the faces.
        boxes: the part of the frame that each label map covers.
        maps: (h, w) uint8 label maps, changed in place.
    """
    for i, (mine, box, labels) in enumerate(zip(detections, boxes, maps, strict=True)):
        others = [theirs.box for j, theirs in enumerate(detections) if j != i]
        for part, nearer in nearer_others(mine.box, others, box):
            labels[part][nearer] = 0


def nearer_others(
    mine: Box, others: Sequence[Box], area: Box
) -> Iterator[tuple[tuple[slice, slice], NDArray[np.bool_]]]:
    """Yield parts of an area, each with those of its pixels that belong to another face."""
    for theirs in others:
        around, down = (round(HEAD_REACH * side) for side in (theirs.width, theirs.height))
        head = Box(theirs.x0 - around, theirs.y0 - down, theirs.x1 + around, theirs.y1)
        shared = area.shared(head)
        if shared.area:
            nearer = _distance(theirs, shared) < _distance(mine, shared)
            yield shared.moved(-area.x0, -area.y0).slices, nearer


def _distance(box: Box, area: Box) -> NDArray[np.float32]:
    """Return each pixel's squared distance from a box's centre, in sides of the box: (h, w)."""
    x = (np.arange(area.x0, area.x1) + 0.5 - (box.x0 + box.x1) / 2) / max(1, box.width)
    y = (np.arange(area.y0, area.y1) + 0.5 - (box.y0 + box.y1) / 2) / max(1, box.height)
    return np.asarray(y[:, None] ** 2 + x[None, :] ** 2, np.float32)
