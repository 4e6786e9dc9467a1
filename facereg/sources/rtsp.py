"""Read a stream from the network, and come back to it after an interruption."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Literal, NamedTuple

from ..components import Source
from ..errors import MediaError, SourceError, UsageError, hide_secrets
from ..hookspecs import hookimpl
from ..types import Frame, Image, SourceInfo
from ..video.clock import FrameClock
from ..video.container import Container, describe
from ..video.damage import CUT_OFF, describe_damage, report_damage
from ..video.decoder import Decoder, Picture
from ..video.media import BusyServerError, choose_video, open_url
from .live import LiveFrames, Moment

log = logging.getLogger(__name__)

#: Seconds before the first attempt to connect again, and the maximum before any; each attempt
#: waits twice as long as the one before it.
FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 10.0

#: What the system is asked to keep of packets over UDP until they are read: an intra frame of a
#: large camera comes all at once, and what does not fit is lost.
UDP_BUFFER_BYTES = 4 << 20

#: A file over HTTP of which a smaller fraction of the frames came broke off: some containers can
#: only estimate how many they have.
MIN_FRACTION = 0.9


class Taken(NamedTuple):
    """A picture of the stream, and when it came."""

    picture: Picture
    moment: Moment


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
        clock: Literal["host", "camera"] = "host",
    ) -> None:
        """Connect and wait for the first frame.

        Args:
            spec: the URL.
            transport: how RTSP sends its packets: tcp loses none, udp may be faster.
            retries: attempts to connect again, one after the other, before giving up; none: any
                number.
            timeout: seconds to wait for a connection and for each frame.
            threads: that decode; each beyond the first delays the pictures by one frame.
            clock: whose time of day the frames carry: host is this machine's when they come;
                camera is the camera's when it takes them, if the stream reports it.

        Raises:
            SourceError: it cannot be reached, or no picture comes.
            UsageError: an option is out of range.
        """
        _check(retries=retries, timeout=timeout, threads=threads)
        self._url, self._called = spec, hide_secrets(spec)
        self._transport, self._retries = transport, retries
        self._timeout, self._threads, self._clock = timeout, threads, clock
        self._stopped = threading.Event()
        self._resized = False
        self._decoder: Decoder | None = None
        self._damaged = 0  # frames and packets, of a live stream
        self._first = self._connect_first()
        self._orientation = self._first.picture.orientation
        try:
            image = self._first.picture.image(self._orientation)
        except MediaError as e:
            self.close()
            raise SourceError(f"{self._called}: {e}") from e
        self.info = self._describe(image)

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Accept the URLs of streams."""
        return bool(re.match(r"(rtsps?|https?)://", spec, re.IGNORECASE))

    def _describe(self, image: Image) -> SourceInfo:
        count = self._description.count(self._description.rate())
        finite = self._url.lower().startswith("http") and bool(count)
        fps = self._description.rate() if finite else self._live_rate
        return SourceInfo(
            name=self._called,
            width=image.shape[1],
            height=image.shape[0],
            fps=fps if fps is not None and 1 <= fps <= 240 else None,
            live=not finite,
            frame_count=count if finite else None,
            duration=self._description.duration(count, fps) if finite else None,
            rotation=self._orientation.degrees,
        )

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the run ends, or a finite file does.

        Raises:
            SourceError: the stream was lost, and ``retries`` attempts did not bring it back; a
                finite file stalled.
        """
        if self.info.live:
            yield from self._live_frames()
        else:
            yield from self._finite_frames()

    def _live_frames(self) -> Iterator[Frame]:
        frames, taken = LiveFrames(), self._first
        while True:
            try:
                yield frames.make(self._fitted(taken.picture), self._moment(taken))
                if self._stopped.is_set():
                    return
                asked = time.monotonic()
                taken = self._take()
            except MediaError as e:
                again = self._connect_again(str(e), asked)
                if again is None:
                    return
                taken = again

    def _finite_frames(self) -> Iterator[Frame]:
        clock, index = FrameClock(self.info.fps), 0
        expected = self.info.frame_count or 0
        try:
            for index, picture in enumerate(self._all_pictures(), 1):
                time_ = float(clock.read(picture.time))
                yield Frame(self._fitted(picture), index - 1, time_)
                if self._stopped.is_set():
                    return
        except MediaError as e:
            raise SourceError(
                f"{self._called}: {e}; {index} of its {expected} frames were read"
            ) from e
        assert self._decoder is not None
        short = CUT_OFF if index < MIN_FRACTION * expected else ""
        text = describe_damage(self._decoder.damage, index, expected, short)
        if text:
            log.warning("%s broke off or is damaged: %s", self._called, text)
            self.report = report_damage(self._decoder.damage, index, text)

    def _all_pictures(self) -> Iterator[Picture]:
        yield self._first.picture
        yield from self._pictures

    def stop(self) -> None:
        """Let `frames` end soon: at once while waiting to connect, else with the next frame.

        May be called from any thread.
        """
        self._stopped.set()

    def close(self) -> None:
        """Disconnect; report how much of a live stream came damaged."""
        self.stop()
        self._disconnect()
        if self._damaged and not self.report:
            self.report = {"damaged_frames": self._damaged}
            log.warning("%s: %d of its frames came damaged", self._called, self._damaged)

    def _disconnect(self) -> None:
        if self._decoder is not None:
            damage = self._decoder.damage
            self._damaged += damage.concealed + damage.lost
            self._decoder.close()
            self._decoder = None

    def _connect(self) -> Taken:
        """Open the stream and take its first picture.

        Raises:
            MediaError: that fails.
        """
        self._disconnect()
        options: dict[str, str] = {}
        if self._url.lower().startswith("rtsp"):
            options = {"rtsp_transport": self._transport, "buffer_size": str(UDP_BUFFER_BYTES)}
        container = open_url(self._url, self._timeout, options)
        try:
            stream = choose_video(container)
            # What the camera declares; its packets' times say little before many have come.
            self._live_rate = stream.codec_context.framerate or stream.guessed_rate
            self._description: Container = describe(container, stream)
            self._decoder = Decoder(container, stream, self._threads)
            self._pictures = self._decoder.pictures()
            return self._take()
        except BaseException:
            container.close()
            self._decoder = None
            raise

    def _connect_first(self) -> Taken:
        """Connect; try once more if the server was busy, or first packets over UDP may be lost.

        Raises:
            SourceError: that fails.
        """
        try:
            try:
                return self._connect()
            except MediaError as e:
                if self._transport == "tcp" and not isinstance(e, BusyServerError):
                    raise
                log.debug("%s: %s; connecting once more", self._called, e)
                self._stopped.wait(FIRST_WAIT_SECONDS)
                return self._connect()
        except MediaError as e:
            raise SourceError(f"{self._called}: {e}") from e

    def _take(self) -> Taken:
        """Take the next picture.

        Raises:
            MediaError: none came in time, or the stream ended.
        """
        picture = next(self._pictures, None)
        if picture is None:
            raise MediaError("the stream ended or broke off")
        return Taken(picture, Moment.now())

    def _moment(self, taken: Taken) -> Moment:
        """Return when a picture was taken, by the clock that the user chose."""
        reported = taken.picture.clock
        if self._clock == "host" or reported is None:
            return taken.moment
        return taken.moment._replace(clock=datetime.fromtimestamp(reported, timezone.utc))

    def _connect_again(self, what: str, asked: float) -> Taken | None:
        """Connect until a picture comes; None if the run ended meanwhile.

        Args:
            what: what happened to the stream.
            asked: when the picture was asked for that did not come, monotonic seconds.

        Raises:
            SourceError: no attempt is left.
        """
        log.warning("%s: %s; connecting again", self._called, what)
        wait, attempts = FIRST_WAIT_SECONDS, 0
        while self._retries is None or attempts < self._retries:
            if self._stopped.wait(wait):
                return None
            attempts += 1
            try:
                taken = self._connect()
            except MediaError as e:
                wait = min(2 * wait, MAX_WAIT_SECONDS)
                log.debug("%s: attempt %d: %s; next in %g s", self._called, attempts, e, wait)
                continue
            self.reconnects += 1
            log.warning("%s: back after %.1f s", self._called, time.monotonic() - asked)
            return taken
        raise SourceError(
            f"{self._called}: {what}, and it could not be connected again in {attempts} attempts"
        )

    def _fitted(self, picture: Picture) -> Image:
        """Bring a picture of another size to the size of the first, with black at its sides."""
        image = picture.image(self._orientation)
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
