"""The detector, in a thread of its own: it looks at coming frames while others are parsed."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from queue import SimpleQueue

from ..checks import describe_component, detect_faces, wrap_errors
from ..components import Detector
from ..errors import PluginError
from ..types import Detection, Frame
from .totals import StageTimes

log = logging.getLogger(__name__)

#: Seconds for one frame above which a detector is reported as slow, once a run.
SLOW_SECONDS = 5.0

Found = tuple[Detection, ...]


class DetectAhead:
    """Owns a detector: calls it in its own thread, times and closes it.

    What is found in a frame depends on the frame alone, so it does not matter when the detector
    looks at it, and a frame that is prefetched in vain only costs time.

    Args:
        detector: finds the faces; called by one thread, one frame at a time.
        max_faces: keep only this many faces of a frame, the largest; None keeps all.
        caller_times: where the thread that asks for results counts the time that it waits.

    Attributes:
        times: time spent in the detector's thread.
    """

    def __init__(
        self,
        detector: Detector,
        max_faces: int | None = None,
        caller_times: StageTimes | None = None,
    ) -> None:
        self.times = StageTimes()
        self._caller_times = caller_times or StageTimes()
        self._detector, self._max_faces = detector, max_faces
        self._jobs: SimpleQueue[tuple[Frame, Future[Found]] | None] = SimpleQueue()
        self._results: dict[int, Future[Found]] = {}
        self._thread: threading.Thread | None = None
        self._is_slow = False

    def prefetch(self, frame: Frame) -> None:
        """Begin to detect the faces of a frame that will probably be asked for."""
        if frame.index in self._results:
            return
        if self._thread is None:
            # A daemon: a detector that hangs must not keep the interpreter from ending.
            self._thread = threading.Thread(target=self._run, name="facereg-detector", daemon=True)
            self._thread.start()
        self._results[frame.index] = Future()
        self._jobs.put((frame, self._results[frame.index]))

    def peek(self, frame: Frame) -> Found:
        """Return the faces of a coming frame, which may be asked for again; none if it fails."""
        self.prefetch(frame)
        with self._caller_times.timed("wait"):
            future = self._results[frame.index]
            return () if future.exception() is not None else future.result()

    def result(self, frame: Frame) -> Found:
        """Return the faces of a frame; earlier frames cannot be asked for any more.

        Raises:
            PluginError: the detector failed on this frame.
        """
        for index in [i for i in self._results if i < frame.index]:
            self._results.pop(index).cancel()
        self.prefetch(frame)
        with self._caller_times.timed("wait"):
            return self._results.pop(frame.index).result()

    def abandon(self) -> None:
        """End after the frame that the detector is working on, without waiting for it."""
        for future in self._results.values():
            future.cancel()
        self._jobs.put(None)

    def close(self) -> None:
        """Wait for the frame that the detector is working on, drop the rest, close the detector.

        Raises:
            PluginError: the detector cannot be closed.
        """
        self.abandon()
        if self._thread is not None:
            self._thread.join()
        with wrap_errors(describe_component("detector", self._detector), None, PluginError):
            self._detector.close()

    def _run(self) -> None:
        """Work off the queue, in the detector's thread."""
        while (job := self._jobs.get()) is not None:
            frame, future = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._detect(frame))
                except BaseException as e:
                    future.set_exception(e)

    def _detect(self, frame: Frame) -> Found:
        start = time.perf_counter()
        with self.times.timed("detect"):
            found = detect_faces(self._detector, frame, self._max_faces)
        if (spent := time.perf_counter() - start) > SLOW_SECONDS and not self._is_slow:
            self._is_slow = True
            name = describe_component("detector", self._detector)
            log.warning("%s took %.0f s for frame %d", name, spent, frame.index)
        return found
