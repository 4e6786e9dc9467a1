"""The sinks of a run, treated as one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from ..checks import describe_component, wrap_errors
from ..components import Run, Sink
from ..errors import FaceregError, SinkError
from ..types import Frame, FrameResult, SourceInfo
from .settings import OnSinkError

log = logging.getLogger(__name__)


class SinkGroup:
    """Opens, writes to, times and closes sinks. Called by the thread that takes the results.

    Args:
        sinks: not yet open.
        on_error: whether a sink that fails ends the run, or is closed while the others go on. If
            none is left, it ends the run.

    Attributes:
        dropped: why each sink that failed was dropped, by its name.
        outputs: files that they wrote; complete when they are closed.
        reports: what each reports about its files, by its name; likewise.
        stages: milliseconds spent in each; likewise.
    """

    def __init__(self, sinks: Sequence[Sink], on_error: OnSinkError = "stop") -> None:
        self.dropped: dict[str, str] = {}
        self.outputs: list[str] = []
        self.reports: dict[str, object] = {}
        self.stages: dict[str, float] = {}
        self._sinks, self._on_error = list(sinks), on_error
        self._opened: list[Sink] = []

    def open(self, info: SourceInfo, run: Run) -> None:
        """Open every sink, in order.

        Raises:
            FaceregError: one of them cannot be opened.
        """
        for sink in tuple(self._sinks):
            self._opened.append(sink)
            self._call(sink, partial(sink.open, info, run), None)

    def write(self, result: FrameResult) -> None:
        """Write a result to every sink.

        Raises:
            FaceregError: one of them failed.
            EndRun: one of them wants the run to end.
        """
        for sink in tuple(self._opened):
            start = time.perf_counter()
            self._call(sink, partial(sink.write, result), result.frame)
            if sink in self._opened and not sink.stages:
                self._count(sink.name, 1000 * (time.perf_counter() - start))

    def tick(self) -> None:
        """Let every sink do what must be done while no frame comes.

        Raises:
            FaceregError, EndRun: as `write`.
        """
        for sink in tuple(self._opened):
            self._call(sink, sink.tick, None)

    def close(self, error: BaseException | None = None) -> BaseException | None:
        """Close every sink that was opened, or that failed to open, in reverse order.

        Args:
            error: what has ended the run, if anything.

        Returns:
            ``error``, or else the first error of a sink; further ones are logged.
        """
        while self._opened:
            try:
                self._close(self._opened.pop())
            except BaseException as e:
                if error is None:
                    error = e
                else:
                    log.error("%s", e)
        return error

    def _call(self, sink: Sink, action: Callable[[], None], frame: Frame | None) -> None:
        try:
            with wrap_errors(describe_component("sink", sink), frame, SinkError):
                action()
        except FaceregError as e:
            if self._on_error == "stop" or self._sinks == [sink]:
                raise
            self._drop(sink, e)

    def _drop(self, sink: Sink, error: FaceregError) -> None:
        """Close a sink that failed, and go on without it."""
        log.error("%s; this sink is dropped, the others go on", error)
        self.dropped[sink.name] = str(error)
        self._sinks.remove(sink)
        self._opened.remove(sink)
        try:
            self._close(sink)
        except FaceregError as e:
            log.error("%s", e)

    def _close(self, sink: Sink) -> None:
        try:
            with wrap_errors(describe_component("sink", sink), None, SinkError):
                sink.close()
        finally:
            self.outputs[:0] = map(str, sink.outputs)
            for stage, ms in sink.stages.items():
                self._count(stage, ms)
            if sink.report:
                self.reports[sink.name] = dict(sink.report)

    def _count(self, stage: str, ms: float) -> None:
        self.stages[stage] = self.stages.get(stage, 0.0) + ms
