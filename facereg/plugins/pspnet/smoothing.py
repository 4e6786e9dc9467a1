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

#: Factor by which a crop is shrunk to find motion in it. At 4, the logits' own factor, borders
#: tremble by a pixel; at 2 the flow takes 4 times as long (benchmarks/README.md).
SHRINK = 3
#: Share of the previous frame in a pixel that looks the same.
MAX_KEPT_SHARE = 0.88
#: Change of a pixel beyond the noise, 0 to 255, at which nothing of the previous frame is kept.
MAX_CHANGE = 16.0
#: Contradiction of two frames in logits at which the newer one is taken as it is.
MAX_CONTRADICTION = 2.0
#: Maximum of the camera's noise: what half of a crop's pixels change by, 0 to 255.
MAX_NOISE = 6.0
#: A crop is still while at most this share of it changes by more than this, 0 to 255.
STILL_SHARE, STILL_CHANGE = 0.002, 5.0


@dataclass(slots=True)
class _State:
    picture: Gray
    logits: Logits


@dataclass(slots=True)
class Motion:
    """How a crop differs from the track's last one.

    Attributes:
        picture: the crop, gray, shrunk.
        keep: (h, w) share of the last logits to keep at each place.
        last: (C, h, w) the last logits, moved along the motion.
    """

    picture: Gray
    keep: Floats
    last: Logits


class _Flow(threading.local):
    """Dense optical flow: each thread has its own."""

    def __init__(self) -> None:
        # Down to single pixels, which hair and the rims of glasses need. The preset's variational
        # refinement would double the time for little.
        self.dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.dis.setFinestScale(0)
        self.dis.setPatchStride(5)
        self.dis.setGradientDescentIterations(10)
        self.dis.setVariationalRefinementIterations(0)


class Smoother:
    """Remembers each track's last crop and logits. Tracks may be in different threads.

    If the picture moved, dense optical flow moves the last logits along. Pixel by pixel, less of
    them is kept the more the moved picture differs from the new one, so that nothing trails after a
    movement that the flow missed, and the more the new logits contradict them, so that nothing
    lags. The camera's noise, what half of the crop's pixels change by, is subtracted first.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _State] = {}
        self._flow = _Flow()

    def compare(self, track: int, crop: Image) -> Motion | None:
        """Compare a crop (S, S, 3) uint8 with the track's last one; None if there is none.

        This needs no logits, so the network can work on the same crop meanwhile.
        """
        before = self._tracks.get(track)
        if before is None:
            return None
        picture, shape = _picture(crop), before.logits.shape[1:]
        then, now = _resized(before.picture, shape), _resized(picture, shape)
        change, last = _change(then, now), before.logits
        keep = np.full_like(change, MAX_KEPT_SHARE)
        if float(np.mean(change > STILL_CHANGE)) > STILL_SHARE:
            x, y = self._places(before.picture, picture, shape)
            keep[(x < -0.5) | (y < -0.5) | (x > shape[1] - 0.5) | (y > shape[0] - 0.5)] = 0
            maps = cv2.convertMaps(x, y, cv2.CV_16SC2)
            moved = _carry(then, maps, cv2.INTER_LINEAR)
            change = _change(np.asarray(moved, np.uint8), now)
            last = _carried(last, maps)
        keep *= np.clip(1 - change / MAX_CHANGE, 0, 1)
        return Motion(picture, keep, last)

    def blend(self, track: int, crop: Image, motion: Motion | None, logits: Logits) -> Logits:
        """Blend a crop's new logits (C, h, w) with the track's last ones, moved by `compare`."""
        if motion is not None:
            logits = _blended(motion, logits)
        picture = _picture(crop) if motion is None else motion.picture
        self._tracks[track] = _State(picture, logits)
        return logits

    def _places(self, before: Gray, now: Gray, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Find where each logit was in the previous picture: x and y, each (h, w)."""
        flow = _resized(self._flow.dis.calc(now, before, None), shape)
        x = flow[:, :, 0] * (shape[1] / now.shape[1]) + np.arange(shape[1], dtype=np.float32)
        y = flow[:, :, 1] * (shape[0] / now.shape[0])
        return x, y + np.arange(shape[0], dtype=np.float32)[:, None]

    def forget(self, track: int) -> None:
        """Drop what is kept of a track."""
        self._tracks.pop(track, None)

    def state(self) -> dict[str, Any]:
        """Return what is kept of every track."""
        names = [field.name for field in fields(_State)]
        return {
            str(track): {name: getattr(kept, name) for name in names}
            for track, kept in self._tracks.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        self._tracks = {int(track): _State(**kept) for track, kept in state.items()}


def _blended(motion: Motion, logits: Logits) -> Logits:
    """Blend logits with the last ones, less the more they contradict each other."""
    last = motion.last
    blend = logits + last
    contradiction = logits.max(0) + last.max(0) - blend.max(0)
    keep = motion.keep * np.clip(1 - contradiction / MAX_CONTRADICTION, 0, 1)
    np.subtract(last, logits, out=blend)
    blend *= keep
    blend += logits
    return blend


def _carried(logits: Logits, maps: tuple[Any, Any]) -> Logits:
    """Move each plane of logits (C, h, w) along the motion.

    Cubic, because every frame moves what the previous one moved: linear sampling would blur it.
    """
    carried = np.empty_like(logits)
    for plane, out in zip(logits, carried, strict=True):
        _carry(plane, maps, cv2.INTER_CUBIC, out)
    return carried


def _picture(crop: Image) -> Gray:
    """Make the small gray picture of a crop (S, S, 3) in which motion is found."""
    gray = np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), np.uint8)
    return _resized(gray, (crop.shape[0] // SHRINK, crop.shape[1] // SHRINK))


def _resized(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Resize a plane (h, w) or (h, w, 2) to a height and width."""
    return np.asarray(cv2.resize(plane, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))


def _change(before: Gray, now: Gray) -> Floats:
    """Measure how much each pixel changed beyond the noise, (h, w), 0 to 255."""
    change = np.asarray(cv2.absdiff(before, now), np.uint8)
    noise = np.float32(min(_median(change), MAX_NOISE))
    return np.asarray(np.maximum(change - noise, 0), np.float32)


def _median(values: NDArray[np.uint8]) -> float:
    """Find the median of bytes by counting them: half the time of `numpy.median`."""
    counts = np.bincount(values.ravel(), minlength=256).cumsum()
    middle = np.searchsorted(counts, ((values.size - 1) // 2, values.size // 2), side="right")
    return float(middle.mean())


def _carry(
    plane: NDArray[Any], maps: tuple[Any, Any], between: int, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Move a plane (h, w) along the motion."""
    carried = cv2.remap(plane, maps[0], maps[1], between, out, cv2.BORDER_REPLICATE)
    return np.asarray(carried)
