"""Steady masks: blend a face's logits with those of the frame before, carried along its motion."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...types import Image

Floats = NDArray[np.float32]
Logits = NDArray[np.float32]
Gray = NDArray[np.uint8]

#: Pixels of a crop for one of the picture that motion is found in. At 4, as the logits are, borders
#: tremble by a pixel; at 2 the flow takes 4 times as long (benchmarks/README.md).
SHRINK = 3
#: Share of the frame before in a pixel that looks as it did.
KEEP = 0.88
#: Change of a pixel, 0 to 255 beyond the noise, from which on nothing of the frame before is kept.
MOTION = 16.0
#: Logits by which two frames must contradict one another for the newer one to be taken as it is.
CONTRADICTION = 2.0
#: Most that the noise of a camera changes half of a crop's pixels by.
NOISE = 6.0
#: A crop is still while no more than this share of it changes by more than so much.
STILL_SHARE, STILL = 0.002, 5.0


@dataclass(slots=True)
class _State:
    picture: Gray
    logits: Logits


@dataclass(slots=True)
class Motion:
    """How a crop differs from the track's last one.

    Attributes:
        picture: the crop, gray, shrunk.
        keep: share of the last logits to keep at each place, (h, w).
        last: the last logits, carried along the motion, (C, h, w).
    """

    picture: Gray
    keep: Floats
    last: Logits


class _Flow(threading.local):
    """Dense optical flow: each thread has its own."""

    def __init__(self) -> None:
        # Down to single pixels, as hair and the rims of glasses need it; the preset's variational
        # refinement would take as long again, for little.
        self.dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.dis.setFinestScale(0)
        self.dis.setPatchStride(5)
        self.dis.setGradientDescentIterations(10)
        self.dis.setVariationalRefinementIterations(0)


class Smoother:
    """Remembers each track's last crop, in crop coordinates. Tracks may be in different threads.

    Where the picture moved, dense optical flow carries the last logits along. How much of them is
    kept falls, pixel by pixel, with how little the picture, carried along, looks like the new one,
    so that nothing trails after a movement that the flow missed; and with how surely the new logits
    contradict them, so that nothing lags. The noise of the camera is taken off first: it is what
    half of the crop's pixels change by.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _State] = {}
        self._flow = _Flow()

    def look(self, track: int, crop: Image) -> Motion | None:
        """Compare a crop (S, S, 3) uint8 with the track's last one; None if there is none.

        It needs no logits, so that the network can work on the same crop meanwhile.
        """
        before = self._tracks.get(track)
        if before is None:
            return None
        picture, shape = _picture(crop), before.logits.shape[1:]
        then, now = _resized(before.picture, shape), _resized(picture, shape)
        change, last = _change(then, now), before.logits
        keep = np.full_like(change, KEEP)
        if float(np.mean(change > STILL)) > STILL_SHARE:
            x, y = self._places(before.picture, picture, shape)
            keep[(x < -0.5) | (y < -0.5) | (x > shape[1] - 0.5) | (y > shape[0] - 0.5)] = 0
            maps = cv2.convertMaps(x, y, cv2.CV_16SC2)
            moved = _carry(then, maps, cv2.INTER_LINEAR)
            change = _change(np.asarray(moved, np.uint8), now)
            last = _carried(last, maps)
        keep *= np.clip(1 - change / MOTION, 0, 1)
        return Motion(picture, keep, last)

    def blend(self, track: int, crop: Image, motion: Motion | None, logits: Logits) -> Logits:
        """Blend new logits (C, h, w) of a crop with the track's last ones, as `look` found them."""
        if motion is not None:
            logits = _blended(motion, logits)
        picture = _picture(crop) if motion is None else motion.picture
        self._tracks[track] = _State(picture, logits)
        return logits

    def _places(self, before: Gray, now: Gray, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Find where each of the logits was in the picture before: x and y, each (h, w)."""
        flow = _resized(self._flow.dis.calc(now, before, None), shape)
        x = flow[:, :, 0] * (shape[1] / now.shape[1]) + np.arange(shape[1], dtype=np.float32)
        y = flow[:, :, 1] * (shape[0] / now.shape[0])
        return x, y + np.arange(shape[0], dtype=np.float32)[:, None]

    def forget(self, track: int) -> None:
        """Drop what is kept of a track."""
        self._tracks.pop(track, None)

    def state(self) -> dict[str, Any]:
        """Tell what is kept of every track."""
        names = [field.name for field in fields(_State)]
        return {
            str(track): {name: getattr(kept, name) for name in names}
            for track, kept in self._tracks.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` told."""
        self._tracks = {int(track): _State(**kept) for track, kept in state.items()}


def _blended(motion: Motion, logits: Logits) -> Logits:
    """Blend logits with the last ones as far as they do not contradict them."""
    last = motion.last
    blend = logits + last
    contradiction = logits.max(0) + last.max(0) - blend.max(0)
    keep = motion.keep * np.clip(1 - contradiction / CONTRADICTION, 0, 1)
    np.subtract(last, logits, out=blend)
    blend *= keep
    blend += logits
    return blend


def _carried(logits: Logits, maps: tuple[Any, Any]) -> Logits:
    """Take from each plane of logits, at each place, what was there.

    Cubic, as every frame carries on what the one before carried: linear would blur it.
    """
    carried = np.empty_like(logits)
    for plane, out in zip(logits, carried, strict=True):
        _carry(plane, maps, cv2.INTER_CUBIC, out)
    return carried


def _picture(crop: Image) -> Gray:
    """Make the gray picture of a crop (S, S, 3) that motion is found in."""
    gray = np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), np.uint8)
    return _resized(gray, (crop.shape[0] // SHRINK, crop.shape[1] // SHRINK))


def _resized(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Bring a plane (h, w) or (h, w, 2) to a height and width."""
    return np.asarray(cv2.resize(plane, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))


def _change(before: Gray, now: Gray) -> Floats:
    """Measure how much each pixel changed beyond the noise, (h, w), 0 to 255."""
    change = np.asarray(cv2.absdiff(before, now), np.uint8)
    noise = np.float32(min(_median(change), NOISE))
    return np.asarray(np.maximum(change - noise, 0), np.float32)


def _median(values: NDArray[np.uint8]) -> float:
    """Find the median of bytes by counting them: half the time of `numpy.median`."""
    counts = np.bincount(values.ravel(), minlength=256).cumsum()
    middle = np.searchsorted(counts, ((values.size - 1) // 2, values.size // 2), side="right")
    return float(middle.mean())


def _carry(
    plane: NDArray[Any], maps: tuple[Any, Any], between: int, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Take from a plane (h, w), at each place, what was there."""
    carried = cv2.remap(plane, maps[0], maps[1], between, out, cv2.BORDER_REPLICATE)
    return np.asarray(carried)
