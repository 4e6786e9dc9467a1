"""How fast faces move, from frame to frame."""

from __future__ import annotations

import math
from dataclasses import replace

from ..types import Measures

#: Longest gap, in seconds, across which a speed is measured.
MAX_GAP = 0.5


class Motion:
    """Adds the speed to the measures of faces that come in the order of their frames."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, Measures]] = {}

    def follow(self, face: int, time: float, measures: Measures) -> Measures:
        """Return a face's measures with its speed, if it was measured shortly before.

        Args:
            face: its id.
            time: seconds.
            measures: those of this frame.
        """
        before = self._last.get(face)
        if math.isnan(measures["scale"]):
            return measures
        self._last[face] = time, measures
        if before is None or not 0 < time - before[0] <= MAX_GAP:
            return _without(measures, "no frame shortly before")
        step, last = time - before[0], before[1]
        scale = (measures["scale"] + last["scale"]) / 2
        moved = [
            measures[name] * measures["scale"] - last[name] * last["scale"]
            for name in ("center_x", "center_y")
        ]
        speed = math.hypot(*moved) / scale / step
        error = math.hypot(0.02, speed * step * measures.errors["scale"] / scale) / step
        return replace(
            measures,
            known={**measures.known, "speed": speed},
            errors={**measures.errors, "speed": error},
            reasons={name: why for name, why in measures.reasons.items() if name != "speed"},
        )


def _without(measures: Measures, why: str) -> Measures:
    return replace(measures, reasons={**measures.reasons, "speed": why})
