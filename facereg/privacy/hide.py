"""The views that hide: blur, pixelate and fill.

Each face's new pixels are made from its own old ones alone: no colour of a neighbour or of the
background gets in, and two faces whose crops overlap have no seam.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..registry.options import Color
from ..types import FrameResult, Image
from .outline import Area, hidden_areas

Floats = NDArray[np.float32]

#: Standard deviation of the blur, as a share of the face's width. The minimum is a sixth.
BLUR_SHARE = 1 / 5
#: Cells across a face's width. The maximum is ten.
CELLS_ACROSS = 9
#: Smallest side of a cell in pixels, and smallest standard deviation of a blur.
MIN_CELL, MIN_SIGMA = 4, 2.0
#: Standard deviation in pixels of the shrunken copy in which a strong blur is computed.
COPY_SIGMA = 6.0
#: Default margin, as a share of the face's width.
MARGIN = 0.0


def blur(result: FrameResult, ids: tuple[int, ...], *, margin: float = MARGIN) -> Image:
    """Blur regions so strongly that nobody can be recognised; ``face`` is its filled outline.

    Options:
        margin: how far it reaches beyond the regions, as a share of the face's width.
    """
    return _hidden(result, ids, margin, _blurred)


def pixelate(result: FrameResult, ids: tuple[int, ...], *, margin: float = MARGIN) -> Image:
    """Replace regions by large squares, nine across a face; ``face`` is its filled outline.

    Options:
        margin: how far it reaches beyond the regions, as a share of the face's width.
    """
    return _hidden(result, ids, margin, _pixelated)


def fill(
    result: FrameResult,
    ids: tuple[int, ...],
    *,
    color: Color = Color(0, 0, 0),  # noqa: B008
    margin: float = MARGIN,
) -> Image:
    """Fill regions with one colour; ``face`` is its filled outline.

    Options:
        color: as #RRGGBB.
        margin: how far it reaches beyond the regions, as a share of the face's width.
    """
    return _hidden(result, ids, margin, lambda part, _: np.full_like(part, color.bgr))


def _hidden(
    result: FrameResult,
    ids: tuple[int, ...],
    margin: float,
    effect: Callable[[Image, Area], Image],
) -> Image:
    out: Image = result.frame.image.copy()
    for area in hidden_areas(result, ids, margin):
        if area.box.area and area.mask.any():
            part = result.frame.image[area.box.slices]
            cv2.copyTo(effect(part, area), area.mask, out[area.box.slices])
    return out


def _blurred(part: Image, area: Area) -> Image:
    sigma = max(MIN_SIGMA, BLUR_SHARE * area.face_width)
    zoom = min(1.0, COPY_SIGMA / sigma)
    height, width = part.shape[:2]
    small = max(1, round(width * zoom)), max(1, round(height * zoom))
    colors, weights = _own(part, area, small)
    border = cv2.BORDER_CONSTANT  # nothing comes from beyond the edge
    soft_colors = cv2.GaussianBlur(colors, (0, 0), sigma * zoom, borderType=border)
    soft_weights = cv2.GaussianBlur(weights, (0, 0), sigma * zoom, borderType=border)
    return _enlarged(soft_colors, soft_weights, (width, height), cv2.INTER_LINEAR)


def _pixelated(part: Image, area: Area) -> Image:
    cell = max(MIN_CELL, math.ceil(area.face_width / CELLS_ACROSS))
    height, width = part.shape[:2]
    columns, rows = -(-width // cell), -(-height // cell)
    padding = (0, rows * cell - height, 0, columns * cell - width)
    whole = np.asarray(cv2.copyMakeBorder(part, *padding, cv2.BORDER_CONSTANT), np.uint8)
    mask = np.asarray(cv2.copyMakeBorder(area.mask, *padding, cv2.BORDER_CONSTANT), np.uint8)
    padded = Area(area.box, mask, area.face_width)
    colors, weights = _own(whole, padded, (columns, rows))
    squares = _enlarged(colors, weights, (columns * cell, rows * cell), cv2.INTER_NEAREST)
    return np.ascontiguousarray(squares[:height, :width])


def _own(part: Image, area: Area, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Shrink a face's own pixels: their colours times their weights, and the weights."""
    weights = np.asarray(area.mask, np.float32) / 255
    colors = part * weights[:, :, None]
    how = cv2.INTER_AREA
    return (
        np.asarray(cv2.resize(colors, size, interpolation=how), np.float32),
        np.asarray(cv2.resize(weights, size, interpolation=how), np.float32),
    )


def _enlarged(
    colors: NDArray[Any], weights: NDArray[Any], size: tuple[int, int], how: int
) -> Image:
    mean = colors.reshape(*weights.shape, 3) / np.maximum(weights, 1e-6)[:, :, None]
    large = cv2.resize(mean, size, interpolation=how)
    return np.asarray(np.clip(np.round(large), 0, 255), np.uint8)
