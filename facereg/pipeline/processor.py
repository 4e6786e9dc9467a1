"""The pipeline: frames from a source, through a detector and a segmenter, into sinks.

Four threads. The reader owns the source; the scout owns the detector; the parser owns the tracker
and the segmenter; the thread that calls `Processor.run` has the sinks, so that windows are handled
where window systems want them. Results come in the order of the frames and do not depend on who
waits for whom.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from ..checks import describe_component, wrap_errors
from ..components import Detector, EndRun, Run, Segmenter, Sink, Source, Status
from ..errors import FaceregError, PluginError, SinkError, SourceError
from ..types import Frame, FrameResult
from .channel import Channel, End
from .parser import Parser
from .settings import Settings
from .totals import Totals

log = logging.getLogger(__name__)

#: Frames of a recording that wait to be parsed, beside those that the scout may look at.
WAITING, AHEAD = 2, 4


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
        self._parser = Parser(detector, segmenter, self.settings, self.totals, follows=follows)
        self._open, self._stop = threading.Event(), threading.Event()
        live = source.info.live
        self._frames: Channel[Frame] = Channel(1 if live else WAITING, drop_oldest=live)
        self._ahead: deque[Frame] = deque()
        self._most_ahead = 1 if live else AHEAD
        self._failed = False
        self._parsed: Channel[FrameResult] = Channel(1 if live else WAITING, drop_oldest=False)
        self._threads = (
            threading.Thread(target=self._read, name="facereg-reader", daemon=True),
            threading.Thread(target=self._parse, name="facereg-parser", daemon=True),
        )

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
        run = Run(self.settings.provenance, self._status)
        try:
            self._start()
            for sink in self._sinks:
                opened.append(sink)
                with wrap_errors(describe_component("sink", sink), None, SinkError):
                    sink.open(self._source.info, run)
            for result in self._results():
                self._write(result)
            if self.settings.cache is not None and not self._stop.is_set():
                self.settings.cache.finish()
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
            self._start()
            yield from self._results()
        finally:
            error = self._close([], None)
        if error is not None:
            raise error

    def _start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _status(self) -> Status:
        return Status(
            frames=self.totals.frames,
            faces=self.totals.faces,
            dropped=self._frames.dropped,
            skipped=self.totals.skipped,
            stopping=self._stop.is_set(),
            failed=self._failed,
        )

    # --- the reader thread -----------------------------------------------------------------------

    def _read(self) -> None:
        error: BaseException | None = None
        try:
            name, frames = describe_component("source", self._source), self._source.frames()
            while True:
                with self.totals.timed("read"), wrap_errors(name, None, SourceError):
                    frame = next(frames, None)
                if frame is None or not self._frames.put(frame):
                    break
        except BaseException as e:
            error = e
        try:
            self._source.close()
        except Exception as e:
            error = error or e
        self._frames.end(error)

    # --- the parser thread -----------------------------------------------------------------------

    def _parse(self) -> None:
        error: BaseException | None = None
        try:
            if self.settings.cache is not None:
                self._open.wait()
                self._parser.restore()
            for frame in self._wanted():
                if not self._parsed.put(self._parser.parse(frame, self._ahead)):
                    break
        except BaseException as e:
            error = e
        self._parsed.end(error)

    def _wanted(self) -> Iterator[Frame]:
        """Take frames until the source ends, the run is stopped or its duration is over."""
        first, duration = None, self.settings.duration
        while not self._stop.is_set():
            try:
                self._take_ahead()
            except End:
                return
            if not self._ahead:
                continue
            frame = self._ahead.popleft()
            first = frame.time if first is None else first
            if duration is not None and frame.time - first >= duration - 1e-6:
                return
            yield frame

    def _take_ahead(self) -> None:
        """Take the frames that are ready, and wait for one if there is none.

        Raises:
            End: there are no more, and none is left.
            BaseException: the reader's error, likewise.
        """
        while len(self._ahead) < self._most_ahead:
            try:
                frame = self._frames.get(0.0 if self._ahead else 0.05)
            except BaseException:
                if self._ahead:
                    return  # it is raised again when they are done
                raise
            if frame is None:
                return
            self._ahead.append(frame)

    # --- the main thread -------------------------------------------------------------------------

    def _results(self) -> Iterator[FrameResult]:
        self._open.set()
        started = time.perf_counter()
        while not self._stop.is_set():
            try:
                result = self._parsed.get(0.05)
            except End:
                break
            finally:
                self.totals.seconds = time.perf_counter() - started
                self.totals.dropped = self._frames.dropped
            if result is None:
                self._tick()
                continue
            self.totals.frames += 1
            self.totals.cached = min(self._parser.recalled, self.totals.frames)
            self.totals.faces += len(result.faces)
            yield result
        self.totals.seconds = time.perf_counter() - started

    def _write(self, result: FrameResult) -> None:
        for sink in self._sinks:
            start = time.perf_counter()
            with wrap_errors(describe_component("sink", sink), result.frame, SinkError):
                sink.write(result)
            if not sink.stages:
                self.totals.stages[sink.name] += 1000 * (time.perf_counter() - start)

    def _tick(self) -> None:
        for sink in self._sinks:
            with wrap_errors(describe_component("sink", sink), None, SinkError):
                sink.tick()

    def _stop_source(self, error: BaseException | None) -> BaseException | None:
        try:
            with wrap_errors(describe_component("source", self._source), None, SourceError):
                self._source.stop()
        except FaceregError as e:
            return error or e
        return error

    def _close(self, opened: list[Sink], error: BaseException | None) -> BaseException | None:
        """Close everything, each in its own try; return the first error that there was."""
        self._open.set()
        self._frames.close()
        self._parsed.close()
        error = self._stop_source(error)
        self._failed = error is not None
        for thread in self._threads:
            thread.join()
        self._parser.close()
        for sink in reversed(opened):
            try:
                with wrap_errors(describe_component("sink", sink), None, SinkError):
                    sink.close()
            except BaseException as e:
                if error is None:
                    error = e
                else:
                    log.error("%s", e)
            self.totals.outputs[:0] = map(str, sink.outputs)
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
