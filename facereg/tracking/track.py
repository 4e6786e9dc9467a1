"""One face that is followed: where it is, and how well established it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..types import Box, Detection, RegionMasks
from .mask_position import MaskPosition, locate_mask
from .one_euro import Floats, OneEuro

#: Score above which a detection needs no mask that looks like a face.
HIGH_SCORE = 0.95
#: Confirmed frames after which a track counts as established.
MIN_HITS = 10
#: Consecutive frames for which an established face is followed though its mask shows only skin.
MAX_MISSES = 4
#: Box sides by which a face must move before its box does, so that a still face's crop stays.
DEADBAND = 0.012
#: Fraction by which a mask may grow or shrink, as when a mouth opens, before its box does.
SCALE_DEADBAND = 0.02


@dataclass(slots=True)
class Track:
    """A face that is followed. Times are those of frames, in seconds.

    Attributes:
        id: its number.
        detection: where it is now.
        started: time of the frame in which it was found, or found again.
        last_seen: time of the last frame in which the detector or its mask showed it.
        last_detected: time of the last frame in which the detector found it.
        reference: the detection from which its movement is measured, and its mask's position there.
        position: its mask's latest position.
        hits: frames that confirmed it: the mask showed a face, or the detector was sure.
        misses: consecutive frames since the last that confirmed or detected it.
    """

    id: int
    detection: Detection
    started: float
    last_seen: float
    last_detected: float
    reference: tuple[Detection, MaskPosition] | None = None
    position: MaskPosition | None = None
    hits: int = 0
    misses: int = 0
    filter: OneEuro = field(default_factory=OneEuro)

    @classmethod
    def begin(cls, number: int, detection: Detection, time: float) -> Track:
        """Begin a track with a face that was detected at ``time``."""
        track = cls(number, detection, started=time, last_seen=time, last_detected=time)
        track.detected(detection, time)
        return track

    @property
    def is_established(self) -> bool:
        """Whether enough frames have confirmed it."""
        return self.hits >= MIN_HITS

    def detected(self, detection: Detection, time: float) -> None:
        """Move to where the detector found the face."""
        self.last_detected = time
        self.reference = self.position = None
        self.move(detection, time)

    def restart(self, time: float) -> None:
        """Begin again after the face was lost: do not smooth across the gap."""
        self.filter, self.started = OneEuro(), time

    def move(self, detection: Detection, time: float) -> None:
        """Move to where the face is now, smoothed."""
        box, landmarks = detection.box, detection.landmarks
        parts = [np.array(box, np.float64)]
        if landmarks is not None:
            parts.append(landmarks.astype(np.float64).ravel())
        side = (box.width + box.height) / 2
        smooth = self.filter(np.concatenate(parts), side, time)
        if _is_still(self.detection, smooth, DEADBAND * side):
            self.detection = replace(self.detection, score=detection.score)
            return
        x0, y0, x1, y1 = (round(float(v)) for v in smooth[:4])
        if landmarks is not None:
            landmarks = smooth[4:].reshape(5, 2).astype(np.float32)
        self.detection = replace(
            detection,
            box=Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)),
            landmarks=landmarks,
            track=self.id,
        )

    def predict(self, time: float) -> None:
        """Move the box as the mask moved and grew since the last detection."""
        if self.reference is None or self.position is None:
            return
        start, origin = self.reference
        growth = self.position.size / origin.size - 1
        zoom = 1 + math.copysign(max(0.0, abs(growth) - SCALE_DEADBAND), growth)
        was, now = (np.array([p.x, p.y], np.float32) for p in (origin, self.position))
        x0, y0, x1, y1 = (float(v) for v in np.tile(now, 2) + (start.box - np.tile(was, 2)) * zoom)
        box = Box(round(x0), round(y0), round(x1), round(y1))
        landmarks = start.landmarks
        if landmarks is not None:
            landmarks = np.asarray(now + (landmarks - was) * zoom, np.float32)
        self.move(Detection(box, start.score, landmarks), time)

    def locate(self, regions: RegionMasks) -> MaskPosition | None:
        """Find the face's mask near the box; None if it is missing or of another size."""
        position = locate_mask(regions, self.detection.box)
        if position is None or self.reference is None:
            return position
        return position if position.has_scale_of(self.reference[1]) else None

    def is_plausible(self, position: MaskPosition | None, time: float) -> bool:
        """Whether the mask of this frame supports the track; if not, it should end."""
        is_new = self.started == time and not self.is_established
        if is_new and self.detection.score < HIGH_SCORE:
            return position is not None and position.is_convincing
        if self.last_detected == time:
            return True
        if position is None or position.has_parts:
            return position is not None
        may_miss = self.is_established and self.misses < MAX_MISSES
        return may_miss and position.continues(self.position)

    def update(self, position: MaskPosition | None, time: float) -> None:
        """Continue from the mask of this frame."""
        has_parts = position is not None and position.has_parts
        is_detected = self.last_detected == time
        self.hits += has_parts or (is_detected and self.detection.score >= HIGH_SCORE)
        self.misses = 0 if has_parts or is_detected else self.misses + 1
        self.position = position if has_parts or self.is_established else None
        self.last_seen = time
        if self.reference is None and position is not None:
            self.reference = (self.detection, position)

    def state(self) -> dict[str, Any]:
        """Return all that is known, as plain values and arrays."""
        return {**asdict(self), "filter": dict(vars(self.filter))}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Track:
        """Make the track whose `state` this is."""
        position, reference, smoother = state["position"], state["reference"], OneEuro()
        vars(smoother).update(state["filter"])
        return cls(
            **{
                **state,
                "detection": _detection(state["detection"]),
                "position": position and MaskPosition(**position),
                "reference": reference and (_detection(reference[0]), MaskPosition(**reference[1])),
                "filter": smoother,
            }
        )


def _detection(state: Mapping[str, Any]) -> Detection:
    return Detection(**{**state, "box": Box(*state["box"])})


def _is_still(now: Detection, smooth: Floats, reach: float) -> bool:
    """Whether a track's own detection is within ``reach`` pixels of where the filter puts it."""
    if now.track is None or (now.landmarks is None) != (len(smooth) == 4):
        return False
    known = np.array(now.box, np.float64)
    if now.landmarks is not None:
        known = np.concatenate([known, now.landmarks.ravel()])
    return bool(np.abs(known - smooth).max() <= reach)
