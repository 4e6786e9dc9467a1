"""The pipeline: frames from a source, through a detector and a segmenter, into sinks.

Two threads. The reader owns the source; the thread that calls `Processor.run` does everything
else, so that windows are handled where window systems want them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from .api import Detector, EndRun, Segmenter, Sink, Source
from .channel import Channel, End
from .contract import check_detections, check_regions, label
from .errors import FaceregError, PluginError, SinkError, SourceError
from .tracking import Tracker
from .types import Detection, Face, Frame, FrameResult, RegionMasks

log = logging.getLogger(__name__)

#: Seconds for one frame from which on a detector is said to be slow, once a run.
SLOW = 5.0


@dataclass(frozen=True)
class Settings:
    """What a run does beside its components.

    Attributes:
        max_faces: keep the largest faces of a frame, at most so many.
        detect_every: run the detector on every n-th frame; in between, faces are followed.
        duration: stop after so many seconds of the source's time.
        on_error: whether a frame that a detector or segmenter fails on ends the run, or is
            passed on without faces and counted.
        provenance: what the sinks are told of the detector, segmenter and model.
    """

    max_faces: int | None = None
    detect_every: int = 5
    duration: float | None = None
    on_error: Literal["stop", "skip"] = "stop"
    provenance: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Totals:
    """What a run did.

    Attributes:
        frames, faces: results made, and faces in them.
        dropped: frames of a live source that nobody had time for.
        reused: faces whose regions come from an earlier frame.
        skipped: frames that failed and were passed on without faces.
        seconds: how long the run took.
        outputs: files written.
        reports: what each sink tells of its files.
        stages: milliseconds spent in each stage, over all frames.
    """

    frames: int = 0
    faces: int = 0
    dropped: int = 0
    reused: int = 0
    skipped: int = 0
    seconds: float = 0.0
    outputs: list[str] = field(default_factory=list)
    reports: dict[str, object] = field(default_factory=dict)
    stages: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def fps(self) -> float:
        """Frames a second, over the whole run."""
        return self.frames / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, object]:
        """Write it as plain values; stages as mean milliseconds a frame."""
        frames = max(1, self.frames)
        return {
            "frames": self.frames,
            "faces": self.faces,
            "dropped": self.dropped,
            "reused": self.reused,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "outputs": self.outputs,
            "reports": self.reports,
            "stages": {name: round(ms / frames, 3) for name, ms in self.stages.items()},
        }


class Processor:
    """Runs one source through one detector and one segmenter into sinks, once.

    Args:
        source: open; the processor closes it.
        detector: finds the faces; the processor closes it.
        segmenter: parses them, or None to detect only; the processor closes it.
        sinks: not yet open; the processor opens and closes them.
        settings: the rest.
    """

    def __init__(
        self,
        source: Source,
        detector: Detector,
        segmenter: Segmenter | None,
        sinks: Sequence[Sink] = (),
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.totals = Totals()
        self._source, self._detector, self._segmenter = source, detector, segmenter
        self._sinks = sinks
        follows = not (source.info.stills or detector.tracks)
        self._tracker = Tracker(self.settings.detect_every) if follows else None
        self._told_slow = False
        self._stop = threading.Event()
        live = source.info.live
        self._channel: Channel[Frame] = Channel(1 if live else 4, drop_oldest=live)
        self._reader = threading.Thread(target=self._read, name="facereg-reader", daemon=True)

    def stop(self) -> None:
        """End the run as the end of the input would. May be called from anywhere."""
        self._stop.set()

    def run(self) -> Totals:
        """Process everything and write it to the sinks.

        Raises:
            FaceregError: a component failed; every other sink was closed properly.
        """
        opened: list[Sink] = []
        error: BaseException | None = None
        try:
            self._reader.start()
            for sink in self._sinks:
                sink.provenance, sink.status = self.settings.provenance, self._status
                with self._blame(label("sink", sink), None, SinkError):
                    sink.open(self._source.info)
                opened.append(sink)
            for result in self._results():
                self._write(result)
        except EndRun:
            pass
        except BaseException as e:
            error = e
        error = self._close(opened, error)
        if error is not None:
            raise error
        return self.totals

    def results(self) -> Iterator[FrameResult]:
        """Process everything and yield it, for callers that are their own sink."""
        try:
            self._reader.start()
            yield from self._results()
        finally:
            error = self._close([], None)
        if error is not None:
            raise error

    def _status(self) -> Mapping[str, float]:
        return {
            "frames": self.totals.frames,
            "faces": self.totals.faces,
            "dropped": self._channel.dropped,
            "reused": self.totals.reused,
            "stopping": self._stop.is_set(),
        }

    # --- the reader thread -----------------------------------------------------------------------

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            name, frames = label("source", self._source), self._source.frames()
            while True:
                with self._timed("read"), self._blame(name, None, SourceError):
                    frame = next(frames, None)
                if frame is None or not self._channel.put(frame):
                    break
        except BaseException as e:
            error = e
        try:
            self._source.close()
        except Exception as e:
            error = error or e
        self._channel.end(error)

    # --- the main thread -------------------------------------------------------------------------

    def _results(self) -> Iterator[FrameResult]:
        started, first = time.perf_counter(), None
        while not self._stop.is_set():
            try:
                frame = self._channel.get(0.05)
            except End:
                break
            finally:
                self.totals.seconds = time.perf_counter() - started
                self.totals.dropped = self._channel.dropped
            if frame is None:
                self._tick()
                continue
            first = frame.time if first is None else first
            duration = self.settings.duration
            if duration is not None and frame.time - first >= duration - 1e-6:
                break
            result = self._process(frame)
            self.totals.frames += 1
            self.totals.faces += len(result.faces)
            self.totals.reused += sum(face.reused for face in result.faces)
            yield result
        self.totals.seconds = time.perf_counter() - started

    def _process(self, frame: Frame) -> FrameResult:
        try:
            return FrameResult(frame, self._faces(frame))
        except PluginError as e:
            if self.settings.on_error == "stop":
                raise
            self.totals.skipped += 1
            log.warning("%s; frame passed on without faces", e)
            return FrameResult(frame)

    def _faces(self, frame: Frame) -> tuple[Face, ...]:
        """Find, follow and parse the faces of a frame; look again if a face was lost in it."""
        if self._tracker is None:
            return self._segment(frame, self._detect(frame))
        with self._timed("track"):
            due = self._tracker.due(frame)
        if due:
            found = self._detect(frame)
            with self._timed("track"):
                detections = self._tracker.update(frame, found)
        else:
            detections = self._tracker.predict(frame)
        faces = self._learn(frame, detections)
        if self._tracker.failed and not due:
            found = self._detect(frame)
            faces = self._learn(frame, self._tracker.update(frame, found))
        self._forget(self._tracker)
        return faces

    def _detect(self, frame: Frame) -> tuple[Detection, ...]:
        name = label("detector", self._detector)
        start = time.perf_counter()
        with self._timed("detect"), self._blame(name, frame, PluginError):
            found = check_detections(self._detector.detect(frame), frame, name)
        if (took := time.perf_counter() - start) > SLOW and not self._told_slow:
            self._told_slow = True
            log.warning("%s took %.0f s for frame %d", name, took, frame.index)
        return self._largest(found)

    def _largest(self, detections: tuple[Detection, ...]) -> tuple[Detection, ...]:
        most = self.settings.max_faces
        if most is None or len(detections) <= most:
            return detections
        return tuple(sorted(detections, key=lambda d: (-d.box.area, d.box))[:most])

    def _learn(self, frame: Frame, detections: tuple[Detection, ...]) -> tuple[Face, ...]:
        assert self._tracker is not None
        faces = self._segment(frame, self._largest(detections))
        with self._timed("track"):
            return self._tracker.learn(frame, faces)

    def _forget(self, tracker: Tracker) -> None:
        for track in tracker.ended:
            if self._segmenter is not None:
                self._segmenter.forget(track)
        tracker.ended.clear()

    def _segment(self, frame: Frame, detections: tuple[Detection, ...]) -> tuple[Face, ...]:
        regions: tuple[RegionMasks | None, ...] = (None,) * len(detections)
        if self._segmenter is not None and detections:
            name = label("segmenter", self._segmenter)
            with self._timed("segment"), self._blame(name, frame, PluginError):
                found = self._segmenter.segment(frame, detections)
                regions = check_regions(found, frame, len(detections), name)
        pairs = enumerate(zip(detections, regions, strict=True), start=1)
        return tuple(Face(d.track or i, d, r) for i, (d, r) in pairs)

    def _write(self, result: FrameResult) -> None:
        for sink in self._sinks:
            start = time.perf_counter()
            with self._blame(label("sink", sink), result.frame, SinkError):
                sink.write(result)
            if not sink.stages:
                self.totals.stages[sink.name] += 1000 * (time.perf_counter() - start)

    def _tick(self) -> None:
        for sink in self._sinks:
            with self._blame(label("sink", sink), None, SinkError):
                sink.tick()

    def _close(self, opened: list[Sink], error: BaseException | None) -> BaseException | None:
        """Close everything, each in its own try; return the first error that there was."""
        self._channel.close()
        self._source.stop()
        self._reader.join()
        for sink in reversed(opened):
            try:
                with self._blame(label("sink", sink), None, SinkError):
                    sink.close()
            except BaseException as e:
                if error is None:
                    error = e
                else:
                    log.error("%s", e)
            self.totals.outputs[:0] = sink.outputs
            for stage, ms in sink.stages.items():
                self.totals.stages[stage] += ms
            if sink.report:
                self.totals.reports[sink.name] = dict(sink.report)
        for part in (self._detector, self._segmenter):
            if part is None:
                continue
            try:
                part.close()
            except Exception as e:
                error = error or PluginError(f"{part.name}: {type(e).__name__}: {e}")
        return error

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.totals.stages[stage] += 1000 * (time.perf_counter() - start)

    @contextmanager
    def _blame(self, who: str, frame: Frame | None, kind: type[FaceregError]) -> Iterator[None]:
        """Wrap what somebody else's code raises, once, naming the component and the frame."""
        try:
            yield
        except (FaceregError, EndRun):
            raise
        except Exception as e:
            where = "" if frame is None else f", frame {frame.index}"
            raise kind(f"{who}{where}: {type(e).__name__}: {e}") from e
