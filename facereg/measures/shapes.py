"""Size and place of a region in a face's own axes, and how far its border may be off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import Probability, RegionMasks
from .axes import Axes

Indices = NDArray[np.intp]

#: Error of a border over the softness of the border, calibrated by benchmarks/measures.py.
ERROR_PER_SOFTNESS = 2.7
#: Error of a border, in pixels, that whole pixels bring: that of rounding is 1/sqrt(12).
PIXEL_ERROR = 0.3
#: Softness of a border that is not known, in inter-ocular distances: the median over portraits.
USUAL_SOFTNESS = 0.007
#: A border is where a region's probability is between these.
SOFT_RANGE = (0.25, 0.75)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A region, as the ellipse with its area and its spread along the line of the eyes.

    Attributes:
        area: pixels.
        across, down: centroid in the face's axes in the picture, pixels from the origin.
        width: four standard deviations of its pixels along the line of the eyes, in pixels.
        border_error: standard error of the place of its border, in pixels.
    """

    area: int
    across: float
    down: float
    width: float
    border_error: float

    @property
    def height(self) -> float:
        """Height, in pixels, of the ellipse with its area and width."""
        return 4 * self.area / (math.pi * self.width)


class Shapes:
    """Measures regions of one face.

    Args:
        regions: the face's regions.
        axes: its axes.
    """

    def __init__(self, regions: RegionMasks, axes: Axes) -> None:
        self._regions, self._axes = regions, axes
        self._soft: Probability | None = regions.probability("eyes", "eyebrows", "mouth")

    def find(self, *names: str) -> Shape | None:
        """Measure a region; None if it has fewer than three pixels."""
        rows, columns = np.nonzero(self._regions.mask(*names))
        if len(rows) < 3:
            return None
        box, axes = self._regions.box, self._axes
        points = np.column_stack([columns + box.x0, rows + box.y0]) - axes.origin
        across, down = points @ axes.across, points @ axes.down
        # 1/12 is the variance within a pixel.
        width = 4 * math.sqrt(float(across.var()) + 1 / 12)
        error = self._border_error(rows, columns, width)
        return Shape(len(rows), float(across.mean()), float(down.mean()), width, error)

    def extent(self, *names: str) -> tuple[float, float] | None:
        """Measure how far a region reaches across and down, in pixels; None if it is empty."""
        rows, columns = np.nonzero(self._regions.mask(*names))
        if not len(rows):
            return None
        points = np.column_stack([columns, rows])
        sides = (points @ self._axes.across, points @ self._axes.down)
        return float(np.ptp(sides[0])) + 1, float(np.ptp(sides[1])) + 1

    def unknown_border_error(self) -> float:
        """Return the standard error of a border whose softness is not known, in pixels."""
        return math.hypot(ERROR_PER_SOFTNESS * USUAL_SOFTNESS * self._axes.scale, PIXEL_ERROR)

    def _border_error(self, rows: Indices, columns: Indices, width: float) -> float:
        """Find how soft a border is: half of the pixels between two odds, over its length."""
        if self._soft is None:
            return self.unknown_border_error()
        reach = max(2, round(0.04 * self._axes.scale))
        window = self._soft[
            max(0, int(rows.min()) - reach) : int(rows.max()) + reach + 1,
            max(0, int(columns.min()) - reach) : int(columns.max()) + reach + 1,
        ]
        low, high = SOFT_RANGE
        height = 4 * len(rows) / (math.pi * width)
        length = math.pi * (width + height) / 2
        band = int(np.count_nonzero((window > low) & (window < high)))
        return math.hypot(ERROR_PER_SOFTNESS * band / (2 * length), PIXEL_ERROR)
