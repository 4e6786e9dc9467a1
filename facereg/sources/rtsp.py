"""Read a stream from the network, and come back to it after an interruption."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from ..components import Source
from ..errors import SourceError, UsageError, hide_secrets
from ..hookspecs import hookimpl
from ..types import Frame, Image, SourceInfo
from .capture import open_capture, silent
from .diagnosis import why_closed

log = logging.getLogger(__name__)

#: Seconds before the first attempt to connect again, and at most before any; each waits twice as
#: long as the one before it.
FIRST_WAIT = 0.5
LONGEST_WAIT = 10.0


class RtspSource(Source):
    """An ``rtsp(s)://`` or ``http(s)://`` stream.

    A stream is live, and connected again whenever it stalls, ends or breaks off. An ``http(s)://``
    file that knows how long it is is not live: every frame of it is processed, and its end is the
    end.
    """

    name = "rtsp"

    def __init__(
        self,
        spec: str,
        *,
        transport: Literal["tcp", "udp"] = "tcp",
        retries: int | None = None,
        timeout: float = 3.0,
        threads: int = 1,
    ) -> None:
        """Connect and wait for the first frame.

        Args:
            spec: the URL.
            transport: how RTSP sends its packets: tcp loses none, udp may be faster.
            retries: attempts to connect again, one after the other, before giving up; none: any
                number.
            timeout: seconds to wait for a connection and for each frame.
            threads: that decode; each beyond the first delays the pictures by one frame.

        Raises:
            SourceError: it cannot be reached, or no picture comes.
            UsageError: an option is out of range.
        """
        _check(retries=retries, timeout=timeout, threads=threads)
        self._url, self._called = spec, hide_secrets(spec)
        self._transport, self._retries = transport, retries
        self._timeout, self._threads = timeout, threads
        self._stopped = threading.Event()
        self._resized = False
        self._capture: Any = None
        asked = time.monotonic()
        first = self._connect()
        if first is None and transport == "udp" and time.monotonic() - asked < 0.9 * timeout:
            first = self._connect()  # what tells of the pictures, or begins them, was lost
        if first is None:
            self.close()
            why = why_closed(spec, timeout, time.monotonic() - asked)
            raise SourceError(f"{self._called}: {why}")
        self._first = first
        self.info = self._describe(first[0])

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Accept the URLs of streams."""
        return bool(re.match(r"(rtsps?|https?)://", spec, re.IGNORECASE))

    def _describe(self, image: Image) -> SourceInfo:
        import cv2

        fps = self._capture.get(cv2.CAP_PROP_FPS)
        rate = Fraction(fps).limit_denominator(1001) if 1 <= fps <= 240 else None
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        finite = self._url.lower().startswith("http") and count > 0
        return SourceInfo(
            name=self._called,
            width=image.shape[1],
            height=image.shape[0],
            fps=rate,
            live=not finite,
            frame_count=count if finite else None,
            duration=float(count / rate) if finite and rate else None,
        )

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the run ends, or a finite file does.

        Raises:
            SourceError: the stream was lost, and ``retries`` attempts did not bring it back.
        """
        if not self.info.live:
            yield from self._finite_frames()
            return
        taken: tuple[Image, float] | None = self._first
        index = 0
        while taken is not None:
            yield Frame(self._fitted(taken[0]), index, taken[1])
            index += 1
            if self._stopped.is_set():
                return
            asked = time.monotonic()
            taken = self._take() or self._connect_again(asked)

    def _finite_frames(self) -> Iterator[Frame]:
        taken: tuple[Image, float] | None = self._first
        start, index = self._position(), 0
        while taken is not None and not self._stopped.is_set():
            yield Frame(self._fitted(taken[0]), index, self._position() - start)
            index += 1
            taken = self._take()
        expected = self.info.frame_count or 0
        if taken is None and index < 0.9 * expected:  # some containers can only estimate it
            log.warning(
                "%s broke off: %d of its %d frames could be read", self._called, index, expected
            )

    def stop(self) -> None:
        """Let `frames` end soon: at once while waiting to connect, else with the next frame.

        May be called from any thread.
        """
        self._stopped.set()

    def close(self) -> None:
        """Disconnect."""
        self.stop()
        if self._capture is not None:
            self._capture.release()

    def _connect(self) -> tuple[Image, float] | None:
        """Open the stream and take its first picture; None where that fails."""
        import cv2

        if self._capture is not None:
            self._capture.release()
        milliseconds = round(1000 * self._timeout)
        parameters = (
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds),
            *(cv2.CAP_PROP_N_THREADS, self._threads),
        )
        options = {"rtsp_transport": self._transport}
        self._capture = open_capture(self._url, cv2.CAP_FFMPEG, parameters, options)
        return self._take() if self._capture.isOpened() else None

    def _take(self) -> tuple[Image, float] | None:
        """Take the next picture and the moment it came; None where none came in time."""
        with silent():
            if not self._capture.grab():
                return None
            now = time.monotonic()
            ok, image = self._capture.retrieve()
        if not ok or image is None:
            return None
        return np.asarray(image, np.uint8), now

    def _position(self) -> float:
        """Say where in a finite file the last picture taken is shown, in seconds."""
        import cv2

        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000

    def _connect_again(self, asked: float) -> tuple[Image, float] | None:
        """Connect until a picture comes; None where the run ended meanwhile.

        Args:
            asked: when the picture was asked for that did not come, monotonic seconds.

        Raises:
            SourceError: no attempt is left.
        """
        lost = time.monotonic()
        stalled = lost - asked > 0.9 * self._timeout
        what = f"no picture for {self._timeout:g} s" if stalled else "the stream ended or broke off"
        log.warning("%s: %s; connecting again", self._called, what)
        wait, attempts = FIRST_WAIT, 0
        while self._retries is None or attempts < self._retries:
            if self._stopped.wait(wait):
                return None
            attempts += 1
            taken = self._connect()
            if taken is not None:
                log.warning("%s: back after %.1f s", self._called, time.monotonic() - asked)
                return taken
            wait = min(2 * wait, LONGEST_WAIT)
            log.debug("%s: attempt %d failed; next in %g s", self._called, attempts, wait)
        raise SourceError(
            f"{self._called}: {what}, and it could not be connected again in {attempts} attempts"
        )

    def _fitted(self, image: Image) -> Image:
        """Bring a picture of another size into the size of the first, with black at its sides."""
        height, width = image.shape[:2]
        if (width, height) == (self.info.width, self.info.height):
            return image
        if not self._resized:
            self._resized = True
            log.warning(
                "%s: its pictures are %dx%d now; they are scaled to %dx%d as before",
                *(self._called, width, height, self.info.width, self.info.height),
            )
        from ..views import fitted

        return fitted(image, self.info.width, self.info.height)


@hookimpl
def register_sources() -> Iterable[type[Source]]:
    """Return the sources of this module."""
    return [RtspSource]


def _check(*, retries: int | None, timeout: float, threads: int) -> None:
    if retries is not None and retries < 0:
        raise UsageError(f"source rtsp: retries={retries}: must not be negative")
    if not 0 < timeout <= 3600:
        raise UsageError(f"source rtsp: timeout={timeout:g}: must be above 0 and at most 3600 s")
    if not 1 <= threads <= 64:
        raise UsageError(f"source rtsp: threads={threads}: must be 1 to 64")
