"""Open files and streams for reading, choose the video in them, and say why that fails."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import MediaError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.stream import VideoStream

#: libavformat's flag AVFMT_FLAG_GENPTS, which PyAV sets.
GENERATE_TIMES = 1

#: Where servers listen if a URL does not say.
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}

#: What HTTP and RTSP servers mean by a status code.
STATUS = {
    "HTTPBadRequestError": "the server does not understand the request (400)",
    "HTTPNotFoundError": "the server has nothing of that name (404)",
    "HTTPTooManyRequestsError": "the server refuses so many requests (429)",
    "HTTPOtherClientError": "the server refuses the request (4xx)",
    "HTTPServerError": "the server reports an error of its own (5xx)",
}


class BusyServerError(MediaError):
    """A server cannot serve at the moment: it may be about to end an earlier connection."""


def open_file(path: Path) -> InputContainer:
    """Open a video file.

    Args:
        path: the file; no character of its name means anything but itself.

    Raises:
        MediaError: it is missing, empty, or of no kind that can be read.
    """
    import av

    if path.is_dir():
        raise MediaError(f"{path}: is a folder, not a video")
    if not path.is_file():
        raise MediaError(f"{path}: no such file")
    if not path.stat().st_size:
        raise MediaError(f"{path}: is empty")
    try:
        return _as_stored(av.open(f"file:{path.absolute()}", "r", metadata_errors="replace"))
    except av.FFmpegError as e:
        raise MediaError(f"{path}: {_why_no_video(path, e)}") from e


def open_url(url: str, timeout: float, options: Mapping[str, str] | None = None) -> InputContainer:
    """Connect to a stream.

    Args:
        url: of the schemes http, https, rtsp or rtsps.
        timeout: seconds that connecting may take, and then each packet.
        options: ffmpeg's options for the protocol.

    Raises:
        MediaError: there is no such stream; the message does not name the URL.
    """
    import av

    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise MediaError("its port is not a number from 1 to 65535") from None
    if not parts.hostname:
        raise MediaError(f"it names no host; write {parts.scheme}://HOST/PATH")
    asked = time.monotonic()
    try:
        container = av.open(
            url, "r", options=dict(options or {}), metadata_errors="replace",
            timeout=(timeout, timeout),
        )  # fmt: skip
    except av.FFmpegError as e:
        late = time.monotonic() - asked > 0.9 * timeout
        kind = BusyServerError if isinstance(e, av.HTTPServerError) else MediaError
        raise kind(_why_closed(url, port, timeout if late else None, e)) from e
    return _as_stored(container)


def _as_stored(container: InputContainer) -> InputContainer:
    """Leave a packet without the time that it has not: guesses are wrong for AVI with B-frames."""
    container.flags &= ~GENERATE_TIMES
    return container


def real_videos(container: InputContainer) -> list[VideoStream]:
    """List the videos of a container; cover pictures and thumbnails are none."""
    from av.stream import Disposition

    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & pictures]


def choose_video(container: InputContainer) -> VideoStream:
    """Choose the video to read: the one that players show by default, else the first.

    Raises:
        MediaError: there is no video, or none that can be decoded.
    """
    from av.stream import Disposition

    videos = real_videos(container)
    if not videos:
        sound = len(container.streams.audio) > 0
        raise MediaError("has sound, but no pictures" if sound else "has no frames")
    known = [stream for stream in videos if stream.codec_context is not None]
    if not known:
        raise MediaError("its video has an unknown codec")
    return next((s for s in known if s.disposition & Disposition.default), known[0])


def _why_no_video(path: Path, error: FFmpegError) -> str:
    """Say why a file does not open."""
    if isinstance(error, OSError) and error.strerror:  # not ours to read, or a bad disk
        return error.strerror.lower()
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return "is cut off: its index (the moov atom) was never written or copied"
    return "is not a video, or a kind that cannot be read"


def _why_closed(url: str, port: int | None, waited: float | None, error: FFmpegError) -> str:
    """Say why a stream does not open; ``waited`` is the time-out, if it is over."""
    import av

    parts = urlsplit(url)
    kind = type(error).__name__
    if kind in ("HTTPUnauthorizedError", "HTTPForbiddenError"):
        if parts.username is None:
            return f"it wants a user and a password: {parts.scheme}://USER:PASSWORD@HOST/…"
        return "the server refuses this user or password"
    if kind in STATUS:
        return STATUS[kind]
    where = f"port {port or PORTS[parts.scheme.lower()]} of {parts.hostname}"
    if isinstance(error, av.ConnectionRefusedError):
        return f"connection refused: nothing listens at {where}"
    if waited is not None:
        return f"no picture came from {where} within {waited:g} s"
    if isinstance(error, av.InvalidDataError):
        if parts.scheme.lower().startswith("rtsp"):
            return f"{where} sends no video over RTSP"
        return "it is not a video, or a kind that cannot be read"
    try:
        socket.getaddrinfo(parts.hostname, None)
    except OSError:
        return f"there is no host {parts.hostname}"
    return f"{where}: {(error.strerror or str(error)).lower()}"
