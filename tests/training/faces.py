"""A drawn face with labels: quick to make, and its parts are where a test expects them."""

from __future__ import annotations

import cv2
import numpy as np

from facereg.regions import IDS
from facereg.types import Image, Labels

SIDE = 128
SKIN = (120, 150, 200)


def drawn_face() -> tuple[Image, Labels]:
    """Draw a frontal face, (128, 128, 3) BGR and (128, 128), with hair above and beside it."""
    image = np.full((SIDE, SIDE, 3), 60, np.uint8)
    labels = np.zeros((SIDE, SIDE), np.uint8)

    def part(name: str, at: tuple[int, int], axes: tuple[int, int], color: tuple[int, ...]) -> None:
        cv2.ellipse(image, at, axes, 0, 0, 360, color, cv2.FILLED)
        cv2.ellipse(labels, at, axes, 0, 0, 360, IDS[name], cv2.FILLED)

    part("hair", (64, 48), (44, 44), (20, 30, 40))
    part("skin", (64, 70), (34, 44), SKIN)
    part("right_eye", (50, 52), (7, 4), (255, 255, 255))
    part("left_eye", (78, 52), (7, 4), (255, 255, 255))
    part("nose", (64, 68), (6, 10), (110, 140, 190))
    part("upper_lip", (64, 86), (12, 3), (60, 60, 180))
    part("lower_lip", (64, 91), (12, 3), (60, 60, 180))
    return image, labels
