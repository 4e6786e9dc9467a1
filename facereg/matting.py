"""Cut regions out with soft edges: from a model's probabilities and the picture to an alpha matte.

Where a region meets the background, hair or clothing, the picture has an edge, too, and a finer one
than the network's logits. The matte follows it: there the probability is smoothed by a guided
filter, which keeps the edges of a second picture, here the frame (He, Sun and Tang, "Guided Image
Filtering", ECCV 2010; its colour form). Between skin and nose the picture has no edge, and the
probability itself is the matte.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .regions import IDS
from .types import Face, FrameResult, Image, RegionMasks

Floats = NDArray[np.float32]

#: What a region may meet at an edge that the picture shows, too.
SHARP_NEIGHBOURS = tuple(IDS[name] for name in ("background", "hair", "clothing", "head_covering"))

#: Radius of the guided filter, as a share of the face's width: two logits of the network, whose
#: crop is 2.1 faces wide and has 96 logits across. An edge may be as far from its true place.
RADIUS_SHARE = 1 / 20
#: Smallest radius, in pixels.
MIN_RADIUS = 2
#: Variance of the frame's colours, 0 to 1, below which they are no edge.
EDGE_VARIANCE = 1e-3
#: Alpha below the first becomes 0 and above the second 1, so that what is certain is so in full.
BLACK, WHITE = 0.06, 0.94
#: How far a cut-out keeps the frame's colours beyond its edge, in pixels: what enlarges the picture
#: or stores its colours at half of its size reads them. Everything farther out is black.
COLOR_REACH = 8


def alpha(result: FrameResult, ids: tuple[int, ...], margin: float = 0.0) -> Floats:
    """Compute the matte of some classes of all faces: (H, W) float32, 0 to 1.

    Args:
        result: a frame and its faces.
        ids: the classes.
        margin: how far it reaches beyond them, as a share of the face's width.
    """
    out: Floats = np.zeros(result.frame.image.shape[:2], np.float32)
    for face, regions in result.owned():
        if regions.labels.size:
            part = out[regions.box.slices]
            image = result.frame.image[regions.box.slices]
            np.maximum(part, _alpha_of_face(face, regions, image, ids, margin), out=part)
    return out


def cut_out(image: Image, matte: Floats) -> Image:
    """Give a picture (H, W, 3) a matte as its alpha channel: (H, W, 4) uint8 BGRA.

    Alpha is straight: colours are not multiplied by it. What is far outside is black, so that
    nothing can be seen in a cut-out that was cut away.
    """
    opacity = np.asarray(np.round(255 * matte), np.uint8)
    side = 2 * COLOR_REACH + 1
    near = cv2.dilate(opacity, np.ones((side, side), np.uint8))
    out: Image = np.zeros((*opacity.shape, 4), np.uint8)
    cv2.copyTo(cv2.merge([image, opacity]), np.asarray(near), out)
    return out


def _alpha_of_face(
    face: Face, regions: RegionMasks, image: Image, ids: tuple[int, ...], margin: float
) -> Floats:
    """Compute the matte of one face within its regions' box."""
    width = max(1, face.detection.box.width)
    soft = _probability(regions, ids)
    if not soft.any():
        return soft
    if margin > 0:
        reach = math.ceil(margin * width)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        return np.asarray(cv2.dilate(soft, disc), np.float32)
    radius = max(MIN_RADIUS, round(RADIUS_SHARE * width))
    size = (2 * radius + 1, 2 * radius + 1)
    # Only near an edge, and only if the picture shows it.
    unsure = cv2.dilate(4 * soft * (1 - soft), np.ones(size, np.uint8))
    sharp = cv2.dilate(_probability(regions, SHARP_NEIGHBOURS), np.ones((3, 3), np.uint8))
    share = cv2.blur(np.clip(2 * unsure, 0, 1) * np.clip(4 * sharp, 0, 1), size)
    filtered = guided_filter(np.float32(1 / 255) * image, soft, radius, EDGE_VARIANCE)
    mixed = soft + share * (filtered - soft)
    return np.asarray(np.clip((mixed - BLACK) / (WHITE - BLACK), 0, 1), np.float32)


def _probability(regions: RegionMasks, ids: tuple[int, ...]) -> Floats:
    """Compute how likely pixels are some classes; of labels alone it is 0 or 1."""
    if regions.find_probability is not None:
        return regions.find_probability(ids)
    return np.asarray(np.isin(regions.labels, ids), np.float32)


def guided_filter(guide: Floats, values: Floats, radius: int, variance: float) -> Floats:
    """Smooth values within the edges of a picture.

    In each window, the values are fitted as a linear function of the picture's colours; a pixel
    gets the mean of what the windows around it say (He, Sun and Tang 2010, equations 19 to 21).

    Args:
        guide: (h, w, 3), 0 to 1.
        values: (h, w).
        radius: of a window, in pixels.
        variance: of colours below which they are smoothed over.
    """

    def mean(plane: NDArray[Any]) -> Floats:
        size = (2 * radius + 1, 2 * radius + 1)
        return np.asarray(cv2.boxFilter(plane, cv2.CV_32F, size), np.float32)

    colors, level = mean(guide), mean(values)
    # Covariance of each colour with the values, and of the colours with one another.
    joint = mean(guide * values[..., None]) - colors * level[..., None]
    squares = {
        (i, j): mean(guide[..., i] * guide[..., j]) - colors[..., i] * colors[..., j]
        for i in range(3)
        for j in range(i, 3)
    }
    for i in range(3):
        squares[i, i] += variance
    slope = _solve(squares, joint)
    offset = level - (slope * colors).sum(axis=2)
    return np.asarray((mean(slope) * guide).sum(axis=2) + mean(offset), np.float32)


def _solve(matrix: dict[tuple[int, int], Floats], right: Floats) -> Floats:
    """Solve a symmetric 3x3 system for each pixel, by cofactors: (h, w, 3)."""
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    rows = (
        (d * f - e * e, c * e - b * f, b * e - c * d),
        (c * e - b * f, a * f - c * c, b * c - a * e),
        (b * e - c * d, b * c - a * e, a * d - b * b),
    )
    determinant = a * rows[0][0] + b * rows[0][1] + c * rows[0][2]
    found = [sum(row[i] * right[..., i] for i in range(3)) / determinant for row in rows]
    return np.asarray(np.stack(found, axis=-1), np.float32)
