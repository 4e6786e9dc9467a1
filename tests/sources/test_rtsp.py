"""Streams, from real servers that are killed, paused and restarted."""

from __future__ import annotations

import logging
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facereg.cli import main
from facereg.components import Detector
from facereg.errors import MediaError, SourceError, UsageError
from facereg.pipeline.processor import Processor
from facereg.sinks.mp4 import Mp4Sink
from facereg.sources.rtsp import RtspSource
from facereg.types import Detection, Frame, Image
from facereg.video.media import BusyServerError
from tests import clips
from tests.sinks import two_people
from tests.sources.streams import (
    WHY_NOT,
    RtspServer,
    WebServer,
    python_with_gstreamer,
    write_h264,
)

pytestmark = pytest.mark.slow

gstreamer = pytest.mark.skipif(python_with_gstreamer() is None, reason=WHY_NOT)

#: Seconds that a busy machine may need for a connection or a frame.
PATIENT = 60.0

LOGIN, SECRET = "me:se%3Acret", re.compile(r"se(%3A|:)cret")


class NoFaces(Detector):
    """Finds nothing."""

    name = "none"

    def detect(self, frame: Frame) -> Sequence[Detection]:
        return ()


@pytest.fixture(scope="module")
def picture() -> Image:
    """Return the picture that the first clip shows, 320x240."""
    return clips.still(1)[0]


@pytest.fixture(scope="module")
def clip(clip_folder: Path, picture: Image) -> Path:
    """The astronaut, 320x240, 30 fps."""
    return write_h264(clip_folder / "still.h264", [picture] * 30)


@pytest.fixture(scope="module")
def inverted(clip_folder: Path) -> Path:
    """The astronaut in negative, at another size: 160x120."""
    return write_h264(clip_folder / "inverted.h264", [255 - clips.still(1, 160, 120)[0]] * 30)


@pytest.fixture(scope="module")
def server(clip: Path) -> Iterator[RtspServer]:
    """One server for all tests that leave it running."""
    with RtspServer(clip) as running:
        yield running


@pytest.fixture(scope="module")
def locked(clip: Path) -> Iterator[RtspServer]:
    """A server that wants a password with a colon in it."""
    with RtspServer(clip, user="me", password="se:cret") as running:
        yield running


def shows(image: Image, picture: Image) -> bool:
    """Say whether an image is that picture, after lossy encoding."""
    return bool(np.abs(image.astype(int) - picture).mean() < 8)


def closed_port() -> int:
    """Find a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def read(source: RtspSource, count: int) -> list[Frame]:
    """Take some frames."""
    frames = source.frames()
    return [next(frames) for _ in range(count)]


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("rtsp://camera/1", True),
        ("RTSP://camera/1", True),
        ("rtsps://camera/1", True),
        ("http://camera/mjpeg", True),
        ("https://camera/live.m3u8", True),
        ("clip.mp4", False),
        ("file:///clip.mp4", False),
    ],
)
def test_urls_of_streams_are_meant(spec: str, meant: bool) -> None:
    assert RtspSource.matches(spec) is meant


@gstreamer
def test_a_beginning_that_udp_loses_is_asked_for_again(
    server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, calls = RtspSource._connect, []

    def lossy(self: RtspSource) -> Any:
        calls.append(self._transport)
        if len(calls) == 1:
            raise MediaError("no picture came in time")
        return connect(self)

    monkeypatch.setattr(RtspSource, "_connect", lossy)
    RtspSource(server.url(), transport="udp", timeout=PATIENT).close()
    assert calls == ["udp", "udp"]
    calls.clear()
    with pytest.raises(SourceError, match="no picture came in time"):
        RtspSource(server.url(), transport="tcp")
    assert calls == ["tcp"]


@gstreamer
def test_a_server_that_is_busy_is_asked_once_more(
    server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, calls = RtspSource._connect, []

    def busy(self: RtspSource) -> Any:
        calls.append(self._transport)
        if len(calls) == 1:
            raise BusyServerError("the server reports an error of its own (5xx)")
        return connect(self)

    monkeypatch.setattr(RtspSource, "_connect", busy)
    RtspSource(server.url(), timeout=PATIENT).close()
    assert len(calls) == 2


@gstreamer
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_plays_a_stream(server: RtspServer, picture: Image, transport: Any) -> None:
    before = datetime.now(timezone.utc)
    source = RtspSource(server.url(), transport=transport, timeout=PATIENT)
    info = source.info
    assert (info.width, info.height, info.fps, info.live) == (320, 240, 30, True)
    assert (info.frame_count, info.duration) == (None, None)
    frames = read(source, 90)
    source.close()
    assert [frame.index for frame in frames] == list(range(90))
    seen = sum(shows(frame.image, picture) for frame in frames)
    assert seen == 90 if transport == "tcp" else seen > 60, "over UDP, packets may be lost"
    times = [frame.time for frame in frames]
    clocks = [frame.clock for frame in frames if frame.clock is not None]
    assert times[0] == 0 and sorted(times) == times, "seconds from the first frame"
    assert len(clocks) == 90 and before < clocks[0] and clocks[-1] <= datetime.now(timezone.utc)
    assert times[-1] > 1, "they come as they are sent, not all at once"


@gstreamer
def test_frames_carry_the_time_of_day_of_the_camera_if_asked(server: RtspServer) -> None:
    source = RtspSource(server.url(), clock="camera", timeout=PATIENT)
    frames = read(source, 30)
    source.close()
    now = datetime.now(timezone.utc)
    late = [(now - frame.clock).total_seconds() for frame in frames if frame.clock is not None]
    # The server runs on the same machine, and tells its clock once in a few seconds.
    assert len(late) == 30 and all(0 < seconds < 60 for seconds in late)


@gstreamer
def test_a_password_opens_and_is_never_printed(
    locked: RtspServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    source = RtspSource(locked.url(login=LOGIN), timeout=PATIENT)
    assert read(source, 3)
    source.close()
    assert "me:***@" in source.info.name
    out, err = capfd.readouterr()
    assert not SECRET.search(out + err + caplog.text + repr(source.info))


@gstreamer
@pytest.mark.parametrize(
    ("path", "login", "why"),
    [
        ("clip", "me:wrong%3Acret", "refuses this user or password"),
        ("clip", "", r"wants a user and a password: rtsp://USER:PASSWORD@HOST/…"),
        ("nothing", LOGIN, r"has nothing of that name \(404\)"),
    ],
)
def test_a_locked_stream_says_what_is_wrong(
    locked: RtspServer, path: str, login: str, why: str
) -> None:
    with pytest.raises(SourceError, match=why) as raised:
        RtspSource(locked.url(path, login), timeout=PATIENT)
    assert "cret" not in str(raised.value)


@gstreamer
def test_sound_alone_is_no_video(server: RtspServer) -> None:
    with pytest.raises(SourceError, match="has sound, but no pictures"):
        RtspSource(server.url("sound"), timeout=PATIENT)


@gstreamer
def test_a_stream_that_sends_nothing_fails_in_time(server: RtspServer) -> None:
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"within 1 s"):
        RtspSource(server.url("silent"), timeout=1)
    assert time.monotonic() - start < 30, "it would never send anything"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("rtsp://127.0.0.1:{closed}/x", "connection refused: nothing listens at port {closed}"),
        ("http://127.0.0.1:{closed}/x", "connection refused: nothing listens at port {closed}"),
        ("rtsp://nowhere.invalid/x", "there is no host nowhere.invalid"),
        ("rtsp://127.0.0.1:{web}/x", "port {web} of 127.0.0.1 sends no video over RTSP"),
        ("http://127.0.0.1:{web}/page.html", "it is not a video, or a kind that cannot be read"),
        ("http://127.0.0.1:{web}/none.mp4", r"has nothing of that name \(404\)"),
        ("http://127.0.0.1:{web}/broken.mp4", "it is not a video, or a kind that cannot be read"),
        ("rtsp://127.0.0.1:99999/x", "its port is not a number from 1 to 65535"),
        ("rtsp:///x", "it names no host"),
    ],
)
def test_a_wrong_url_is_one_line_and_exit_code_1(
    url: str, why: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.html").write_text("<html>")
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 1000)
    with WebServer(tmp_path, []) as web:
        ports = {"closed": closed_port(), "web": web.port}
        url, why = url.format(**ports), why.format(**ports)
        assert main(["info", url]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert re.match(rf"facereg: error: {re.escape(url)}: .*{why}", err)


@pytest.mark.parametrize(
    "options", [{"retries": -1}, {"timeout": 0.0}, {"timeout": -1.0}, {"threads": 0}]
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    name = next(iter(options))
    with pytest.raises(UsageError, match=f"{name}="):
        RtspSource("rtsp://127.0.0.1:1/x", **options)


@gstreamer
def test_a_recording_holds_what_came_before_and_after_every_interruption(
    clip: Path, inverted: Path, picture: Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is killed, comes back at another size, is paused, and goes on."""
    first = RtspServer(clip)
    source = RtspSource(first.url(), timeout=2)
    out = tmp_path / "out.mp4"
    processor = Processor(source, NoFaces(), None, [Mp4Sink(path=out, view="raw")])
    times: list[float] = []
    moments: dict[str, float] = {}

    def interrupt() -> None:
        try:
            time.sleep(1)
            first.kill()
            time.sleep(0.3)
            with RtspServer(inverted, first.port) as second:
                moments["restarted"] = time.monotonic()
                wait_for(caplog, "back after", 1)
                moments["back"] = time.monotonic()
                time.sleep(0.5)
                second.tell("pause")
                wait_for(caplog, "no picture for 2 s", 1)
                second.tell("resume")
                wait_for(caplog, "back after", 2)
                time.sleep(1.5)
                times.append(time.monotonic())
        finally:
            processor.stop()
            source.stop()

    script = threading.Thread(target=interrupt)
    times.append(time.monotonic())
    script.start()
    processor.run()
    script.join()
    assert moments["back"] - moments["restarted"] < 4, "it comes back soon after the server"
    assert float(clips.probe(out).duration or 0) == pytest.approx(times[1] - times[0], abs=1.5)
    pictures = clips.decoded(out)
    negative = 255 - picture
    assert shows(pictures[3], picture)
    assert shows(pictures[-3], negative), "scaled to the size of the first"
    said = [r.getMessage() for r in caplog.records if "scaled to 320x240" in r.getMessage()]
    assert len(said) == 1


def wait_for(caplog: pytest.LogCaptureFixture, text: str, count: int) -> None:
    """Wait until the log has a text so many times."""
    end = time.monotonic() + 60
    while caplog.text.count(text) < count:
        assert time.monotonic() < end, f"{text!r} was not said: {caplog.text}"
        time.sleep(0.05)


@gstreamer
def test_gives_up_after_its_retries_and_keeps_the_recording(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with RtspServer(clip) as server:
        source = RtspSource(server.url(), retries=1, timeout=PATIENT)
        processor = Processor(source, NoFaces(), None, [Mp4Sink(path=out, view="raw")])
        killer = threading.Timer(0.5, server.kill)
        killer.start()
        with pytest.raises(SourceError, match="could not be connected again in 1 attempts"):
            processor.run()
        killer.join()
    assert clips.probe(out).frames >= 1


def test_stop_does_not_wait_for_a_stream_that_is_gone(tmp_path: Path) -> None:
    with WebServer(tmp_path, clips.numbered(20), cut_after=10) as web:
        source = RtspSource(web.url("live"))
    frames: list[Frame] = []
    reader = threading.Thread(target=lambda: frames.extend(source.frames()))
    reader.start()
    time.sleep(1.5)  # by now it waits to connect again
    source.stop()
    reader.join(30)  # without the stop it would try for ever
    assert not reader.is_alive()
    source.close()


def test_http_live_pictures_are_connected_again_at_their_end(tmp_path: Path) -> None:
    with WebServer(tmp_path, clips.numbered(20), cut_after=20) as web:
        source = RtspSource(web.url("live"))
        assert source.info.live
        frames = read(source, 50)
        source.close()
        assert web.served == 3
    assert [frame.index for frame in frames] == list(range(50))
    assert clips.number(frames[-1].image) == frames[-1].index % 20


def test_a_finite_http_file_is_not_live_and_ends(tmp_path: Path) -> None:
    args = ("-movflags", "+faststart")
    clips.write_clip(tmp_path / "clip.mp4", clips.numbered(40), rate="25", args=args)
    with WebServer(tmp_path, []) as web:
        source = RtspSource(web.url("clip.mp4"), timeout=PATIENT)
        assert (source.info.live, source.info.frame_count) == (False, 40)
        frames = list(source.frames())
        source.close()
    assert [clips.number(frame.image) for frame in frames] == list(range(40))
    assert [frame.time for frame in frames] == pytest.approx([i / 25 for i in range(40)])


def test_a_finite_http_file_that_breaks_off_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    args = ("-movflags", "+faststart")
    whole = clips.write_clip(tmp_path / "whole.mp4", clips.numbered(100), args=args)
    clips.truncate(tmp_path / "cut.mp4", whole)
    with WebServer(tmp_path, []) as web:
        source = RtspSource(web.url("cut.mp4"), timeout=PATIENT)
        frames = list(source.frames())
        source.close()
    assert 0 < len(frames) < 90
    assert f"broke off or is damaged: {len(frames)} of its 100 frames could be read" in caplog.text


@gstreamer
def test_ctrl_c_while_a_stream_is_gone_ends_at_once_and_finishes_the_recording(
    clip: Path, tmp_path: Path
) -> None:
    with RtspServer(clip) as server:
        url = server.url(login="me:secret")
        run = two_people.start(tmp_path, "-o", "out.mp4", source=url, environment={})
        try:
            part = tmp_path / ".out.part.mp4"
            end = time.monotonic() + 90
            while not (part.exists() and part.stat().st_size > 10_000):
                assert time.monotonic() < end
                time.sleep(0.1)
            server.kill()
            time.sleep(2)
            run.send_signal(signal.SIGINT)
            _, errors = run.communicate(timeout=60)  # without it, it would try for ever
        finally:
            run.kill()
            run.communicate()
    assert run.returncode == 130
    assert "secret" not in errors
    lines = errors.splitlines()
    assert all(line.startswith("facereg: warning: rtsp://me:***@") for line in lines), errors
    assert clips.probe(tmp_path / "out.mp4").frames > 10
