"""Streams for the tests: a real RTSP server, and MJPEG over HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from facereg.types import Image
from tests import clips

if TYPE_CHECKING:
    from typing_extensions import Self

SCRIPT = Path(__file__).with_name("rtsp_server.py")

#: Pythons that may have Debian's bindings of GStreamer.
PYTHONS = ("/usr/bin/python3", "python3")

WHY_NOT = (
    "no GStreamer RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad "
    "gstreamer1.0-plugins-ugly gstreamer1.0-libav"
)


@cache
def python_with_gstreamer() -> str | None:
    """Find a Python that can run the server."""
    program = "import gi; gi.require_version('GstRtspServer', '1.0')"
    for python in PYTHONS:
        try:
            done = subprocess.run([python, "-c", program], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return None


def write_h264(path: Path, frames: Iterable[Image], rate: int = 30) -> Path:
    """Encode frames for the server: an intra frame twice a second, none out of order."""
    args = ("-tune", "zerolatency", "-g", str(rate // 2), "-x264-params", "aud=1:scenecut=0")
    return clips.write_clip(path, frames, rate=str(rate), args=args)


class RtspServer:
    """Runs ``rtsp_server.py``; a context manager that kills it at the end.

    Args:
        clip: from `write_h264`.
        port: 0 for any free one.
        user, password: what clients need, or None.

    Attributes:
        port: where it listens.
    """

    def __init__(
        self, clip: Path, port: int = 0, user: str | None = None, password: str | None = None
    ) -> None:
        python = python_with_gstreamer()
        assert python is not None, WHY_NOT
        command = [python, str(SCRIPT), str(clip), "--port", str(port)]
        if user is not None:
            command += ["--user", user, "--password", password or ""]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        word, _, number = self._read().partition(" ")
        assert word == "ready", f"the server says {word}"
        self.port = int(number)

    def url(self, path: str = "clip", login: str = "") -> str:
        """Name a stream of it."""
        return f"rtsp://{login}{'@' if login else ''}127.0.0.1:{self.port}/{path}"

    def tell(self, word: str) -> None:
        """Tell it to ``pause`` or ``resume``, and wait until it does."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._read() == word

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        """End it without goodbye."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class WebServer:
    """Serves a folder's files, and under ``/live`` an endless MJPEG stream that can be cut.

    Attributes:
        port: where it listens.
        served: how often the stream was asked for.
    """

    def __init__(self, folder: Path, pictures: list[Image], cut_after: int | None = None) -> None:
        jpegs = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]
        web = self
        self.served = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self._exists() else 404)
                if self.path == "/live":
                    web.served += 1
                    self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
                    self.end_headers()
                    web.stream(self.wfile, jpegs, cut_after)
                    return
                data = (folder / self.path[1:]).read_bytes() if self._exists() else b"no"
                kind = "video/mp4" if self.path.endswith(".mp4") else "text/html"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _exists(self) -> bool:
                return self.path == "/live" or (folder / self.path[1:]).is_file()

            def log_message(self, *_: Any) -> None:
                pass

        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stream(self, out: Any, jpegs: list[bytes], cut_after: int | None) -> None:
        """Send pictures, 25 a second; break off after some."""
        sent = 0
        while not self._over.is_set() and sent != cut_after:
            jpeg = jpegs[sent % len(jpegs)]
            head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                out.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                return  # the client has left
            sent += 1
            self._over.wait(0.04)

    def url(self, path: str) -> str:
        """Name a file of it, or ``live``."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
