"""Every built-in source keeps what `facereg.Source` promises."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest

from facereg.sources.file import FileSource
from facereg.sources.images import ImagesSource
from facereg.sources.rtsp import RtspSource
from facereg.sources.webcam import WebcamSource
from facereg.testing import SourceContract, noise
from tests import clips
from tests.sources.test_webcam import Camera

pytestmark = pytest.mark.slow  # each component is built and run many times


class TestFile(SourceContract):
    component = FileSource
    missing = "no-such-file.mp4"

    def make_spec(self, tmp_path: Path) -> str:
        return str(clips.write_clip(tmp_path / "clip.mp4", clips.numbered(12)))


class TestFileOfVariableRate(SourceContract):
    component = FileSource

    def make_spec(self, tmp_path: Path) -> str:
        frames = clips.numbered(len(clips.JITTER))
        return str(clips.write_variable(tmp_path / "clip.mp4", frames, clips.JITTER))


class TestImages(SourceContract):
    component = ImagesSource
    missing = "no-such-folder/*.png"

    def make_spec(self, tmp_path: Path) -> str:
        for i in range(4):
            cv2.imwrite(str(tmp_path / f"{i}.png"), noise(24, 32, i))
        return str(tmp_path)


class TestStream(SourceContract):
    component = RtspSource
    missing = "http://127.0.0.1:1/nothing.mp4"
    options = {"retries": 0}

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path) -> Iterator[None]:
        clips.write_clip(tmp_path / "clip.mp4", clips.numbered(12))
        handler = functools.partial(_Quiet, directory=str(tmp_path))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            self._url = f"http://127.0.0.1:{server.server_port}/clip.mp4"
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            yield
            server.shutdown()

    def make_spec(self, tmp_path: Path) -> str:
        return self._url


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class TestWebcam(SourceContract):
    component = WebcamSource
    at_most = 8  # then it is unplugged

    def make_spec(self, tmp_path: Path) -> str:
        return "0"

    @pytest.fixture(autouse=True)
    def camera(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pictures = [noise(48, 64, i) for i in range(9)]
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Camera(pictures, {}))
