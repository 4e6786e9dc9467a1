"""The pipeline: frames from a source, through a detector and a segmenter, into sinks.

Four threads, and a fifth if a view hides faces. The reader's owns the source, the detector's the
detector, the parser's the tracker and the segmenter; the thread that calls `Processor.run` has the
sinks, so that windows are handled where window systems want them. Results come in the order of the
frames and do not depend on which thread waits for which.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..checkpoint import Resume
from ..components import Detector, EndRun, Run, Segmenter, Sink, Source, Status
from ..privacy.hold import Hold
from ..tracking.tracker import Tracker
from ..types import FrameResult
from .carry import Pace
from .channel import End
from .hold_thread import HoldThread
from .parser import Parser
from .parser_thread import CAPACITY, CAPACITY_LIVE, POLL_SECONDS, ParserThread
from .reader import Reader
from .settings import Settings
from .sink_group import SinkGroup
from .totals import Totals


class Processor:
    """Runs one source through one detector and one segmenter into sinks, once.

    Args:
        source: open; the processor closes it.
        detector: finds the faces; the processor closes it.
        segmenter: parses them, or None to detect only; the processor closes it.
        sinks: not yet open; the processor opens and closes them.
        settings: the rest.
        resume: lets the run continue where an earlier one was cut off, or None.
        hold: adds the faces that have to be hidden though they were not found, or None; the
            processor closes it.

    Attributes:
        totals: what it has done so far.
    """

    def __init__(
        self,
        source: Source,
        detector: Detector,
        segmenter: Segmenter | None,
        sinks: Sequence[Sink] = (),
        settings: Settings | None = None,
        *,
        resume: Resume | None = None,
        hold: Hold | None = None,
    ) -> None:
        settings = settings or Settings()
        self.totals = Totals()
        self._provenance, self._resume = settings.provenance, resume
        self._reader, self._sinks = Reader(source), SinkGroup(sinks, settings.on_sink_error)
        follows = not (source.info.stills or detector.tracks)
        look_back = settings.frames_to_look_back(live=source.info.live) if follows else 0
        if hold is not None and source.info.live:
            look_back = 0  # the guard looks back, and results are delayed once only
        tracker = Tracker(settings.detect_every, look_back) if follows else None
        pace = _pace(settings, source)
        self._parser = Parser.build(detector, segmenter, tracker, settings, pace)
        self._thread = ParserThread(
            self._reader.frames,
            self._parser.parse if resume is None else partial(resume.parse, parser=self._parser),
            live=source.info.live,
            duration=settings.duration,
            look_back=look_back,
        )
        self._hold = hold
        self._held = None
        if hold is not None:
            capacity = CAPACITY_LIVE if source.info.live else CAPACITY
            self._held = HoldThread(self._thread.results, hold, capacity)
        self._stop = threading.Event()
        self._failed = False
        self._is_closed = False

    def stop(self) -> None:
        """End the run as the end of the input would. May be called from anywhere."""
        self._stop.set()
        self._thread.stop()

    def run(self) -> Totals:
        """Process everything and write it to the sinks.

        Raises:
            FaceregError: a component failed; every other sink was closed properly.
        """
        error: BaseException | None = None
        try:
            self._reader.start()
            self._sinks.open(self._reader.info, Run(self._provenance, self._status))
            for result in self._results():
                self._sinks.write(result)
        except EndRun:
            self.stop()
        except BaseException as e:
            error = e
        self._close(error)
        return self.totals

    def results(self) -> Iterator[FrameResult]:
        """Process everything and yield it, for callers that are their own sink.

        Raises:
            FaceregError: a component failed.
        """
        error: BaseException | None = None
        try:
            self._reader.start()
            yield from self._results()
        except BaseException as e:
            error = e
        self._close(error)

    def close(self) -> None:
        """End the run now and release everything; needed only if it was not run to its end.

        Raises:
            FaceregError: a component cannot be closed.
        """
        self._close(None)

    def _results(self) -> Iterator[FrameResult]:
        """Yield results as they come, and tick the sinks while none comes."""
        self._thread.start()
        results = self._thread.results
        if self._held is not None:
            self._held.start()
            results = self._held.results
        started = time.perf_counter()
        while not self._stop.is_set():
            try:
                result = results.get(POLL_SECONDS)
            except End:
                break
            finally:
                self.totals.seconds = time.perf_counter() - started
                self._count()
            if result is None:
                self._sinks.tick()
                continue
            self.totals.frames += 1
            self.totals.faces += len(result.faces)
            self._count()
            yield result
        self.totals.seconds = time.perf_counter() - started

    def _count(self) -> None:
        """Take over what other threads have counted."""
        self.totals.dropped = self._reader.frames.dropped
        self.totals.skipped = self._parser.skipped
        self.totals.carried = self._parser.carried
        if self._hold is not None:
            self.totals.held = self._hold.held
        if self._resume is not None:
            self.totals.cached = min(self._resume.cached, self.totals.frames)

    def _status(self) -> Status:
        return Status(
            frames=self.totals.frames,
            faces=self.totals.faces,
            dropped=self._reader.frames.dropped,
            skipped=self._parser.skipped,
            carried=self._parser.carried,
            stopping=self._stop.is_set(),
            failed=self._failed,
            stages=self._stages(),
            dropped_sinks=dict(self._sinks.dropped),
        )

    def _stages(self) -> dict[str, float]:
        """Add up the times of all parts."""
        stages: dict[str, float] = {}
        parts = (self._reader.times.milliseconds, self._parser.stages, self._sinks.stages)
        for part in parts:
            for stage, ms in dict(part).items():  # a copy: other threads add stages
                stages[stage] = stages.get(stage, 0.0) + ms
        return stages

    def _close(self, error: BaseException | None) -> None:
        """Close everything, whatever fails; raise the first error that there was.

        A second Ctrl-C, or whatever else interrupts the wait for a component that hangs, leaves it
        behind and goes on to finish the files.
        """
        if self._is_closed:
            if error is not None:
                raise error
            return
        self._is_closed = True
        error = _first(error, self._reader.stop)
        hangs = _first(None, self._thread.close)
        if self._held is not None:
            hangs = _first(hangs, self._held.close)
        error = _first(error or hangs, self._reader.close) if hangs is None else error or hangs
        self._failed = error is not None
        error = self._sinks.close(error)
        if hangs is None:
            error = _first(error, self._parser.close)
        else:
            self._parser.abandon()
        self._merge()
        if error is not None:
            raise error

    def _merge(self) -> None:
        """Put the times and outputs of all parts into the totals."""
        self._count()
        self.totals.outputs = self._sinks.outputs
        self.totals.reports = self._sinks.reports
        if self._reader.report:
            self.totals.reports["source"] = dict(self._reader.report)
        self.totals.dropped_sinks = self._sinks.dropped
        self.totals.stages = self._stages()


def _pace(settings: Settings, source: Source) -> Pace:
    info = source.info
    every = settings.parse_every
    if every is None and not info.live:
        every = 1
    return Pace(every, None if info.fps is None else float(info.fps))


def _first(error: BaseException | None, action: Callable[[], object]) -> BaseException | None:
    """Do something; return ``error``, or else what it raises."""
    try:
        action()
    except BaseException as e:
        return error or e
    return error
