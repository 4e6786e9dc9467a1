"""From a frame to its faces: detect, follow, parse."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ..checkpoint import State, Stateful
from ..checks import describe_component, largest, segment_faces, wrap_errors
from ..components import Detector, Segmenter
from ..errors import PluginError, UnparsedFrameError
from ..tracking.tracker import Tracker
from ..types import Detection, Face, Frame, FrameResult, RegionMasks
from .carry import Carrier, Pace
from .lookahead import DetectAhead
from .settings import OnError, Settings
from .totals import StageTimes

log = logging.getLogger(__name__)

#: Skipped frames to log individually.
MAX_LOGGED_SKIPS = 5


class SegmentFaces:
    """Owns a segmenter: calls, times and closes it.

    Args:
        segmenter: parses the faces, or None to leave them unparsed.
        max_faces: parse only this many faces of a frame, the largest; None parses all.
        times: where the time is counted.
        pace: on which frames a face is parsed; in between, its mask is carried.

    Attributes:
        carried: masks that were carried so far.
    """

    def __init__(
        self,
        segmenter: Segmenter | None,
        max_faces: int | None,
        times: StageTimes,
        pace: Pace | None = None,
    ) -> None:
        self.carried = 0
        self._segmenter, self._max_faces, self._times = segmenter, max_faces, times
        self._pace, self._carrier = pace or Pace(1), Carrier()

    def faces(self, frame: Frame, detections: Sequence[Detection]) -> tuple[Face, ...]:
        """Parse the faces of a frame; one without a track is numbered by its place.

        Raises:
            PluginError: the segmenter failed.
        """
        kept = largest(detections, self._max_faces)
        moved = {} if self._segmenter is None else self._carry(frame, kept)
        due = [d for i, d in enumerate(kept) if i not in moved]
        parsed: Sequence[RegionMasks | None] = (None,) * len(due)
        if self._segmenter is not None and due:
            before = self._times.milliseconds["segment"]
            with self._times.timed("segment"):
                parsed = segment_faces(self._segmenter, frame, due)
            self._note(frame, due, parsed, self._times.milliseconds["segment"] - before)
        found = iter(parsed)
        return tuple(
            Face(
                i + 1 if d.track is None else d.track,
                d,
                moved[i] if i in moved else next(found),
                carried=i in moved,
            )
            for i, d in enumerate(kept)
        )

    def _carry(self, frame: Frame, kept: Sequence[Detection]) -> dict[int, RegionMasks]:
        """Move the masks of faces that are not due to be parsed."""
        every = self._pace.every
        if every == 1:
            return {}
        ages = [self._carrier.age(d.track, frame) for d in kept]
        waiting = [i for i, age in enumerate(ages) if age is not None and 0 < age < every]
        if not waiting:
            return {}
        with self._times.timed("carry"):
            moved = {i: self._carrier.carry(kept[i].track or 0, frame) for i in waiting}
        self.carried += len(moved)
        return moved

    def _note(
        self,
        frame: Frame,
        due: Sequence[Detection],
        parsed: Sequence[RegionMasks | None],
        milliseconds: float,
    ) -> None:
        self._pace.took(milliseconds)
        if not self._pace.carries:
            return
        for detection, regions in zip(due, parsed, strict=True):
            self._carrier.note(detection.track, frame, regions)

    def forget(self, track: int) -> None:
        """Drop what is kept for a track that has ended."""
        self._carrier.forget(track)
        if self._segmenter is not None:
            self._segmenter.forget(track)

    def state(self) -> State | None:
        """Return what the segmenter keeps from frame to frame; None if it cannot tell."""
        return {} if self._segmenter is None else self._segmenter.state()

    def restore(self, state: State) -> None:
        """Have the segmenter continue from such a state."""
        if self._segmenter is not None:
            self._segmenter.restore(state)

    def close(self) -> None:
        """Close the segmenter.

        Raises:
            PluginError: it cannot be closed.
        """
        if self._segmenter is None:
            return
        with wrap_errors(describe_component("segmenter", self._segmenter), None, PluginError):
            self._segmenter.close()


class Parser:
    """Finds and parses the faces of one frame after another. Called by one thread.

    Args:
        detector: finds the faces.
        segmenter: parses them.
        tracker: follows them from frame to frame, or None if frames have nothing to do with one
            another, or the detector itself follows them.
        times: where the time is counted.
        on_error: whether a frame that fails ends the run, or is passed on without faces.

    Attributes:
        skipped: frames that failed and were passed on without faces.
    """

    def __init__(
        self,
        detector: DetectAhead,
        segmenter: SegmentFaces,
        tracker: Tracker | None,
        times: StageTimes,
        on_error: OnError = "stop",
    ) -> None:
        self._detector, self._segmenter, self._tracker = detector, segmenter, tracker
        self._times, self._skips_errors = times, on_error == "skip"
        self.skipped = 0

    @classmethod
    def build(
        cls,
        detector: Detector,
        segmenter: Segmenter | None,
        tracker: Tracker | None,
        settings: Settings,
        pace: Pace | None = None,
    ) -> Parser:
        """Build a parser of components.

        Args:
            detector: finds the faces.
            segmenter: parses them, or None to detect only.
            tracker: follows them from frame to frame, or None; see `Parser`.
            settings: the run's.
            pace: on which frames faces are parsed; None is on every one.
        """
        times = StageTimes()
        return cls(
            DetectAhead(detector, settings.max_faces, times),
            SegmentFaces(segmenter, settings.max_faces, times, pace),
            tracker,
            times,
            settings.on_error,
        )

    @property
    def carried(self) -> int:
        """Masks that were carried along motion so far, and not parsed."""
        return self._segmenter.carried

    @property
    def stages(self) -> dict[str, float]:
        """Milliseconds spent in each stage, in this thread and in the detector's."""
        return {**self._times.milliseconds, **self._detector.times.milliseconds}

    def parse(self, frame: Frame, coming: Sequence[Frame] = ()) -> FrameResult:
        """Find and parse every face of a frame.

        Args:
            frame: the frame after the last one.
            coming: the frames after it, as far as they have been read.

        Raises:
            PluginError: a component failed.
        """
        try:
            with self._times.timed("track"):
                return FrameResult(frame, self._faces(frame, coming))
        except PluginError as e:
            if not (self._skips_errors or isinstance(e, UnparsedFrameError)):
                raise
            self.skipped += 1
            if self.skipped <= MAX_LOGGED_SKIPS:
                more = "; further ones are only counted" * (self.skipped == MAX_LOGGED_SKIPS)
                log.warning("%s; frame passed on without faces%s", e, more)
            return FrameResult(frame, parsed=False)

    def _faces(self, frame: Frame, coming: Sequence[Frame]) -> tuple[Face, ...]:
        if self._tracker is not None:
            return self._tracker.follow(frame, coming, self._detector, self._segmenter)
        found = self._detector.result(frame)
        if coming:
            self._detector.prefetch(coming[0])
        return self._segmenter.faces(frame, found)

    @property
    def _stateful(self) -> dict[str, Stateful]:
        """What remembers earlier frames."""
        parts = {"tracker": self._tracker, "segmenter": self._segmenter}
        return {name: part for name, part in parts.items() if part is not None}

    def state(self) -> State | None:
        """Return what is kept from frame to frame; None if a component cannot tell."""
        states: dict[str, Any] = {name: part.state() for name, part in self._stateful.items()}
        return None if None in states.values() else states

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue after the frame after which another run's parser returned this `state`.

        Raises:
            PluginError: it does not fit these components; they are as they were before.
        """
        before = self.state()
        if before is None or before.keys() != state.keys():
            raise PluginError(f"the stored state is one of {', '.join(state)}")
        for name, part in self._stateful.items():
            try:
                part.restore(state[name])
            except Exception as e:  # whatever somebody else's component makes of it
                for other, known in before.items():
                    self._stateful[other].restore(known)
                raise PluginError(
                    f"{name} cannot go on from its stored state: {type(e).__name__}: {e}"
                ) from e

    def abandon(self) -> None:
        """End without waiting for a component that hangs; it stays open."""
        self._detector.abandon()

    def close(self) -> None:
        """Close the detector and the segmenter.

        Raises:
            PluginError: one of them cannot be closed.
        """
        try:
            self._detector.close()
        finally:
            self._segmenter.close()
