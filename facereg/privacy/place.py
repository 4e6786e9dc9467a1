"""Where a face is, to fractions of a pixel."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..types import Box


class Place(NamedTuple):
    """A rectangle by its middle and its sides, in pixels.

    >>> Place.of(Box(10, 20, 30, 60))
    Place(x=20.0, y=40.0, width=20.0, height=40.0)
    """

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def of(cls, box: Box) -> Place:
        """Turn a box into a place."""
        return cls(
            (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, float(box.width), float(box.height)
        )

    @property
    def side(self) -> float:
        """Mean of both sides, at least a pixel."""
        return max(1.0, (self.width + self.height) / 2)

    def box(self) -> Box:
        """Round outwards to whole pixels."""
        across, down = max(1.0, self.width) / 2, max(1.0, self.height) / 2
        return Box(
            math.floor(self.x - across),
            math.floor(self.y - down),
            math.ceil(self.x + across),
            math.ceil(self.y + down),
        )

    def distance(self, other: Place) -> float:
        """Measure the distance of both middles in sides of the larger one."""
        return math.hypot(self.x - other.x, self.y - other.y) / max(self.side, other.side)

    def ratio(self, other: Place) -> float:
        """Divide the larger side by the smaller one."""
        one, two = self.side, other.side
        return max(one, two) / min(one, two)

    def iou(self, other: Place) -> float:
        """Intersection over union, 0 to 1."""
        return self.box().iou(other.box())

    def moved(self, across: float, down: float) -> Place:
        """Move it to the right and down."""
        return self._replace(x=self.x + across, y=self.y + down)

    def scaled(self, factor: float) -> Place:
        """Grow it around its middle."""
        return self._replace(width=self.width * factor, height=self.height * factor)

    def between(self, other: Place, share: float) -> Place:
        """Return the place that far on the way to another one; 0 is this one, 1 the other."""
        return Place(*(a + share * (b - a) for a, b in zip(self, other, strict=True)))
