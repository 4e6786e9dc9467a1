"""Textures: cut out of labelled images, or drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ..regions import IDS
from ..types import Image, Labels

#: Classes that a texture may be cut from.
TEXTURED_CLASSES = ("background", "clothing", "head_covering")

#: Random squares to try until one shows only these classes.
MAX_TRIES = 8

Color = NDArray[np.float64]
Plane = NDArray[np.float32]

_IS_TEXTURED = np.isin(np.arange(256), [IDS[name] for name in TEXTURED_CLASSES])


def cut_texture(
    images: Sequence[Image], labels: Sequence[Labels], rng: np.random.Generator
) -> Image | None:
    """Cut a square of cloth or wall out of a random image; None if none was found."""
    for _ in range(MAX_TRIES):
        index = int(rng.integers(len(images)))
        label_map = labels[index]
        shortest = min(label_map.shape)
        side = int(rng.integers(shortest // 6, shortest // 2))
        y = int(rng.integers(label_map.shape[0] - side))
        x = int(rng.integers(label_map.shape[1] - side))
        if _IS_TEXTURED[label_map[y : y + side : 4, x : x + side : 4]].all():
            return images[index][y : y + side, x : x + side]
    return None


def random_color(rng: np.random.Generator) -> Color:
    """Return a random BGR colour, 0 to 255; a third are black, white or gray."""
    if rng.random() < 0.35:
        return np.full(3, rng.choice([rng.uniform(5, 60), rng.uniform(200, 255), 128.0]))
    hsv = np.array([[[rng.integers(180), rng.integers(60, 256), rng.integers(40, 256)]]], np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0], np.float64)


def smooth_noise(shape: tuple[int, int], cell: float, rng: np.random.Generator) -> Plane:
    """Return smooth noise of unit deviation that varies over ``cell`` pixels, (H, W)."""
    grid = (max(2, math.ceil(shape[0] / cell)), max(2, math.ceil(shape[1] / cell)))
    coarse = rng.normal(0, 1, grid).astype(np.float32)
    return np.asarray(
        cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32
    )


def draw_pattern(shape: tuple[int, int], rng: np.random.Generator) -> Image:
    """Draw a plain, striped, chequered, dotted or blotched surface, (H, W, 3) uint8."""
    first, second = random_color(rng), random_color(rng)
    share = _pattern_share(shape, rng)[..., None]
    surface = first + (second - first) * share
    surface *= 1 + 0.12 * smooth_noise(shape, shape[1] / 4, rng)[..., None]
    if rng.random() < 0.5:
        surface += rng.uniform(2, 12) * smooth_noise(shape, rng.uniform(1, 3), rng)[..., None]
    return np.asarray(np.clip(surface, 0, 255), np.uint8)


def _pattern_share(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Return how much of the second colour each pixel has, 0 to 1, (H, W)."""
    kind = rng.choice(["plain", "gradient", "stripes", "checks", "dots", "blotches"], p=_KIND_ODDS)
    if kind == "plain":
        return np.zeros(shape, np.float32)
    if kind == "blotches":
        noise = smooth_noise(shape, shape[1] * rng.uniform(0.02, 0.2), rng)
        return np.asarray(noise > rng.uniform(-0.5, 0.8), np.float32)
    turn, period = rng.uniform(0, math.pi), shape[1] * rng.uniform(0.02, 0.2)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) * (2 * math.pi / period)
    along = x * math.cos(turn) + y * math.sin(turn)
    across = y * math.cos(turn) - x * math.sin(turn)
    if kind == "gradient":
        return np.asarray((along - along.min()) / np.ptp(along), np.float32)
    waves = np.sin(along) if kind == "stripes" else np.sin(along) * np.sin(across)
    limit = rng.uniform(0.3, 0.7) if kind == "dots" else rng.uniform(-0.4, 0.4)
    return np.asarray(waves > limit, np.float32)


_KIND_ODDS = (0.4, 0.1, 0.15, 0.1, 0.1, 0.15)
