"""Who is who from frame to frame, and where each face is while no detector runs.

Between two detections a face is followed by its own mask: how its centroid and size have changed
since the last detection. All decisions depend on frames and their times, never on the clock, so
that the same input gives the same result on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..types import Box, Detection, Face, Frame
from .cuts import CutDetector
from .track import HIGH_SCORE, Track

#: Minimum IoU of a track's box and a detection of the same face.
MATCH_IOU = 0.2
#: Above this IoU, an undetected track is a duplicate of another face.
DUPLICATE_IOU = 0.35
#: Maximum distance of a detection from a lost track of the same face, in box sides.
REID_SIDES = 1.5
#: Maximum ratio of their sizes.
REID_SIZE_RATIO = 1.7
#: Seconds for which a lost face keeps its number.
REID_SECONDS = 1.0
#: Seconds for which every frame is searched for a face that was lost, and the frames that must have
#: confirmed it before. Only if the tracker looks back.
SEARCH_SECONDS, MIN_SEARCH_HITS = 0.5, 2
#: Detections to remember that turned out to be no faces.
MAX_REJECTED = 16
#: Seconds for which a face is followed by its mask alone while the detector does not find it.
MAX_UNCONFIRMED_SECONDS = 1.5


class FaceDetector(Protocol):
    """Finds faces, if possible before they are asked for."""

    def prefetch(self, frame: Frame) -> None:
        """Begin to detect the faces of a frame that will probably be asked for."""

    def peek(self, frame: Frame) -> Sequence[Detection]:
        """Return the faces of a coming frame, which may be asked for again; none if it fails."""

    def result(self, frame: Frame) -> Sequence[Detection]:
        """Return the faces of a frame."""


class FaceSegmenter(Protocol):
    """Parses faces."""

    def faces(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[Face]:
        """Parse the detected faces of a frame."""

    def forget(self, track: int) -> None:
        """Drop what is kept for a track that has ended."""


class Tracker:
    """Follows the faces of a video, frame by frame.

    Args:
        detect_every: frames from one detection to the next while all faces are followed well.
        look_back: maximum number of frames between the next detection and a frame that is searched
            for a face that this detection shows for the first time. 0 searches none.
    """

    def __init__(self, detect_every: int, look_back: int = 0) -> None:
        self._detect_every, self._look_back = detect_every, look_back
        self._cuts = CutDetector()
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._rejected: list[Box] = []  # detections that no mask confirmed, since the last cut
        self._ended: list[int] = []  # numbers of tracks that ended in this frame
        self._next_number = 1
        self._frames_since_detection = 0
        self._has_failed = False  # whether a track was lost since the last detection

    def follow(
        self,
        frame: Frame,
        coming: Sequence[Frame],
        detector: FaceDetector,
        segmenter: FaceSegmenter,
    ) -> tuple[Face, ...]:
        """Find, number and parse the faces of the next frame.

        The detector is asked on every n-th frame, while no face is followed, when one is lost,
        after a cut, and while the next detection shows a face that is not followed yet.

        Args:
            frame: the frame after the last one.
            coming: the frames after it, as far as they have been read. With fewer than
                ``look_back``, the video ends with them.
            detector: asked if a detection is due.
            segmenter: asked for the faces' masks, and told which tracks have ended.

        Raises:
            Exception: whatever the detector or the segmenter raises. The next frame can be
                followed as if this one had been without them.
        """
        is_due = self._is_due(frame)
        if is_due:
            found = detector.result(frame)
            self._frames_since_detection = 0
            self._match(found, frame.time)
        else:
            for track in self._tracks:
                track.predict(frame.time)
            if self._looks_back(frame, coming, detector):
                is_due = True
                self._match(detector.result(frame), frame.time)
        self._prefetch(coming, detector)
        faces = self._learn(frame, segmenter.faces(frame, self._detections()))
        if self._has_failed and not is_due:
            found = detector.result(frame)
            self._frames_since_detection = 0
            self._match(found, frame.time)
            faces = self._learn(frame, segmenter.faces(frame, self._detections()))
        while self._ended:
            segmenter.forget(self._ended.pop(0))
        return faces

    def state(self) -> dict[str, Any]:
        """Return all that is known, as plain values and arrays."""
        return {
            "cuts": self._cuts.state(),
            "tracks": [track.state() for track in self._tracks],
            "lost": [track.state() for track in self._lost],
            "rejected": list(self._rejected),
            "ended": list(self._ended),
            "next_number": self._next_number,
            "frames_since_detection": self._frames_since_detection,
            "has_failed": self._has_failed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._cuts.restore(state["cuts"])
        self._tracks = [Track.restored(track) for track in state["tracks"]]
        self._lost = [Track.restored(track) for track in state["lost"]]
        self._rejected = [Box(*box) for box in state["rejected"]]
        self._ended = list(state["ended"])
        self._next_number = state["next_number"]
        self._frames_since_detection = state["frames_since_detection"]
        self._has_failed = state["has_failed"]

    def _is_due(self, frame: Frame) -> bool:
        """End the tracks of another scene; return whether the detector should run on this frame."""
        if self._detect_every == 1 and not self._tracks:
            self._cuts.forget()  # nobody to end; whoever is found next is not of an older scene
        elif self._cuts.is_cut(frame):
            self._ended += [track.id for track in self._tracks]
            self._tracks, self._lost, self._rejected = [], [], []
        self._frames_since_detection += 1
        overdue = self._frames_since_detection >= self._detect_every
        return not self._tracks or self._has_failed or overdue or self._searches(frame.time)

    def _searches(self, time: float) -> bool:
        """Whether a face was lost a moment ago, and may come back between two detections."""
        return self._look_back > 0 and any(
            time - track.last_seen <= SEARCH_SECONDS and track.hits >= MIN_SEARCH_HITS
            for track in self._lost
        )

    def _frames_to_detection(self) -> int:
        """Count the frames until the next detection, if no face is lost and no scene ends."""
        if not self._tracks:
            return 1
        return max(1, self._detect_every - self._frames_since_detection)

    def _looks_back(self, frame: Frame, coming: Sequence[Frame], detector: FaceDetector) -> bool:
        """Whether the next detection shows a face that is not followed: then look for it here.

        That is the detection of the last frame of this scene, or of the video, if it comes first.
        """
        distance = self._frames_to_detection()
        if distance > self._look_back:
            return False
        ahead = (frame, *coming[:distance])
        last = self._cuts.count_before_cut(ahead[1:])
        return self._shows_unknown_face(detector.peek(ahead[last]))

    def _shows_unknown_face(self, found: Sequence[Detection]) -> bool:
        """Whether a detection has no track, and is not one that would be rejected once more."""
        return any(
            track is None
            and (
                one.score >= HIGH_SCORE
                or all(one.box.iou(box) < MATCH_IOU for box in self._rejected)
            )
            for one, track in _pair(found, self._tracks)
        )

    def _prefetch(self, coming: Sequence[Frame], detector: FaceDetector) -> None:
        """Begin with the next detection, and with the one after it if it is needed so early."""
        distances = [self._frames_to_detection()]
        if self._look_back and self._tracks:
            distances.append(distances[0] + self._detect_every)
        for distance in distances:
            if distance <= len(coming):
                detector.prefetch(coming[distance - 1])

    def _detections(self) -> tuple[Detection, ...]:
        return tuple(track.detection for track in self._tracks)

    def _match(self, found: Sequence[Detection], time: float) -> None:
        """Match new detections with the known faces; begin and end tracks."""
        self._has_failed = False
        self._lost = [t for t in self._lost if time - t.last_seen <= REID_SECONDS]
        undetected = list(self._tracks)
        tracks: list[Track] = []
        for detection, known in _pair(found, undetected):
            if known is not None:
                undetected.remove(known)
            track = known or self._revive(detection, time)
            if track is None:
                track = Track.begin(self._next_number, detection, time)
                self._next_number += 1
            else:
                track.detected(detection, time)
            tracks.append(track)
        for track in undetected:
            duplicate = any(
                track.detection.box.iou(other.detection.box) > DUPLICATE_IOU for other in tracks
            )
            unconfirmed = time - track.last_detected > MAX_UNCONFIRMED_SECONDS
            if duplicate or unconfirmed or track.position is None:
                self._end(track, may_return=not duplicate)
            else:
                track.predict(time)
                tracks.append(track)
        self._tracks = tracks

    def _learn(self, frame: Frame, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Continue each track from its face's new mask; return the faces that are left.

        A track whose mask does not look like a face ends at once, unless the detector found it in
        this very frame; a new one that the detector is unsure of ends even then. An established
        one survives a few frames in which its mask shows a face without eyes or mouth.
        """
        tracks = {track.id: track for track in self._tracks}
        kept = []
        for face in faces:
            track = tracks.get(face.id)
            if track is None or face.regions is None:
                kept.append(face)
                continue
            position = track.locate(face.regions)
            if track.is_plausible(position, frame.time):
                track.update(position, frame.time)
                kept.append(face)
            else:
                self._tracks.remove(track)
                self._end(track, may_return=True)
                if track.last_detected == frame.time:
                    self._rejected = [*self._rejected[1 - MAX_REJECTED :], track.detection.box]
                self._has_failed |= track.last_detected != frame.time
        return tuple(kept)

    def _revive(self, detection: Detection, time: float) -> Track | None:
        """Find the nearest face of about this size that was lost a moment ago."""
        box = detection.box
        near = [t for t in self._lost if _distance(t.detection.box, box) < REID_SIDES]
        if not near:
            return None
        track = min(near, key=lambda t: _distance(t.detection.box, box))
        self._lost.remove(track)
        if track.id in self._ended:  # in this very frame: what is kept of it is still good
            self._ended.remove(track.id)
        track.restart(time)
        return track

    def _end(self, track: Track, *, may_return: bool) -> None:
        self._ended.append(track.id)
        if may_return:
            self._lost.append(track)


def _pair(
    found: Sequence[Detection], tracks: Sequence[Track]
) -> list[tuple[Detection, Track | None]]:
    """Pair detections with tracks, greedily, the highest IoU first."""
    overlaps = [
        (track.detection.box.iou(detection.box), i, j)
        for i, detection in enumerate(found)
        for j, track in enumerate(tracks)
    ]
    chosen: dict[int, int] = {}
    for iou, i, j in sorted(overlaps, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if iou >= MATCH_IOU and i not in chosen and j not in chosen.values():
            chosen[i] = j
    return [(d, tracks[chosen[i]] if i in chosen else None) for i, d in enumerate(found)]


def _distance(a: Box, b: Box) -> float:
    """Measure the distance of two boxes in sides; infinite if their sizes differ much."""
    one, two = (max(1.0, (box.width + box.height) / 2) for box in (a, b))
    if max(one, two) > REID_SIZE_RATIO * min(one, two):
        return math.inf
    across = (a.x0 + a.x1 - b.x0 - b.x1) / 2
    down = (a.y0 + a.y1 - b.y0 - b.y1) / 2
    return math.hypot(across, down) / max(one, two)
