"""From a frame to its faces: detect, follow, parse."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from ..checkpoint import Stateful
from ..checks import check_detections, check_regions, describe_component, wrap_errors
from ..components import Detector, Segmenter
from ..errors import PluginError
from ..tracking.tracker import Tracker
from ..types import Face, Frame, FrameResult, RegionMasks
from .lookahead import Found, Scout
from .settings import Settings
from .totals import Totals

log = logging.getLogger(__name__)

#: Seconds for one frame from which on a detector is said to be slow, once a run.
SLOW = 5.0

#: Frames passed over that are told one by one.
TOLD = 5


class Parser:
    """Finds the faces of one frame after the other. Called from one thread.

    Args:
        detector: finds the faces, in a thread of its own.
        segmenter: parses them, or None to detect only.
        follows: whether faces are followed from frame to frame.
        settings: the run's.
        totals: where stages and failures are counted.

    Attributes:
        recalled: frames that were not looked at, because an earlier run had parsed them.
    """

    def __init__(
        self,
        detector: Detector,
        segmenter: Segmenter | None,
        settings: Settings,
        totals: Totals,
        *,
        follows: bool,
    ) -> None:
        self._detector, self._segmenter = detector, segmenter
        self._settings, self._totals = settings, totals
        self._tracker = Tracker(settings.detect_every) if follows else None
        parts = {"tracker": self._tracker, "segmenter": segmenter}
        self._parts: dict[str, Stateful] = {n: p for n, p in parts.items() if p is not None}
        self._scout = Scout(self._detect)
        self._ahead: Sequence[Frame] = ()
        self._told_slow = False
        self.recalled = 0

    def restore(self) -> None:
        """Go on where the run that the cache is of ended."""
        if self._settings.cache is not None:
            self._settings.cache.restore(self._parts)

    def close(self) -> None:
        """Wait for the detector. It and the segmenter stay open."""
        self._scout.close()

    def parse(self, frame: Frame, ahead: Sequence[Frame]) -> FrameResult:
        """Find every face of a frame.

        Args:
            frame: the frame after the last one.
            ahead: frames after this one, as far as they are there.

        Raises:
            FaceregError: a component failed.
        """
        self._ahead = ahead
        cache, start = self._settings.cache, time.perf_counter()
        if cache is None:
            return self._look(frame)
        known = cache.recall(frame)
        if known is not None:
            self.recalled += 1
            self._totals.stages["recall"] += 1000 * (time.perf_counter() - start)
            return FrameResult(frame, known)
        result = self._look(frame)
        with wrap_errors(describe_component("segmenter", self._segmenter), frame, PluginError):
            cache.keep(frame, self._parts)
        return result

    def _look(self, frame: Frame) -> FrameResult:
        try:
            return FrameResult(frame, self._faces(frame))
        except PluginError as e:
            if self._settings.on_error == "stop":
                raise
            self._totals.skipped += 1
            if self._totals.skipped <= TOLD:
                more = "; further ones are only counted" if self._totals.skipped == TOLD else ""
                log.warning("%s; frame passed on without faces%s", e, more)
            return FrameResult(frame, parsed=False)

    def _send_ahead(self, distance: int) -> None:
        """Have the scout begin with the frame so many after the present one, if it is there."""
        if distance <= len(self._ahead):
            self._scout.send(self._ahead[distance - 1])

    def _faces(self, frame: Frame) -> tuple[Face, ...]:
        """Find, follow and parse the faces of a frame; look again if a face was lost in it."""
        if self._tracker is None:
            found = self._scout.fetch(frame)
            self._send_ahead(1)
            return self._segment(frame, self._largest(found))
        with self._totals.timed("track"):
            due = self._tracker.due(frame)
        if due:
            found = self._scout.fetch(frame)
            with self._totals.timed("track"):
                detections = self._tracker.update(frame, self._largest(found))
        else:
            detections = self._tracker.predict(frame)
        self._send_ahead(self._tracker.until_due)
        faces = self._learn(frame, detections)
        if self._tracker.failed and not due:
            found = self._scout.fetch(frame)
            faces = self._learn(frame, self._tracker.update(frame, self._largest(found)))
        self._forget(self._tracker)
        return faces

    def _detect(self, frame: Frame) -> Found:
        name = describe_component("detector", self._detector)
        start = time.perf_counter()
        with self._totals.timed("detect"), wrap_errors(name, frame, PluginError):
            found = check_detections(self._detector.detect(frame), frame, name)
        if not self._detector.tracks:  # numbers of one frame alone
            found = tuple(replace(d, track=None) for d in found)
        if (took := time.perf_counter() - start) > SLOW and not self._told_slow:
            self._told_slow = True
            log.warning("%s took %.0f s for frame %d", name, took, frame.index)
        return found

    def _largest(self, detections: Found) -> Found:
        most = self._settings.max_faces
        if most is None or len(detections) <= most:
            return detections
        return tuple(sorted(detections, key=lambda d: (-d.box.area, d.box))[:most])

    def _learn(self, frame: Frame, detections: Found) -> tuple[Face, ...]:
        assert self._tracker is not None
        faces = self._segment(frame, self._largest(detections))
        with self._totals.timed("track"):
            return self._tracker.learn(frame, faces)

    def _forget(self, tracker: Tracker) -> None:
        for track in tracker.ended:
            if self._segmenter is not None:
                self._segmenter.forget(track)
        tracker.ended.clear()

    def _segment(self, frame: Frame, detections: Found) -> tuple[Face, ...]:
        regions: tuple[RegionMasks | None, ...] = (None,) * len(detections)
        if self._segmenter is not None and detections:
            name = describe_component("segmenter", self._segmenter)
            with self._totals.timed("segment"), wrap_errors(name, frame, PluginError):
                found = self._segmenter.segment(frame, detections)
                regions = check_regions(found, frame, len(detections), name)
        pairs = enumerate(zip(detections, regions, strict=True), start=1)
        return tuple(Face(i if d.track is None else d.track, d, r) for i, (d, r) in pairs)
