"""Carry masks along the motion of a face, through frames in which it is not parsed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Box, Frame, Image, Labels, RegionMasks

#: Longest side in pixels of the pictures between which motion is measured.
FLOW_SIDE = 144
#: Share of a mask's box around it in which motion is measured.
MARGIN = 0.06
#: Most frames from one parse to the next that a live source chooses.
MAX_EVERY = 4
#: Weight of a new measurement of how long a parse takes.
SMOOTHING = 0.2
#: Rate of a live source that does not say its own.
USUAL_RATE = 30.0


@dataclass(slots=True)
class _Known:
    """A face as it was in the last frame."""

    regions: RegionMasks
    frame: Frame
    age: int  # frames since it was parsed


class Carrier:
    """Remembers the masks of the last frame, by track, and moves them into the next one.

    Motion is dense optical flow (DIS; Kroeger et al., ECCV 2016) between both frames, so that lips
    and lids go along, not only the head.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._flow: Any = None

    def age(self, track: int | None, frame: Frame) -> int | None:
        """Return how many frames ago a face was parsed; None if nothing is known of it."""
        known = None if track is None else self._known.get(track)
        if known is None:
            return None
        return known.age + (known.frame is not frame)

    def note(self, track: int | None, frame: Frame, regions: RegionMasks | None) -> None:
        """Remember a face that was parsed."""
        if track is not None and regions is not None and regions.box.area:
            self._known[track] = _Known(regions, frame, 0)

    def forget(self, track: int) -> None:
        """Forget a face."""
        self._known.pop(track, None)

    def carry(self, track: int, frame: Frame) -> RegionMasks:
        """Move a known face's mask into the next frame."""
        known = self._known[track]
        if known.frame is not frame:  # it may be asked for again after another detection
            known = _Known(self._moved(known, frame), frame, known.age + 1)
            self._known[track] = known
        return known.regions

    def _moved(self, known: _Known, frame: Frame) -> RegionMasks:
        old, size = known.regions.box, (frame.width, frame.height)
        if known.frame.image.shape != frame.image.shape:
            return known.regions
        seen = old.grown(math.ceil(MARGIN * old.width)).clip(*size)
        flow = self._motion(known.frame.image, frame.image, seen)
        inside = flow[old.moved(-seen.x0, -seen.y0).slices]
        face = known.regions.mask("face")
        steps = inside[face] if face.any() else inside.reshape(-1, 2)
        across, down = (round(-float(v)) for v in np.median(steps, axis=0))
        box = old.moved(across, down).clip(*size)
        if not box.area:
            return known.regions
        return RegionMasks(box, _warped(known.regions, flow, seen, box))

    def _motion(self, before: Image, now: Image, seen: Box) -> NDArray[np.float32]:
        """Measure, for each pixel of a part of this frame, how far away it was in the last one."""
        zoom = min(1.0, FLOW_SIDE / max(seen.width, seen.height))
        side = (max(16, round(seen.width * zoom)), max(16, round(seen.height * zoom)))
        small = [
            cv2.resize(
                cv2.cvtColor(image[seen.slices], cv2.COLOR_BGR2GRAY), side,
                interpolation=cv2.INTER_AREA,
            )
            for image in (now, before)
        ]  # fmt: skip
        if self._flow is None:
            self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        flow = self._flow.calc(*small, None)
        scale = np.array([seen.width / side[0], seen.height / side[1]], np.float32)
        whole = cv2.resize(flow, (seen.width, seen.height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole * scale, np.float32)


def _warped(regions: RegionMasks, flow: NDArray[np.float32], seen: Box, box: Box) -> Labels:
    """Look up each pixel of a box where it was before."""
    rows, columns = np.mgrid[box.y0 : box.y1, box.x0 : box.x1].astype(np.float32)
    at_y = np.clip(rows - seen.y0, 0, seen.height - 1).astype(np.intp)
    at_x = np.clip(columns - seen.x0, 0, seen.width - 1).astype(np.intp)
    moved = flow[at_y, at_x]
    map_x = columns + moved[..., 0] - regions.box.x0
    map_y = rows + moved[..., 1] - regions.box.y0
    labels = cv2.remap(
        regions.labels, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(labels, np.uint8)


class Pace:
    """Says on every how many-th frame a face is parsed.

    Args:
        every: a number; None adapts it, so that a live source of ``rate`` frames a second is
            kept up with.
        rate: frames a second; None is the usual one.
    """

    def __init__(self, every: int | None, rate: float | None = None) -> None:
        self._fixed = every
        self._interval = 1000 / (rate or USUAL_RATE)
        self._cost: float | None = None  # milliseconds of a frame that is parsed

    @property
    def every(self) -> int:
        """Frames from one parse to the next."""
        if self._fixed is not None:
            return self._fixed
        if self._cost is None:
            return 1
        return max(1, min(MAX_EVERY, math.ceil(self._cost / self._interval)))

    @property
    def carries(self) -> bool:
        """Whether it may ever be more than one."""
        return self._fixed != 1

    def took(self, milliseconds: float) -> None:
        """Note how long the parse of a frame took."""
        if self._cost is None:
            self._cost = milliseconds
        self._cost += SMOOTHING * (milliseconds - self._cost)
