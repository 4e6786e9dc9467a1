"""The 1 Euro filter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class OneEuro:
    """Smooth a box and landmarks: strongly at rest, hardly in motion.

    Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012; speeds are in sides of the box a second,
    so that near and far faces are treated alike.
    """

    cutoff = 1.0  # Hz, at rest
    gain = 12.0  # Hz more for each side a second
    slope_cutoff = 1.0  # Hz, of the speed itself

    def __init__(self) -> None:
        self._value: Floats | None = None
        self._slope: Floats | None = None
        self._time = 0.0

    def __call__(self, value: Floats, side: float, time: float) -> Floats:
        """Filter one observation (n,), made at ``time`` seconds."""
        if self._value is None or self._slope is None or self._value.shape != value.shape:
            self._value, self._slope, self._time = value, np.zeros_like(value), time
            return value
        step = max(time - self._time, 1e-3)
        slope = (value - self._value) / step
        self._slope = self._slope + _alpha(self.slope_cutoff, step) * (slope - self._slope)
        speed = float(np.abs(self._slope[:4]).max()) / max(side, 1.0)
        self._value = self._value + _alpha(self.cutoff + self.gain * speed, step) * (
            value - self._value
        )
        self._time = time
        return self._value


def _alpha(cutoff: float, step: float) -> float:
    return 1 / (1 + 1 / (2 * math.pi * cutoff * step))
