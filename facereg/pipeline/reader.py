"""The source, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from ..checks import describe_component, wrap_errors
from ..components import Source
from ..errors import SourceError
from ..types import Frame
from .channel import Channel
from .totals import StageTimes

#: Frames of a recording that wait to be taken; of a live source, only the newest does.
CAPACITY = 2


class Reader:
    """Owns a source: reads it in its own thread, times and closes it.

    Args:
        source: open.

    Attributes:
        info: what is known of the source.
        frames: where its frames come out, and the error that ended it.
        times: time spent in the reader's thread.
    """

    def __init__(self, source: Source) -> None:
        self.info, self.times = source.info, StageTimes()
        live = source.info.live
        self.frames: Channel[Frame] = Channel(1 if live else CAPACITY, drop_oldest=live)
        self._source = source
        self._name = describe_component("source", source)
        self._thread = threading.Thread(target=self._run, name="facereg-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End soon, whatever the source is waiting for.

        Raises:
            SourceError: the source cannot be stopped.
        """
        self.frames.close()
        with wrap_errors(self._name, None, SourceError):
            self._source.stop()

    @property
    def report(self) -> Mapping[str, object]:
        """What the source reports of what it read, once it is closed."""
        return self._source.report

    def close(self) -> None:
        """Wait until the source is closed; if it was never read, close it.

        Raises:
            SourceError: it cannot be closed.
        """
        if self._thread.ident is not None:
            self._thread.join()
        else:
            with wrap_errors(self._name, None, SourceError):
                self._source.close()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            frames = self._source.frames()
            while True:
                with self.times.timed("read"), wrap_errors(self._name, None, SourceError):
                    frame = next(frames, None)
                if frame is None or not self.frames.put(frame):
                    break
        except BaseException as e:
            error = e
        try:
            with wrap_errors(self._name, None, SourceError):
                self._source.close()
        except BaseException as e:
            error = error or e
        self.frames.end(error)
