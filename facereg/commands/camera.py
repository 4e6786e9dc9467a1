"""A camera as a process of ``facereg serve``; it speaks as `facereg.web.protocol` says."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..components import Sink, Source
from ..errors import FaceregError, MediaError, clean_text
from ..masks.png import encode as encode_labels
from ..registry.registry import Registry
from ..sinks.web import WebSink, by_utc
from ..types import Frame, Image
from ..video.live import LiveEncoder
from ..video.recording import even
from ..web.protocol import pack
from .failures import describe_failure
from .run import execute
from .terminal import log_with, sigterm_is_ctrl_c

#: Quality of JPEGs, 0 to 100.
JPEG_QUALITY = 80

#: Messages that wait to be sent, at most; a server that reads none loses the oldest.
MAX_WAITING = 1000


class Link:
    """The two pipes to the server: a thread for each of them.

    What was stdout is the pipe; what others print goes to stderr.

    Attributes:
        wanted: what somebody looks at.
        source: the open source, whose reconnects are reported.
    """

    def __init__(self) -> None:
        self.wanted: frozenset[str] = frozenset()
        self.source: Source | None = None
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        self._in = os.fdopen(os.dup(0), "rb")
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        self._orders: deque[Mapping[str, Any]] = deque()
        self._waiting: deque[Callable[[], Iterable[bytes]]] = deque(maxlen=MAX_WAITING)
        self._picture: tuple[Image, Mapping[str, Any]] | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._encoder = _StreamEncoder()
        self._sender = threading.Thread(target=self._send, name="facereg-sender", daemon=True)

    def start(self) -> dict[str, Any]:
        """Read the first line, and begin to listen for more."""
        first: dict[str, Any] = json.loads(self._in.readline() or b"{}")
        if not first:
            os._exit(1)  # the server is gone already
        threading.Thread(target=self._listen, name="facereg-orders", daemon=True).start()
        self._sender.start()
        return first

    def close(self) -> None:
        """Send what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._sender.join(5.0)

    # --- the outlet of a WebSink -----------------------------------------------------------------

    def orders(self) -> Iterator[Mapping[str, Any]]:
        """Return what was ordered since the last call."""
        while self._orders:
            yield self._orders.popleft()

    def show(self, picture: Image, facts: Mapping[str, Any]) -> None:
        """Send a picture; if the one before still waits, it is left out."""
        with self._changed:
            self._picture = picture, facts
            self._changed.notify()

    def answer(self, order: Mapping[str, Any], picture: Any) -> None:
        """Send a picture that was asked for."""
        values = {"id": order.get("id")}
        self._put(lambda: [pack("answer", values, _encoded(order, picture))])

    def report(self, event: str, values: Mapping[str, Any]) -> None:
        """Send plain values."""
        if self.source is not None and event == "state":
            values = {**values, "reconnects": self.source.reconnects}
        message = pack(event, values)
        self._put(lambda: [message])

    # --- the two threads -------------------------------------------------------------------------

    def _put(self, make: Callable[[], Iterable[bytes]]) -> None:
        with self._changed:
            self._waiting.append(make)
            self._changed.notify()

    def _send(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._picture or self._closed):
                    self._changed.wait()
                if not (self._waiting or self._picture):
                    return
                waiting, self._waiting = self._waiting, deque(maxlen=MAX_WAITING)
                picture, self._picture = self._picture, None
            try:
                for make in waiting:
                    self._write(make())
                if picture is not None:
                    self._write(self._encoder.encode(*picture, self.wanted))
            except OSError:
                return  # the server is gone; the end of its pipe ends the run

    def _write(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            left = memoryview(message)
            while left:
                left = left[self._out.write(left) :]

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._in:
                order = json.loads(line)
                if "want" in order:
                    self.wanted = frozenset(order["want"])
                elif "keyframe" in order:
                    self._encoder.key = True
                else:
                    self._orders.append(order)
        signal.raise_signal(signal.SIGINT)  # the run ends as by Ctrl-C


class _StreamEncoder:
    """Encodes what is shown for those who look. Used by the sender's thread.

    Attributes:
        key: whether the next picture of H.264 must stand alone.
    """

    def __init__(self) -> None:
        self.key = False
        self._h264: LiveEncoder | None = None
        self._start = time.monotonic()

    def encode(
        self, picture: Image, facts: Mapping[str, Any], wanted: frozenset[str]
    ) -> Iterator[bytes]:
        if "jpeg" in wanted:
            yield pack("jpeg", {"frame": facts}, encode_jpeg(picture))
        if "h264" in wanted:
            yield from self._as_h264(even(picture), facts)
        elif self._h264 is not None:
            self._h264.close()
            self._h264 = None

    def _as_h264(self, picture: Image, facts: Mapping[str, Any]) -> Iterator[bytes]:
        height, width = picture.shape[:2]
        encoder = self._h264
        if encoder is None or (encoder.width, encoder.height) != (width, height):
            if encoder is not None:
                encoder.close()
            try:
                self._h264 = encoder = LiveEncoder(width, height)
            except MediaError as e:
                yield pack("no h264", {"text": str(e)})
                return
            yield pack("init", {"codec": encoder.codec, "size": [width, height]}, encoder.init)
        key, self.key = self.key, False
        for made in encoder.encode(picture, time.monotonic() - self._start, key=key):
            yield pack("fragment", {"frame": facts, "key": made.key, "at": made.at}, made.data)


def encode_jpeg(picture: Image) -> bytes:
    """Encode (h, w, 3) uint8 BGR."""
    import cv2

    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _encoded(order: Mapping[str, Any], picture: Any) -> bytes:
    """Encode a picture that was asked for; nothing if there is none."""
    import cv2

    if picture is None:
        return b""
    if order["ask"] == "masks":
        return encode_labels(picture)
    if order.get("format") == "jpg":
        return encode_jpeg(picture)
    return cv2.imencode(".png", picture)[1].tobytes()


class Repeated(Source):
    """Plays a source that is not live over and over, as if it never ended.

    Args:
        source: open.
        open_again: opens it once more.
    """

    name = "repeated"

    def __init__(self, source: Source, open_again: Callable[[], Source]) -> None:
        self._open, self._source = open_again, source
        self._stopped = False
        self.info = replace(self._source.info, frame_count=None, duration=None)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of each time, numbered and timed on from those before."""
        index, time_ = 0, 0.0
        step = 1 / float(self.info.fps or 1)
        while True:
            first, last = index, time_
            for frame in self._source.frames():
                last = time_ + frame.time
                yield replace(frame, index=index, time=last)
                index += 1
            time_ = last + step
            if self._stopped or index == first:
                return
            self._source.close()
            self._source = self._open()

    def stop(self) -> None:
        self._stopped = True
        self._source.stop()

    def close(self) -> None:
        self._source.close()


class Camera:
    """What a run needs besides its command line to be shown on a page.

    Args:
        link: to the server.
        args: the command line.
        name: of the camera.
        folder: for recordings that are made with a button.
    """

    def __init__(self, link: Link, args: argparse.Namespace, name: str, folder: Path) -> None:
        self._link, self._args, self._name, self._folder = link, args, name, folder

    def sinks(self, registry: Registry) -> Sequence[Sink]:
        """Make the sink that shows the run."""
        name_file = by_utc(self._folder, self._name, self._args.view)
        view = self._args.view
        return [WebSink(self._link, name_file, view=view, find_view=registry.view)]

    def open_source(self, registry: Registry) -> Source:
        """Open the source; one that is not live and that nothing is written of is repeated."""
        args = self._args

        def open_again() -> Source:
            return registry.open_source(args.source, start=args.start)

        self._link.source = source = open_again()
        written = args.output or args.masks or args.stats or args.sink or args.duration
        if source.info.live or written:
            return source
        return Repeated(source, open_again)


class _LogHandler(logging.Handler):
    """Sends the log to the server."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        text = clean_text(record.getMessage())
        self._link.report("log", {"level": record.levelno, "text": text})


def run(parse_args: Callable[[Sequence[str]], argparse.Namespace]) -> int:
    """Run a camera as the server says. Returns the exit code.

    Args:
        parse_args: parses a command line of facereg.
    """
    link = Link()
    first = link.start()
    args = parse_args(first["argv"])
    camera = Camera(link, args, first["name"], Path(first["folder"]))
    level = logging.DEBUG if args.debug else logging.INFO
    code = 130
    try:
        with log_with(_LogHandler(link), level), sigterm_is_ctrl_c():
            totals, interrupted = execute(args, (), camera)
            link.report("result", {"totals": totals.as_json()})
            code = 130 if interrupted else 0
    except KeyboardInterrupt:
        pass
    except Exception as e:
        if not isinstance(e, FaceregError):
            traceback.print_exc(file=sys.stderr)
        text, code = describe_failure(e)
        link.report("error", {"text": clean_text(text), "code": code})
    link.close()
    return code
