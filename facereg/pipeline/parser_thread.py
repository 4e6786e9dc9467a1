"""The parser, in a thread of its own: from a channel of frames to a channel of results."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from ..types import Frame, FrameResult
from .channel import Channel, End

#: Frames of a recording, and of a live source, that the detector may look at while others are
#: parsed, besides those that look-back needs.
AHEAD, AHEAD_LIVE = 4, 1
#: Results of a recording, and of a live source, that wait to be taken.
CAPACITY, CAPACITY_LIVE = 2, 1
#: Seconds after which a thread that waits for a frame looks whether the run is to stop.
POLL_SECONDS = 0.05
#: Seconds by which a frame may be early and still be outside the duration.
TIME_TOLERANCE = 1e-6

#: Parses a frame, given the frames after it as far as they have been read.
Parse = Callable[[Frame, Sequence[Frame]], FrameResult]


class ParserThread:
    """Parses the frames of a channel in its own thread.

    Args:
        frames: where they come from.
        parse: finds and parses the faces of one frame.
        live: whether the source is live, so that little may wait.
        duration: seconds of the source's time after which it ends, or None.
        look_back: frames after a frame to wait for before it is parsed, unless the source ends.

    Attributes:
        results: where the results come out, and the error that ended them.
    """

    def __init__(
        self,
        frames: Channel[Frame],
        parse: Parse,
        *,
        live: bool,
        duration: float | None = None,
        look_back: int = 0,
    ) -> None:
        self.results: Channel[FrameResult] = Channel(
            CAPACITY_LIVE if live else CAPACITY, drop_oldest=False
        )
        self._frames, self._parse, self._duration = frames, parse, duration
        self._coming: deque[Frame] = deque()
        self._required = 1 + look_back
        self._most = look_back + (AHEAD_LIVE if live else AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facereg-parser", daemon=True)

    def start(self) -> None:
        """Begin to parse."""
        self._thread.start()

    def stop(self) -> None:
        """End after the frame that is being parsed."""
        self._stop.set()

    def close(self) -> None:
        """Wait until the thread has ended."""
        self.stop()
        self.results.close()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for frame in self._wanted():
                if not self.results.put(self._parse(frame, tuple(self._coming))):
                    break
        except BaseException as e:
            error = e
        self.results.end(error)

    def _wanted(self) -> Iterator[Frame]:
        """Yield frames until the source ends, the run is stopped or its duration is over."""
        first = None
        while not self._stop.is_set():
            try:
                is_ready = self._fill()
            except End:
                return
            if not is_ready:
                continue
            frame = self._coming.popleft()
            first = frame.time if first is None else first
            if self._duration is not None and frame.time - first >= self._duration - TIME_TOLERANCE:
                return
            yield frame

    def _fill(self) -> bool:
        """Take the frames that are ready, and wait a moment if they are too few.

        Returns:
            Whether the next frame can be parsed.

        Raises:
            End: there are no more, and none is left.
            BaseException: the reader's error, likewise.
        """
        while len(self._coming) < self._most:
            is_enough = len(self._coming) >= self._required
            try:
                frame = self._frames.get(0.0 if is_enough else POLL_SECONDS)
            except BaseException:
                if self._coming:
                    return True  # it is raised again when they are done
                raise
            if frame is None:
                return is_enough
            self._coming.append(frame)
        return True
