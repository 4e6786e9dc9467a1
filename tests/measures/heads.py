"""Heads drawn from ellipses, whose measures are known."""

from __future__ import annotations

import math

import numpy as np

from facereg.measures.axes import CAMERA_DISTANCE, HEAD
from facereg.regions import IDS
from facereg.types import Box, Detection, RegionMasks

SIZE, MIDDLE = 600, (300.0, 240.0)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Turn a head as docs/measures.md says; degrees."""
    y, p, r = np.radians([-yaw, -pitch, roll])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    about_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def landmarks(yaw=0.0, pitch=0.0, roll=0.0, scale=100.0) -> np.ndarray:
    """Project a head's five landmarks."""
    seen = HEAD[:5] @ rotation(yaw, pitch, roll).T
    flat = seen[:, :2] / (1 + seen[:, 2:] / CAMERA_DISTANCE)
    return np.asarray(MIDDLE + scale * flat, np.float32)


def head(opening=0.3, gap=0.0, scale=100.0, covered=()) -> tuple[Detection, RegionMasks]:
    """Draw a frontal head: eyes and a mouth of a given height over width."""
    labels = np.zeros((SIZE, SIZE), np.uint8)

    def ellipse(name: str, x: float, y: float, half_x: float, half_y: float) -> None:
        columns = (np.arange(SIZE) - MIDDLE[0] - scale * x) / (scale * half_x)
        rows = (np.arange(SIZE) - MIDDLE[1] - scale * y) / (scale * half_y)
        labels[columns**2 + rows[:, None] ** 2 <= 1] = IDS[name]

    ellipse("skin", 0, 0.35, 1, 1.45)
    ellipse("nose", 0, 0.41, 0.2, 0.3)
    for side, x in (("left", 0.5), ("right", -0.5)):
        ellipse(f"{side}_eyebrow", x, -0.25, 0.3, 0.06)
        ellipse(f"{side}_eyelid", x, 0, 0.25, 0.13)
        if opening:
            ellipse(f"{side}_eye", x, 0, 0.18, 0.18 * opening)
    ellipse("upper_lip", 0, 1.1, 0.42, 0.16)
    labels[round(MIDDLE[1] + 1.1 * scale) :][labels[round(MIDDLE[1] + 1.1 * scale) :] == 9] = 7
    if gap:
        ellipse("mouth_interior", 0, 1.1, 0.42 * 0.9, 0.42 * gap / 0.9)
    for x0, y0, x1, y1 in covered:
        labels[y0:y1, x0:x1] = 0
    x, y = MIDDLE
    box = Box(*(round(v) for v in (x - scale, y - scale, x + scale, y + 1.7 * scale)))
    detection = Detection(box, 0.99, landmarks(scale=scale), 1)
    return detection, RegionMasks(Box(0, 0, SIZE, SIZE), labels)
