"""One face that is being followed: where it is, and how well it is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..types import Box, Detection
from .mask_position import Anchor
from .one_euro import Floats, OneEuro

#: Score from which on a detection needs no mask that looks like a face.
SURE = 0.95
#: Frames in which its mask showed a face, or the detector was sure, from which on it is known well.
HABIT = 10
#: Frames in a row for which a face that is known well is followed though its mask shows no more
#: than skin.
DOUBTS = 4
#: Share of its side by which a face must move before its box does, so that a still face's crop is
#: the same from frame to frame.
REST = 0.012
#: Share by which a mask may grow or shrink, as by an open mouth or a turn, before its box does.
BREATH = 0.02


@dataclass(slots=True)
class Track:
    """A face that is being followed.

    Attributes:
        id: its number.
        detection: where it is now.
        born: time of the frame in which it was found, or found again.
        seen: time of the last frame in which the detector or its mask showed it.
        confirmed: time of the last frame in which the detector found it.
        reference: the detection and anchor that its movement is counted from.
        anchor: where its mask last was.
        habit: frames in which its mask showed a face, or the detector was sure of it.
        doubts: frames since then, or since the detector saw it.
    """

    id: int
    detection: Detection
    born: float
    seen: float
    confirmed: float
    reference: tuple[Detection, Anchor] | None = None
    anchor: Anchor | None = None
    habit: int = 0
    doubts: int = 0
    filter: OneEuro = field(default_factory=OneEuro)

    def place(self, detection: Detection, time: float) -> None:
        """Set where the face is, smoothed."""
        box = detection.box
        marks = detection.landmarks
        parts = [np.array(box, np.float64)]
        if marks is not None:
            parts.append(marks.astype(np.float64).ravel())
        side = (box.width + box.height) / 2
        smooth = self.filter(np.concatenate(parts), side, time)
        if _rests(self.detection, smooth, REST * side):
            self.detection = replace(self.detection, score=detection.score)
            return
        x0, y0, x1, y1 = (round(float(v)) for v in smooth[:4])
        if marks is not None:
            marks = smooth[4:].reshape(5, 2).astype(np.float32)
        self.detection = replace(
            detection,
            box=Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)),
            landmarks=marks,
            track=self.id,
        )

    def advance(self, time: float) -> None:
        """Move the face's box as its mask moved and grew since the detector saw it."""
        if self.reference is None or self.anchor is None:
            return
        start, origin = self.reference
        growth = self.anchor.size / origin.size - 1
        zoom = 1 + math.copysign(max(0.0, abs(growth) - BREATH), growth)
        was, now = (np.array([a.x, a.y], np.float32) for a in (origin, self.anchor))
        x0, y0, x1, y1 = (float(v) for v in np.tile(now, 2) + (start.box - np.tile(was, 2)) * zoom)
        box = Box(round(x0), round(y0), round(x1), round(y1))
        marks = start.landmarks
        if marks is not None:
            marks = np.asarray(now + (marks - was) * zoom, np.float32)
        self.place(Detection(box, start.score, marks), time)

    def believes(self, anchor: Anchor | None, time: float) -> bool:
        """Whether to go on, given where the mask says the face is in this frame."""
        known_well = self.habit >= HABIT
        if self.born == time and self.detection.score < SURE and not known_well:
            return anchor is not None and anchor.convincing
        if self.confirmed == time:
            return True
        if anchor is None or anchor.whole:
            return anchor is not None
        return known_well and self.doubts < DOUBTS and anchor.continues(self.anchor)

    def note(self, anchor: Anchor | None, time: float) -> None:
        """Go on from the mask in this frame."""
        whole = anchor is not None and anchor.whole
        sure = self.confirmed == time and self.detection.score >= SURE
        self.habit += whole or sure
        self.doubts = 0 if whole or self.confirmed == time else self.doubts + 1
        self.anchor = anchor if whole or self.habit >= HABIT else None
        self.seen = time
        if self.reference is None and anchor is not None:
            self.reference = (self.detection, anchor)

    def state(self) -> dict[str, Any]:
        """Tell all that is known, as plain values and arrays."""
        return {**asdict(self), "filter": dict(vars(self.filter))}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Track:
        """Make a track of what `state` told."""
        anchor, reference, smoother = state["anchor"], state["reference"], OneEuro()
        vars(smoother).update(state["filter"])
        return cls(
            **{
                **state,
                "detection": _detection(state["detection"]),
                "anchor": anchor and Anchor(**anchor),
                "reference": reference and (_detection(reference[0]), Anchor(**reference[1])),
                "filter": smoother,
            }
        )


def _detection(state: Mapping[str, Any]) -> Detection:
    return Detection(**{**state, "box": Box(*state["box"])})


def _rests(now: Detection, smooth: Floats, reach: float) -> bool:
    """Whether a track's own detection is within reach of where the filter says it is."""
    if now.track is None or (now.landmarks is None) != (len(smooth) == 4):
        return False
    known = np.array(now.box, np.float64)
    if now.landmarks is not None:
        known = np.concatenate([known, now.landmarks.ravel()])
    return bool(np.abs(known - smooth).max() <= reach)
