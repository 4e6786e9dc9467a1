"""Hold and close: keep hiding a face through the frames in which nobody sees it.

A bounded number of results waits here. In each of them, faces are added that were not found there
but must have been: between two frames in which a face was seen, for a moment after the last one,
and before the first one. They are in `FrameResult.held`, which only views that hide look at.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from ..tracking.cuts import CutDetector
from ..types import Face, Frame, FrameResult
from .guard import Guard, Sight
from .place import Place
from .trail import NOBODY, Trail, pairs

#: Seconds for which a face is hidden before it was first seen.
LEAD_SECONDS = 0.16
#: Maximum number of lost faces that are searched for in a frame.
MAX_NEAR_LOOKS = 8
#: Maximum overlap with a face that is known for another find to be a new face.
NEW_IOU = 0.3
#: Seconds from a frame to the next if there is only one.
DEFAULT_FRAME_SECONDS = 0.04


@dataclass(frozen=True)
class HoldSettings:
    """How faces are held.

    Attributes:
        seconds: for how long a face is hidden after it was last seen.
        delay: results that wait, so that what comes is known.
        look_every: the guard searches every n-th whole frame.
        stills: whether frames have nothing to do with one another.
    """

    seconds: float = 0.3
    delay: int = 8
    look_every: int = 2
    stills: bool = False


class Hold:
    """Adds the faces that are held to results. Called by one thread.

    Args:
        settings: how.
        guard: searches for faces, or None to rely on the faces of the results.

    Attributes:
        held: faces that were hidden in frames in which they were not found, so far.
    """

    def __init__(self, settings: HoldSettings, guard: Guard | None = None) -> None:
        self.held = 0
        self._settings, self._guard = settings, guard
        self._cuts = CutDetector()
        self._waiting: deque[FrameResult] = deque()
        self._trails: list[Trail] = []  # those that are followed
        self._ended: list[Trail] = []  # those that waiting frames still need
        self._count = 0
        self._frame_seconds = DEFAULT_FRAME_SECONDS
        self._scene_began = -float("inf")

    def add(self, result: FrameResult) -> list[FrameResult]:
        """Take the next result; return those that are complete, in order.

        Raises:
            PluginError: the guard failed.
        """
        frame = result.frame
        if self._waiting and frame.time > self._waiting[-1].frame.time:
            self._frame_seconds = frame.time - self._waiting[-1].frame.time
        if self._settings.stills or self._cuts.is_cut(frame):
            self._end_scene(frame)
        looked, sights = self._look(frame)
        self._follow(result)
        new = self._match(frame, sights)
        self._look_near(frame, looked)
        self._waiting.append(result)
        for trail in new:
            self._look_before(trail)
        self._count += 1
        self._end_lost(frame.time)
        delay = 0 if self._settings.stills else self._settings.delay
        return [self._next() for _ in range(len(self._waiting) - delay)]

    def flush(self) -> list[FrameResult]:
        """Return the results that wait: no more come."""
        return [self._next() for _ in range(len(self._waiting))]

    def close(self) -> None:
        """Close the guard."""
        if self._guard is not None:
            self._guard.close()

    def _look(self, frame: Frame) -> tuple[bool, list[Sight]]:
        """Search the whole frame, if it is due; turned if nobody is there."""
        if self._guard is None:
            return False, []
        first = frame.time == self._scene_began
        if self._count % self._settings.look_every and not first:
            return False, []
        found = self._guard.look(frame)
        if not found and not self._trails:
            turns = (1, 3, 2) if self._settings.stills else (self._turn(),)
            found = [sight for turn in turns for sight in self._guard.look(frame, turn)]
        return True, found

    def _turn(self) -> int:
        """Choose the quarter turns of the next turned look: lying faces more often."""
        return (1, 3, 1, 3, 2)[self._count // self._settings.look_every % 5]

    def _follow(self, result: FrameResult) -> None:
        """Continue the trails of the faces that were found, or begin them."""
        time = result.frame.time
        for face in result.faces:
            place = Place.of(face.detection.box)
            trail = next((t for t in self._trails if t.id == face.id), None)
            if trail is None:
                trail = self._adopted(place, time) or Trail(starts=self._scene_began)
                if trail not in self._trails:
                    self._trails.append(trail)
                trail.id = face.id
            trail.follow(time, face)

    def _adopted(self, place: Place, time: float) -> Trail | None:
        """Find the trail of somebody who had no number so far; end that of another number here."""
        here = [
            t
            for t in self._trails
            if time not in t.boxes and t.expected(time).iou(place) >= NEW_IOU
        ]
        for trail in here:
            if trail.id != NOBODY:  # found again under a new number
                trail.boxes[time], trail.ends = place, time
                self._trails.remove(trail)
                self._ended.append(trail)
        return next((t for t in here if t.id == NOBODY), None)

    def _match(self, frame: Frame, sights: list[Sight]) -> list[Trail]:
        """Give each sight to the trail that it continues; begin trails with the others."""
        left = list(sights)
        for trail, sight in pairs(self._trails, sights, frame.time):
            trail.see(frame.time, sight)
            left.remove(sight)
        new = []
        for sight in left:
            here = [t.sights.get(frame.time) or t.boxes.get(frame.time) for t in self._trails]
            if all(place is None or place.iou(sight.place) < NEW_IOU for place in here):
                trail = Trail(starts=self._scene_began)
                trail.see(frame.time, sight)
                self._trails.append(trail)
                new.append(trail)
        return new

    def _look_near(self, frame: Frame, looked: bool) -> None:
        """Search for the faces that were seen before and are not seen here."""
        if self._guard is None:
            return
        lost = [
            t
            for t in self._trails
            if frame.time not in t.sights and frame.time not in t.boxes and (t.is_sure or looked)
        ]
        for trail in sorted(lost, key=lambda t: -t.last)[:MAX_NEAR_LOOKS]:
            sight = self._guard.look_near(frame, trail.expected(frame.time), trail.lean)
            if sight is not None and self._is_free(sight, trail, frame.time):
                trail.see(frame.time, sight)

    def _is_free(self, sight: Sight, own: Trail, time: float) -> bool:
        """Whether what was seen is not somebody else."""
        others = [t for t in self._trails if t is not own]
        places = [t.sights.get(time) or t.boxes.get(time) for t in others]
        return all(place is None or place.iou(sight.place) < NEW_IOU for place in places)

    def _look_before(self, trail: Trail) -> None:
        """Search for a new face in the waiting frames before it was seen."""
        if self._guard is None or self._settings.stills:
            return
        for result in list(self._waiting)[-2::-1]:
            frame = result.frame
            if frame.time < trail.starts:
                return
            sight = self._guard.look_near(frame, trail.expected(frame.time), trail.lean)
            if sight is None or not self._is_free(sight, trail, frame.time):
                return
            trail.see(frame.time, sight)

    def _end_scene(self, frame: Frame) -> None:
        for trail in self._trails:
            trail.ends = frame.time
        self._ended += self._trails
        self._trails = []
        self._scene_began = frame.time

    def _end_lost(self, time: float) -> None:
        """End the trails that were not seen for so long that they are no longer held."""
        limit = self._settings.seconds
        for trail in [t for t in self._trails if time - t.last > limit]:
            self._trails.remove(trail)
            self._ended.append(trail)

    def _next(self) -> FrameResult:
        """Complete the oldest result that waits."""
        result = self._waiting.popleft()
        frame = result.frame
        size = (frame.width, frame.height)
        present = {face.id for face in result.faces}
        reach = LEAD_SECONDS, self._settings.seconds
        held: list[Face] = []
        for trail in (*self._ended, *self._trails):
            place = trail.place(frame.time, self._frame_seconds, reach)
            if place is not None and place.box().clip(*size).area:
                face = trail.carried(frame.time, place, size)
                if trail.id in present:
                    face = replace(face, regions=None)
                else:
                    self.held += 1
                held.append(face)
        self._ended = [t for t in self._ended if t.last + self._settings.seconds > frame.time]
        for trail in self._trails:
            trail.forget(frame.time)
        return replace(result, held=tuple(held))
