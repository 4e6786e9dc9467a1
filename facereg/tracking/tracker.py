"""Who is who from frame to frame, and where each face is while no detector runs.

Between two detections a face is followed by its own mask: how its centre and size moved since the
frame in which the detector last saw it. All decisions are made from frames and their times, never
from the clock, so the same input gives the same result on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Box, Detection, Face, Frame
from .mask_position import measure
from .one_euro import OneEuro
from .track import Track

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
#: Mean change of a pixel, 0 to 255, from which on two frames are different scenes.
CUT = 40.0
#: The same in the dark, as a share of the mean brightness, and the least change that counts.
DARK_CUT, DARKEST = 0.6, 10.0


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
        tracks, lost = ([t.state() for t in ts] for ts in (self._tracks, self._lost))
        known = {n: v for n, v in vars(self).items() if n not in ("_every", "_tracks", "_lost")}
        return {**known, "_tracks": tracks, "_lost": lost}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` told."""
        tracks, lost = ([Track.restored(t) for t in state[name]] for name in ("_tracks", "_lost"))
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
            self._thumb = None  # nobody to end; who is found next is not of an older scene
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
            track.place(detection, frame.time)
            out.append(track)
        for track in left:
            doubled = any(track.detection.box.iou(o.detection.box) > DOUBLE for o in out)
            if doubled or frame.time - track.confirmed > FAITH or track.anchor is None:
                self._end(track, keep=not doubled)
            else:
                track.advance(frame.time)
                out.append(track)
        self._tracks = out
        return tuple(t.detection for t in out)

    def predict(self, frame: Frame) -> tuple[Detection, ...]:
        """Say where the known faces are in a frame that no detector looks at."""
        for track in self._tracks:
            track.advance(frame.time)
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
            if anchor and track.reference and not anchor.grew_from(track.reference[1]):
                anchor = None
            if track.believes(anchor, frame.time):
                track.note(anchor, frame.time)
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
