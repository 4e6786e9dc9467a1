"""The 1 Euro filter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Cutoff frequency at rest, and how much each box side a second raises it, in Hz.
MIN_CUTOFF_HZ, CUTOFF_HZ_PER_SPEED = 1.0, 12.0
#: Cutoff frequency of the speed estimate, in Hz.
SPEED_CUTOFF_HZ = 1.0
#: Shortest time between two observations, in seconds.
MIN_STEP_SECONDS = 1e-3


class OneEuro:
    """Smooth a box and landmarks: strongly at rest, hardly in motion.

    Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012. Speeds are in box sides a second, so that
    near and far faces are smoothed alike.

    >>> smooth = OneEuro()
    >>> smooth(np.array([10.0, 10, 70, 70]), side=60, time=0.0).tolist()
    [10.0, 10.0, 70.0, 70.0]
    """

    def __init__(self) -> None:
        self._value: Floats | None = None
        self._slope: Floats | None = None
        self._time = 0.0

    def __call__(self, value: Floats, side: float, time: float) -> Floats:
        """Filter one observation.

        Args:
            value: (n,) the box's x0, y0, x1, y1, then any landmarks, in pixels.
            side: side of the box, in pixels.
            time: when it was made, in seconds.

        Returns:
            (n,) the smoothed value. An observation of another length restarts the filter.
        """
        if self._value is None or self._slope is None or self._value.shape != value.shape:
            self._value, self._slope, self._time = value, np.zeros_like(value), time
            return value
        step = max(time - self._time, MIN_STEP_SECONDS)
        slope = (value - self._value) / step
        self._slope = self._slope + _alpha(SPEED_CUTOFF_HZ, step) * (slope - self._slope)
        speed = float(np.abs(self._slope[:4]).max()) / max(side, 1.0)
        cutoff = MIN_CUTOFF_HZ + CUTOFF_HZ_PER_SPEED * speed
        self._value = self._value + _alpha(cutoff, step) * (value - self._value)
        self._time = time
        return self._value


def _alpha(cutoff: float, step: float) -> float:
    """Weight of a new observation in a first-order low-pass filter."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * step))
