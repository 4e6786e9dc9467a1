"""Who is who from frame to frame, and where each face is while no detector runs.

Between two detections a face is followed by its own mask: how its centre and size moved since the
frame in which the detector last saw it. All decisions are made from frames and their times, never
from the clock, so the same input gives the same result on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .regions import CLASSES, class_ids
from .types import Box, Detection, Face, Frame, RegionMasks

Floats = NDArray[np.float64]

#: Least intersection over union of a track's box and a detection of the same face.
OVERLAP = 0.2
#: Intersection over union from which on a face that the detector does not see is another one's.
DOUBLE = 0.35
#: A detection and a lost track may be the same face if their centres are so many sides apart.
NEAR = 1.5
#: Seconds for which a face that left keeps its number.
MEMORY = 1.0
#: Seconds for which a face is followed by its mask alone while the detector does not see it.
FAITH = 1.5
#: Score from which on a detection needs no mask that looks like a face.
SURE = 0.95
#: Least share of a box that a face's pixels fill, and of those that eyes, nose or mouth take.
FILL, PART = 0.3, 0.003
#: The same of a face that is new and that the detector is not sure of.
NEW_FILL, NEW_PART = 0.5, 0.006
#: Frames in which its mask showed a face, from which on a face is known well.
HABIT = 10
#: Frames in a row for which a face that is known well is followed though its mask shows no more
#: than skin, and shares of its size by which that may move and grow in one of them.
DOUBTS, DRIFT = 4, 0.25
#: Share of a box's side around it in which its mask counts: another face beside it must not.
REACH = 0.1
#: Most that a face may grow or shrink by, as its mask tells, until the detector must look again.
GROWTH = 1.5
#: Share of its side by which a face must move before its box does, so that a still face's crop is
#: the same from frame to frame.
REST = 0.012
#: Mean change of a pixel, 0 to 255, from which on two frames are different scenes.
CUT = 40.0
#: The same in the dark, as a share of the mean brightness, and the least change that counts.
DARK_CUT, DARKEST = 0.6, 10.0

_FACE = np.zeros(256, np.uint8)
_FACE[list(class_ids(["face", "glasses"]))] = 1
_PARTS = tuple(
    list(class_ids(names))
    for names in (["eyes", "eyelids", "eyebrows", "glasses"], ["nose"], ["mouth"])
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a mask says a face is.

    Attributes:
        x, y: centre of the face's pixels.
        size: root of their number.
        whole: whether at least two of eyes (or brows or glasses), nose and mouth are among them.
            Somebody who looks down shows less.
        convincing: whether they would do for a face that is new.
    """

    x: float
    y: float
    size: float
    whole: bool = True
    convincing: bool = True


def measure(regions: RegionMasks, box: Box) -> Anchor | None:
    """Find the anchor of a face's mask near its box; None if it does not fill a fair part of it."""
    import cv2

    reach = round(REACH * max(box.width, box.height))
    x0, y0 = max(box.x0 - reach, regions.box.x0), max(box.y0 - reach, regions.box.y0)
    near = regions.labels[
        y0 - regions.box.y0 : max(0, box.y1 + reach - regions.box.y0),
        x0 - regions.box.x0 : max(0, box.x1 + reach - regions.box.x0),
    ]
    if not near.size:
        return None
    moments = cv2.moments(cv2.LUT(near, _FACE), binaryImage=True)
    face = moments["m00"]
    counts = np.bincount(near.ravel(), minlength=len(CLASSES))
    parts = [float(counts[ids].sum()) for ids in _PARTS]
    if face < FILL * box.area:
        return None
    whole = sum(part >= PART * face for part in parts) >= 2
    convincing = face >= NEW_FILL * box.area and min(parts) >= NEW_PART * face
    x, y = x0 + moments["m10"] / face, y0 + moments["m01"] / face
    return Anchor(x, y, math.sqrt(face), whole, convincing)


class OneEuro:
    """Smooth a box and landmarks: strongly at rest, hardly in motion.

    Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012; speeds are in sides of the box a second,
    so that near and far faces are treated alike.
    """

    cutoff = 1.0  # Hz, at rest
    gain = 6.0  # Hz more for each side a second
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
        habit: frames in which its mask showed a face.
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


class Tracker:
    """Follow the faces of a video.

    Each frame: ask `due`; then `update` with new detections, or `predict`; then `learn` from what
    the segmenter made of them.

    Args:
        every: frames from one detection to the next while all faces are followed well.

    Attributes:
        ended: tracks that ended since this was last emptied.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._next = 1
        self._since = 0
        self._failed = False
        self._thumb: NDArray[np.uint8] | None = None
        self.ended: list[int] = []

    def state(self) -> dict[str, Any]:
        """Tell all that is known, as plain values and arrays."""
        tracks, lost = ([_told(t) for t in ts] for ts in (self._tracks, self._lost))
        known = {n: v for n, v in vars(self).items() if n not in ("_every", "_tracks", "_lost")}
        return {**known, "_tracks": tracks, "_lost": lost}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` told."""
        tracks, lost = ([_taken(t) for t in state[name]] for name in ("_tracks", "_lost"))
        vars(self).update({**state, "_tracks": tracks, "_lost": lost})

    def due(self, frame: Frame) -> bool:
        """Say whether the detector should look at this frame.

        It should on every n-th frame, while no face is known, after one was lost, and after a cut.
        """
        if self._is_cut(frame):
            for track in self._tracks:
                self._end(track, keep=False)
            self._tracks, self._lost = [], []
        self._since += 1
        return not self._tracks or self._failed or self._since >= self._every

    @property
    def until_due(self) -> int:
        """Frames until the detector's next turn, if no face is lost before and no scene ends."""
        return max(1, self._every - self._since) if self._tracks else 1

    def _is_cut(self, frame: Frame) -> bool:
        import cv2

        if self._every == 1 and not self._tracks:
            return False
        size = (max(1, frame.width // 4), max(1, frame.height // 4))
        fewer = cv2.resize(frame.image, size, interpolation=cv2.INTER_NEAREST)
        small = cv2.resize(fewer, (32, 18), interpolation=cv2.INTER_AREA)
        thumb = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        before, self._thumb = self._thumb, thumb
        if before is None:
            return False
        brightness = (float(before.mean()) + float(thumb.mean())) / 2
        least = min(CUT, max(DARKEST, DARK_CUT * brightness))
        return float(cv2.absdiff(before, thumb).mean()) > least

    def update(self, frame: Frame, found: Sequence[Detection]) -> tuple[Detection, ...]:
        """Match new detections with the known faces; return every face of the frame."""
        self._since, self._failed = 0, False
        self._lost = [t for t in self._lost if frame.time - t.seen <= MEMORY]
        left = list(self._tracks)
        out: list[Track] = []
        for detection, known in _matches(found, left):
            if known is not None:
                left.remove(known)
            track = known or self._revive(detection, frame.time) or self._new(detection, frame.time)
            track.confirmed = frame.time
            track.reference = track.anchor = None
            self._place(track, detection, frame.time)
            out.append(track)
        for track in left:
            doubled = any(track.detection.box.iou(o.detection.box) > DOUBLE for o in out)
            if doubled or frame.time - track.confirmed > FAITH or track.anchor is None:
                self._end(track, keep=not doubled)
            else:
                self._advance(track, frame.time)
                out.append(track)
        self._tracks = out
        return tuple(t.detection for t in out)

    def predict(self, frame: Frame) -> tuple[Detection, ...]:
        """Say where the known faces are in a frame that no detector looks at."""
        for track in self._tracks:
            self._advance(track, frame.time)
        return tuple(t.detection for t in self._tracks)

    def learn(self, frame: Frame, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Take each face's new mask as the place to go on from.

        A track whose mask does not look like a face ends at once, unless the detector sees it in
        this very frame; a new one that the detector is not sure of ends even so. One that is known
        well lives through a few frames in which its mask shows a face without eyes or mouth.

        Returns:
            The faces that are left.
        """
        known = {t.id: t for t in self._tracks}
        kept = []
        for face in faces:
            track = known.get(face.id)
            if track is None or face.regions is None:
                kept.append(face)
                continue
            anchor = measure(face.regions, face.detection.box)
            if anchor is not None and not _plausible(track.reference, anchor):
                anchor = None
            if _believed(track, face.detection.score, anchor, frame.time):
                _note(track, anchor, frame.time)
                kept.append(face)
            else:
                self._tracks.remove(track)
                self._end(track, keep=True)
                self._failed |= track.confirmed != frame.time
        return tuple(kept)

    @property
    def failed(self) -> bool:
        """Whether a face was lost in this frame, so that the detector should look again."""
        return self._failed

    def _new(self, detection: Detection, time: float) -> Track:
        track = Track(self._next, detection, born=time, seen=time, confirmed=time)
        self._next += 1
        return track

    def _revive(self, detection: Detection, time: float) -> Track | None:
        """Find the nearest face of about this size that was lost a moment ago."""
        near = [t for t in self._lost if _apart(t.detection.box, detection.box) < NEAR]
        if not near:
            return None
        track = min(near, key=lambda t: _apart(t.detection.box, detection.box))
        self._lost.remove(track)
        if track.id in self.ended:  # in this very frame: what is kept of it is still good
            self.ended.remove(track.id)
        track.filter, track.born = OneEuro(), time
        return track

    def _end(self, track: Track, *, keep: bool) -> None:
        self.ended.append(track.id)
        if keep:
            self._lost.append(track)

    def _advance(self, track: Track, time: float) -> None:
        """Move a track's box as its mask moved since the detector saw it."""
        if track.reference is None or track.anchor is None:
            return
        start, origin = track.reference
        dx, dy = track.anchor.x - origin.x, track.anchor.y - origin.y
        marks = start.landmarks
        if marks is not None:
            marks = marks + np.array([dx, dy], np.float32)
        x0, y0, x1, y1 = start.box
        box = Box(round(x0 + dx), round(y0 + dy), round(x1 + dx), round(y1 + dy))
        self._place(track, Detection(box, start.score, marks), time)

    def _place(self, track: Track, detection: Detection, time: float) -> None:
        """Set where a track is, smoothed."""
        box = detection.box
        marks = detection.landmarks
        parts = [np.array(box, np.float64)]
        if marks is not None:
            parts.append(marks.astype(np.float64).ravel())
        side = (box.width + box.height) / 2
        smooth = track.filter(np.concatenate(parts), side, time)
        if _rests(track.detection, smooth, REST * side):
            track.detection = replace(track.detection, score=detection.score)
            return
        x0, y0, x1, y1 = (round(float(v)) for v in smooth[:4])
        if marks is not None:
            marks = smooth[4:].reshape(5, 2).astype(np.float32)
        track.detection = replace(
            detection,
            box=Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)),
            landmarks=marks,
            track=track.id,
        )


def _told(track: Track) -> dict[str, Any]:
    """Write a track as plain values and arrays."""
    return {**asdict(track), "filter": dict(vars(track.filter))}


def _taken(told: Mapping[str, Any]) -> Track:
    """Make a track of what `_told` wrote."""
    anchor, reference, smoother = told["anchor"], told["reference"], OneEuro()
    vars(smoother).update(told["filter"])
    return Track(
        **{
            **told,
            "detection": _detection(told["detection"]),
            "anchor": anchor and Anchor(**anchor),
            "reference": reference and (_detection(reference[0]), Anchor(**reference[1])),
            "filter": smoother,
        }
    )


def _detection(told: Mapping[str, Any]) -> Detection:
    return Detection(**{**told, "box": Box(*told["box"])})


def _believed(track: Track, score: float, anchor: Anchor | None, time: float) -> bool:
    """Whether to go on with a track, given where its mask says it is in this frame."""
    known_well = track.habit >= HABIT
    if track.born == time and score < SURE:
        return anchor is not None and (anchor.convincing or known_well)
    if track.confirmed == time:
        return True
    if anchor is None or anchor.whole:
        return anchor is not None
    return known_well and track.doubts < DOUBTS and _continues(track.anchor, anchor)


def _note(track: Track, anchor: Anchor | None, time: float) -> None:
    """Go on with a track from its mask in this frame."""
    whole = anchor is not None and anchor.whole
    track.habit += whole
    track.doubts = 0 if whole or track.confirmed == time else track.doubts + 1
    track.anchor = anchor if whole or track.habit >= HABIT else None
    track.seen = time
    if track.reference is None and anchor is not None:
        track.reference = (track.detection, anchor)


def _continues(before: Anchor | None, anchor: Anchor) -> bool:
    """Whether an anchor is about where it was in the frame before."""
    if before is None:
        return False
    reach = DRIFT * before.size
    away = math.hypot(anchor.x - before.x, anchor.y - before.y)
    return away <= reach and abs(anchor.size - before.size) <= reach


def _plausible(reference: tuple[Detection, Anchor] | None, anchor: Anchor) -> bool:
    """Whether a face may have come from where the detector saw it to its anchor."""
    if reference is None:
        return True
    ratio = anchor.size / reference[1].size
    return 1 / GROWTH <= ratio <= GROWTH


def _rests(now: Detection, smooth: Floats, reach: float) -> bool:
    """Whether a track's own detection is within reach of where the filter says it is."""
    if now.track is None or (now.landmarks is None) != (len(smooth) == 4):
        return False
    known = np.array(now.box, np.float64)
    if now.landmarks is not None:
        known = np.concatenate([known, now.landmarks.ravel()])
    return bool(np.abs(known - smooth).max() <= reach)


def _matches(
    found: Sequence[Detection], tracks: Sequence[Track]
) -> list[tuple[Detection, Track | None]]:
    """Pair detections with tracks, greedily, the best overlap first."""
    pairs = [
        (track.detection.box.iou(detection.box), i, j)
        for i, detection in enumerate(found)
        for j, track in enumerate(tracks)
    ]
    chosen: dict[int, int] = {}
    for overlap, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if overlap >= OVERLAP and i not in chosen and j not in chosen.values():
            chosen[i] = j
    return [(d, tracks[chosen[i]] if i in chosen else None) for i, d in enumerate(found)]


def _apart(a: Box, b: Box) -> float:
    """Measure how far two boxes are apart, in sides; infinite where their sizes differ much."""
    one, two = (max(1.0, (box.width + box.height) / 2) for box in (a, b))
    if max(one, two) > 1.7 * min(one, two):
        return math.inf
    across = (a.x0 + a.x1 - b.x0 - b.x1) / 2
    down = (a.y0 + a.y1 - b.y0 - b.y1) / 2
    return math.hypot(across, down) / max(one, two)
