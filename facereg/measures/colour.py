"""Colour of patches of skin in linear light, and how sharp and how bright a face is."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ..regions import IDS
from ..types import Image, RegionMasks
from .axes import Axes, Floats
from .table import CHANNELS, PATCHES

#: Centre x, y, z and half axes x, y of each patch on the head, in inter-ocular distances.
PLACES: dict[str, tuple[float, float, float, float, float]] = {
    "forehead": (0.0, -0.55, -0.15, 0.45, 0.16),
    "left_cheek": (0.58, 0.62, -0.1, 0.18, 0.22),
    "right_cheek": (-0.58, 0.62, -0.1, 0.18, 0.22),
    "chin": (0.0, 1.5, -0.2, 0.25, 0.1),
}
#: Pixels nearer than this to what is not skin are left out, in inter-ocular distances.
MARGIN = 0.04
#: A pixel is left out if its surroundings are darker or brighter than the patch by this factor.
MAX_CONTRAST = 1.35
#: A patch of less weight, in pixels, or of a smaller share of its ellipse, is not measured.
MIN_PIXELS, MIN_SHARE = 16, 0.25

Mask = NDArray[np.bool_]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def _linear_levels() -> Floats:
    """Return the linear light of each 8-bit level of sRGB, 0 to 1."""
    v = np.arange(256) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


LINEAR = _linear_levels()


def measure_patches(
    image: Image, regions: RegionMasks, axes: Axes
) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """Measure the colour of every patch.

    Returns:
        Values by the names of the table, their standard errors, and for each patch that cannot be
        measured the reason, by the same names.
    """
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for patch in PATCHES:
        found = _sample(image, regions, axes, PLACES[patch])
        if isinstance(found, str):
            names = [f"{patch}{kind}_{c}" for kind in ("", "_median") for c in CHANNELS]
            reasons |= dict.fromkeys([*names, f"{patch}_pixels"], found)
            continue
        light, weights = found
        total = float(weights.sum())
        mean = weights @ light / total
        spread = np.sqrt(weights @ (light - mean) ** 2 / total)
        median = np.median(light[weights > 0.5], axis=0)
        for i, c in enumerate(CHANNELS):
            values[f"{patch}_{c}"] = float(mean[i])
            values[f"{patch}_median_{c}"] = float(median[i])
            errors[f"{patch}_{c}"] = float(spread[i] / math.sqrt(total))
        values[f"{patch}_pixels"] = total
    return values, errors, reasons


def _sample(
    image: Image, regions: RegionMasks, axes: Axes, place: tuple[float, ...]
) -> tuple[Floats, Floats] | str:
    """Return a patch's linear RGB (n, 3) and weights (n,), or why there is none.

    The weight falls off at the ellipse's rim, so that a patch that follows the face by fractions of
    a pixel does not gain and lose whole pixels.
    """
    x, y, z, half_x, half_y = place
    ends = axes.project(np.array([[x, y, z], [x + half_x, y, z], [x, y + half_y, z]], np.float64))
    centre, sides = ends[0], (ends[1:] - ends[0]).T
    reach = np.abs(sides).sum(1)
    box = regions.box
    x0, y0 = np.maximum(np.floor(centre - reach), (box.x0, box.y0)).astype(int)
    x1, y1 = np.minimum(np.ceil(centre + reach) + 1, (box.x1, box.y1)).astype(int)
    determinant = abs(float(np.linalg.det(sides)))
    if x1 - x0 < 3 or y1 - y0 < 3 or determinant < 1:
        return "not in the picture"
    columns, rows = np.meshgrid(np.arange(x0, x1), np.arange(y0, y1))
    steps = np.stack([columns, rows], -1).astype(np.float64) - centre
    radius = np.linalg.norm(steps @ np.linalg.inv(sides).T, axis=-1)
    weights = np.clip((1 - radius) / 0.2, 0, 1)
    light = LINEAR[image[y0:y1, x0:x1, ::-1]]
    weights[~_clean_skin(regions, (x0, y0, x1, y1), axes.scale)] = 0
    weights[~_evenly_lit(light @ LUMINANCE, weights, axes.scale)] = 0
    if weights.sum() < max(MIN_PIXELS, MIN_SHARE * math.pi * determinant):
        return "too little skin can be seen"
    chosen = weights > 0
    return light[chosen], weights[chosen]


def _clean_skin(regions: RegionMasks, window: tuple[int, int, int, int], scale: float) -> Mask:
    """Find the skin that is not next to anything else, (h, w) bool."""
    x0, y0, x1, y1 = window
    box, reach = regions.box, max(1, round(MARGIN * scale))
    a, b = max(box.y0, y0 - reach), max(box.x0, x0 - reach)
    part = regions.labels[a - box.y0 : y1 + reach - box.y0, b - box.x0 : x1 + reach - box.x0]
    skin = (part == IDS["skin"]).astype(np.uint8)
    clean = cv2.erode(skin, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    inner = clean[y0 - a : y1 - a, x0 - b : x1 - b]
    return np.asarray(inner, np.bool_)


def _evenly_lit(luminance: Floats, weights: Floats, scale: float) -> Mask:
    """Leave out shadows, highlights and their edges, (h, w) bool."""
    if not (weights > 0).any():
        return weights > 0
    side = 2 * max(1, round(0.03 * scale)) + 1
    smooth = np.asarray(cv2.blur(luminance, (side, side)))
    middle = max(1e-6, float(np.median(smooth[weights > 0])))
    return np.asarray((smooth < middle * MAX_CONTRAST) & (smooth > middle / MAX_CONTRAST))


def measure_picture(
    image: Image, regions: RegionMasks, box: tuple[int, int, int, int]
) -> dict[str, float]:
    """Measure sharpness, exposure and clipping of a face.

    Args:
        image: (H, W, 3) uint8 BGR.
        regions: the face's regions.
        box: the face's box, clipped to the frame and to the regions.
    """
    x0, y0, x1, y1 = box
    values: dict[str, float] = {}
    if x1 - x0 < 8 or y1 - y0 < 8:
        return values
    part = image[y0:y1, x0:x1]
    gray = np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2GRAY), np.float32)
    values["sharpness"] = 1 - _blur(gray)
    own = regions.box
    labels = regions.labels[y0 - own.y0 : y1 - own.y0, x0 - own.x0 : x1 - own.x0]
    skin = part[labels == IDS["skin"]]
    if len(skin) >= MIN_PIXELS:
        skin = skin[:: max(1, len(skin) // 4000)]
        values["exposure"] = float((LINEAR[skin[:, ::-1]] @ LUMINANCE).mean())
        values["clipped"] = float(((skin <= 2) | (skin >= 253)).any(1).mean())
    return values


def _blur(gray: NDArray[np.float32]) -> float:
    """Return the perceptual blur of a picture, 0 sharp to 1 (Crété-Roffet et al., SPIE 2007)."""
    blurs = []
    for axis, kernel in ((1, (9, 1)), (0, (1, 9))):
        smooth = np.asarray(cv2.blur(gray, kernel))
        sharp = np.abs(np.diff(gray, axis=axis))
        lost = np.maximum(0, sharp - np.abs(np.diff(smooth, axis=axis)))
        total = float(sharp.sum())
        blurs.append((total - float(lost.sum())) / total if total else 1.0)
    return max(blurs)
