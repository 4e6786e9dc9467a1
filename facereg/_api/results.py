"""Process a source frame by frame."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal

from ..components import FindView
from ..errors import FaceregError, UsageError
from ..pipeline.hold_thread import make_hold
from ..pipeline.processor import Processor
from ..pipeline.settings import Settings
from ..pipeline.totals import Totals
from ..registry.registry import Registry
from ..types import FrameResult
from .components import (
    DETECTOR,
    SEGMENTER,
    build_guard,
    build_segmenter,
    close_component,
    keep_after_fork,
)

log = logging.getLogger(__name__)


def process(  # noqa: PLR0913  (keywords with the names of the flags)
    source: str | Path | int,
    *,
    detector: str = DETECTOR,
    segmenter: str = SEGMENTER,
    plugins: Iterable[str | Path] = (),
    start: float | None = None,
    duration: float | None = None,
    smooth: bool | None = None,
    max_faces: int | None = None,
    detect_every: int = Settings.detect_every,
    look_back: int | None = None,
    parse_every: int | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    hold: float | None = None,
    guard: str | None = None,
) -> Results:
    """Find and parse the faces in every frame of a source.

    The source is opened when the results are entered with ``with``, or when the first one is
    asked for. It is closed at the end of the frames, at the end of the ``with`` block, and when the
    results are dropped or the interpreter ends.

    Args:
        source: what ``facereg run`` takes: a file, a folder, a camera's number, a URL.
        detector, segmenter: ``NAME`` or ``NAME:option=value,…``, as on the command line.
        plugins: plugin files to load first.
        start: seconds of a file to skip.
        duration: seconds of the source to process.
        smooth: whether masks are smoothed over time; None leaves it to the segmenter.
        max_faces: keep the largest faces of a frame, at most this many.
        detect_every: run the detector on every n-th frame; in between, faces are followed.
        look_back: frames by which a result may be delayed to look for a new face in the frames
            before it was found; None: as many as are needed for a recording, 0 for a live source.
        parse_every: parse faces on every n-th frame, and carry their masks along the motion in
            between; None: on every frame of a recording, as often as possible of a live source.
        on_error: whether a frame on which a detector or segmenter fails ends the run, or comes
            without faces and is counted in ``totals.skipped``.
        hold: for results that are drawn with ``blur``, ``pixelate`` or ``fill``: seconds for which
            a face is hidden after it was last seen. None holds nobody.
        guard: with ``hold``, what searches besides for faces that are only to be hidden; None is
            an eager ``mtcnn``, and ``"none"`` is nothing.

    Returns:
        An iterator over the frames' results, in order. Its ``totals`` count frames and faces.

    Raises:
        UsageError: an invalid value.
        FaceregError: while iterating: something cannot be found, opened or read.

    >>> with facereg.process("in.mp4", max_faces=1) as run:
    ...     ids = {face.id for result in run for face in result.faces}
    >>> ids, run.totals.frames
    ({1}, 10)
    """
    if start is not None and not start >= 0:
        raise UsageError(f"start={start}: must be at least 0")
    settings = Settings(
        max_faces=max_faces,
        detect_every=detect_every,
        look_back=look_back,
        parse_every=parse_every,
        duration=duration,
        on_error=on_error,
    )
    names = _Names(str(source), detector, segmenter, tuple(map(str, plugins)))
    if guard is not None and hold is None:
        raise UsageError(f"guard={guard!r}: only with hold=SECONDS")
    if hold is not None and not hold >= 0:
        raise UsageError(f"hold={hold}: must be at least 0")
    return Results(_Run(names, settings, start, smooth, _Holding(hold, guard)))


class Results(Iterator[FrameResult]):
    """The results of a run, one a frame: an iterator and a context manager.

    It is made by `facereg.process`, and can be iterated once. Several threads may share it.
    """

    def __init__(self, run: _Run) -> None:
        self._run = run
        # Called when this object is gone, and at the interpreter's end, whichever comes first.
        self._finalizer = weakref.finalize(self, _close_dropped, run)

    @property
    def totals(self) -> Totals:
        """The run's counts so far: ``frames``, ``faces``, ``dropped``, ``skipped`` and others."""
        return self._run.totals

    def __enter__(self) -> Results:
        self._run.open()
        return self

    def __iter__(self) -> Results:
        return self

    def __next__(self) -> FrameResult:
        return self._run.next()

    def close(self) -> None:
        """Stop reading and release everything. It can be called again.

        Raises:
            FaceregError: a component cannot be closed.
        """
        self._finalizer.detach()
        self._run.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Results({self._run.names.source!r}, frames={self.totals.frames})"


def _close_dropped(run: _Run) -> None:
    """Close a run that is no longer referenced; an error can only be logged."""
    try:
        run.close()
    except FaceregError as e:
        log.warning("%s", e)


@dataclass(frozen=True)
class _Names:
    """What a run is of, by the names that the caller gave."""

    source: str
    detector: str
    segmenter: str
    plugins: tuple[str, ...]


@dataclass(frozen=True)
class _Holding:
    """How faces are held for views that hide, as the caller said."""

    seconds: float | None
    guard: str | None


class _Run:
    """What stands behind `Results`, and outlives it by the moment that closing takes."""

    def __init__(
        self,
        names: _Names,
        settings: Settings,
        start: float | None,
        smooth: bool | None,
        holding: _Holding,
    ) -> None:
        self.names = names
        self.totals = Totals()
        self._settings, self._start, self._smooth = settings, start, smooth
        self._holding = holding
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._processor: Processor | None = None
        self._results: Iterator[FrameResult] = iter(())
        self._find_view: FindView | None = None
        self._closed = False

    def open(self) -> None:
        """Load the models and open the source, once.

        Raises:
            FaceregError: something cannot be found or opened, or the run is over.
        """
        self._check_process()
        with self._lock:
            if self._closed:
                raise UsageError("these results are closed; call process() again")
            if self._processor is None:
                self._processor = self._build()
                self._results = self._processor.results()

    def next(self) -> FrameResult:
        """Return the next result; the last one, and an error, closes everything."""
        self._check_process()
        with self._lock:
            if self._closed:
                raise StopIteration
            self.open()
            try:
                return replace(next(self._results), find_view=self._find_view)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close what was opened. A thread that waits for a result comes to the end of them.

        Raises:
            FaceregError: a component cannot be closed.
        """
        if self._process != os.getpid():
            keep_after_fork(self._process, self._processor)
            return  # its threads are in the process that it was forked from
        if self._processor is not None:
            self._processor.stop()
        with self._lock:
            self._closed = True
            if self._processor is not None:
                self._processor.close()

    def _build(self) -> Processor:
        """Build everything, the cheapest first, so that a wrong name is found early."""
        names = self.names
        registry = Registry(names.plugins)
        with ExitStack() as opened:
            detector = registry.build("detector", names.detector)
            opened.callback(close_component, "detector", detector)
            segmenter = build_segmenter(registry, names.segmenter, self._smooth)
            opened.callback(close_component, "segmenter", segmenter)
            holds, guard = self._holding.seconds is not None, None
            if holds and (guard := build_guard(registry, self._holding.guard)) is not None:
                opened.callback(guard.close)
            source = registry.open_source(names.source, start=self._start)
            hold = None
            if holds:
                hold = make_hold(guard, source.info, self._settings, self._holding.seconds)
            processor = Processor(source, detector, segmenter, (), self._settings, hold=hold)
            opened.pop_all()  # from now on the processor closes them
        self.totals, self._find_view = processor.totals, registry.view
        return processor

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise UsageError("these results are of another process; call process() after a fork")
