"""The way of one face that is to be hidden, through frames in which it was seen and gaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..types import Box, Detection, Face, Labels, RegionMasks
from .guard import Sight
from .place import Place

#: Number of a face that nobody has a number for. ``only=`` never means it, ``except=`` always does.
NOBODY = -1

#: Seconds from which speed is estimated, and for which it is believed to last.
SPEED_SECONDS, MOVING_SECONDS = 0.25, 0.3
#: Share of its sides by which a face that is not seen is widened for each frame, and the maximum.
WIDENING, MAX_WIDENING = 0.03, 0.18
#: Sights that make a face certain; so does a score, or the tracker.
MIN_SIGHTS, SURE_SCORE = 3, 0.9
#: Seconds between two sights of the guard within which a tracked face's box is not needed.
BRIDGE_SECONDS = 0.2


@dataclass(slots=True)
class Trail:
    """Where a face was seen, by the times of frames in seconds.

    Attributes:
        id: its number, or `NOBODY`.
        sights: where the guard saw it.
        boxes: where the tracker had it.
        faces: its latest parsed faces.
        score: the best of any sight.
        count: sights so far, those that were forgotten included.
        lean: degrees by which it leaned at the last sight.
        ends: time from which it cannot be there any more: that of a cut.
        starts: time before which it cannot have been there: likewise.
    """

    id: int = NOBODY
    sights: dict[float, Place] = field(default_factory=dict)
    boxes: dict[float, Place] = field(default_factory=dict)
    faces: dict[float, Face] = field(default_factory=dict)
    score: float = 0.0
    count: int = 0
    lean: float = 0.0
    starts: float = -np.inf
    ends: float = np.inf

    @property
    def is_sure(self) -> bool:
        """Whether it is worth hiding where it is not seen."""
        return self.id != NOBODY or self.count >= MIN_SIGHTS or self.score >= SURE_SCORE

    @property
    def first(self) -> float:
        """Time at which it was first seen, as far as that is remembered."""
        return min(t for known in (self.sights, self.boxes) for t in known)

    @property
    def last(self) -> float:
        """Time at which it was last seen."""
        return max(t for known in (self.sights, self.boxes) for t in known)

    def see(self, time: float, sight: Sight) -> None:
        """Note that the guard saw it."""
        newest = not self.sights or time > max(self.sights)
        self.sights[time] = sight.place
        self.score, self.count = max(self.score, sight.score), self.count + 1
        if newest:
            self.lean = sight.lean

    def follow(self, time: float, face: Face) -> None:
        """Note where the tracker has it."""
        self.boxes[time] = Place.of(face.detection.box)
        if face.regions is not None:
            self.faces[time] = face

    def forget(self, time: float) -> None:
        """Forget what was before a time, but not what was last."""
        for known in (self.sights, self.boxes, self.faces):
            times = sorted(known)
            earlier = [t for t in times if t < time]
            for t in earlier[:-1]:
                del known[t]

    def expected(self, time: float) -> Place:
        """Extrapolate to a time after the last sight, or before the first one."""
        known = {**self.boxes, **self.sights}
        times = sorted(known)
        forward = time >= times[-1]
        end = times[-1] if forward else times[0]
        near = [t for t in times if abs(t - end) <= SPEED_SECONDS]
        other = near[0] if forward else near[-1]
        place = known[end]
        if other == end:
            return place
        share = max(-MOVING_SECONDS, min(MOVING_SECONDS, time - end)) / (end - other)
        across, down = place.x - known[other].x, place.y - known[other].y
        return place.moved(share * across, share * down)

    def place(self, time: float, frame_seconds: float, reach: tuple[float, float]) -> Place | None:
        """Return where it has to be hidden, besides its mask if it was parsed there.

        Args:
            time: of the frame.
            frame_seconds: seconds from one frame to the next.
            reach: seconds for which it is hidden before its first and after its last sight.
        """
        if time in self.sights:
            return self.sights[time]
        known = self.sights if time in self.boxes else {**self.boxes, **self.sights}
        before = max((t for t in known if t < time), default=None)
        after = min((t for t in known if t > time), default=None)
        if before is not None and after is not None:
            if time in self.boxes and after - before > BRIDGE_SECONDS:
                return None
            place = known[before].between(known[after], (time - before) / (after - before))
            away = min(time - before, after - time)
        elif time in self.boxes or not self.is_sure or not self.starts <= time < self.ends:
            return None
        else:
            place, away = self.expected(time), self._away(time)
            if away > reach[0 if time < self.first else 1] + 1e-6:
                return None
        if time in self.boxes:
            return place
        return place.scaled(1 + min(MAX_WIDENING, WIDENING * away / frame_seconds))

    def _away(self, time: float) -> float:
        return max(self.first - time, time - self.last)

    def carried(self, time: float, place: Place, size: tuple[int, int]) -> Face:
        """Make the face that is hidden at a time, with the nearest mask moved to its place.

        Args:
            time: of a frame in which the face has no mask.
            place: where it is.
            size: width and height of the frame.
        """
        detection = Detection(place.box(), self.score, None, None)
        if not self.faces:
            return Face(self.id, detection)
        nearest = self.faces[min(self.faces, key=lambda t: abs(t - time))]
        return Face(self.id, detection, _moved(nearest, place, size))


def _moved(face: Face, place: Place, size: tuple[int, int]) -> RegionMasks | None:
    """Move a face's regions to where it is, and scale them; None if nothing is left of them."""
    assert face.regions is not None
    was, old = Place.of(face.detection.box), face.regions.box
    zoom = place.side / was.side
    x0, x1 = (place.x + zoom * (x - was.x) for x in (old.x0, old.x1))
    y0, y1 = (place.y + zoom * (y - was.y) for y in (old.y0, old.y1))
    box = Box(round(x0), round(y0), max(round(x1), round(x0) + 1), max(round(y1), round(y0) + 1))
    inside = box.clip(*size)
    if not inside.area or not face.regions.labels.size:
        return None
    labels = cv2.resize(
        face.regions.labels, (box.width, box.height), interpolation=cv2.INTER_NEAREST
    )
    part: Labels = np.ascontiguousarray(labels[inside.moved(-box.x0, -box.y0).slices], np.uint8)
    return RegionMasks(inside, part)


def without_number(face: Face) -> Face:
    """Take a face's number away."""
    return replace(face, id=NOBODY)


def pairs(trails: list[Trail], sights: list[Sight], time: float) -> Iterator[tuple[Trail, Sight]]:
    """Pair trails with what the guard saw at a time, the nearest first."""
    near = []
    for i, trail in enumerate(trails):
        expected = trail.boxes.get(time) or trail.expected(time)
        for j, sight in enumerate(sights):
            distance, ratio = sight.place.distance(expected), sight.place.ratio(expected)
            if distance < PAIR_DISTANCE and ratio < PAIR_RATIO:
                near.append((distance + 0.3 * (ratio - 1), i, j))
    used: tuple[set[int], set[int]] = set(), set()
    for _, i, j in sorted(near):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            yield trails[i], sights[j]


#: Maximum distance, in sides, of a sight from where a face is expected, and ratio of their sizes.
PAIR_DISTANCE, PAIR_RATIO = 0.8, 1.8
