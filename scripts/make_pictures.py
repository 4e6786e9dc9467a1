"""Make the pictures of the README and of docs/, with facereg itself.

Usage: python scripts/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage.data

import facereg
from facereg.drawing import view
from facereg.types import Image

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
VIEWS = ("gallery", "isolated:eyes+lips", "blur:hair")


def astronaut() -> Image:
    """Cut head and shoulders out of NASA's portrait of Eileen Collins (public domain)."""
    picture = np.ascontiguousarray(skimage.data.astronaut()[:300, 60:390, ::-1])
    return np.asarray(cv2.resize(picture, None, fx=1.6, fy=1.6), np.uint8)


def main() -> None:
    """Write docs/images/views.png: three views of one picture, side by side."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    result = facereg.parse(astronaut())
    row = np.hstack([view(spec)(result) for spec in VIEWS])
    cv2.imwrite(
        str(FOLDER / "views.png"),
        cv2.resize(row, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    )


if __name__ == "__main__":
    main()
