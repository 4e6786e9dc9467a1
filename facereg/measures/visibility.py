"""Which part of a face can be seen: what an object, hair or the frame's edge hides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..regions import class_ids
from ..types import RegionMasks
from .axes import Axes, Floats

#: Where regions are on a head: centre x, y, z and half axes x, y of an ellipse, in inter-ocular
#: distances. Medians over 292 portraits with drawn labels.
PLACES: dict[str, tuple[float, float, float, float, float]] = {
    "face": (0.0, 0.45, 0.0, 0.8, 1.15),
    "left_eye": (0.5, 0.0, 0.0, 0.18, 0.07),
    "right_eye": (-0.5, 0.0, 0.0, 0.18, 0.07),
    "left_eyebrow": (0.53, -0.25, -0.1, 0.3, 0.05),
    "right_eyebrow": (-0.53, -0.25, -0.1, 0.3, 0.05),
    "nose": (0.0, 0.42, -0.35, 0.2, 0.32),
    "mouth": (0.0, 1.1, -0.12, 0.4, 0.14),
}

#: Points that stand for a region.
SAMPLES = 200

COVERS = ("background", "hair", "head_covering", "clothing")


def _disc() -> Floats:
    """Spread points evenly over a unit disc, (SAMPLES, 2), along a spiral (Vogel 1979)."""
    i = np.arange(SAMPLES)
    radius, angle = np.sqrt((i + 0.5) / SAMPLES), i * np.pi * (3 - np.sqrt(5))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


DISC = _disc()


def ellipse_points(place: Sequence[float], axes: Axes) -> Floats:
    """Map the disc to an ellipse of the head, in pixels of the frame: (SAMPLES, 2)."""
    x, y, z, half_x, half_y = place
    head = np.column_stack(
        [x + half_x * DISC[:, 0], y + half_y * DISC[:, 1], np.full(SAMPLES, z, np.float64)]
    )
    return axes.project(head)


class Visibility:
    """Tells which share of each region of a face can be seen.

    Args:
        regions: the face's regions.
        axes: its axes.
        frame: height and width of the frame.
    """

    def __init__(self, regions: RegionMasks, axes: Axes, frame: tuple[int, int]) -> None:
        self._regions, self._axes, self._frame = regions, axes, frame

    def share(self, region: str, *, glasses_hide: bool = True) -> float:
        """Return the share of a region of `PLACES` that can be seen, 0 to 1."""
        covers = COVERS + (("glasses",) if glasses_hide and region != "face" else ())
        points = ellipse_points(PLACES[region], self._axes)
        return float(1 - np.isin(self._labels(points), class_ids(covers)).mean())

    def cut(self) -> float:
        """Return the share of the face beyond the frame's edge, 0 to 1."""
        return float(self._outside(ellipse_points(PLACES["face"], self._axes)).mean())

    def _outside(self, points: Floats) -> NDArray[np.bool_]:
        height, width = self._frame
        x, y = points.T
        outside: NDArray[np.bool_] = (
            (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
        )
        return outside

    def _labels(self, points: Floats) -> NDArray[np.uint8]:
        """Look up the class of each point; beyond the regions it is background."""
        box, labels = self._regions.box, self._regions.labels
        x, y = (np.rint(points) - (box.x0, box.y0)).astype(np.int64).T
        inside = (x >= 0) & (y >= 0) & (x < box.width) & (y < box.height)
        found = np.zeros(len(points), np.uint8)
        found[inside] = labels[y[inside], x[inside]]
        return found
