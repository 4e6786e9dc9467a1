"""Cameras, through a stand-in for OpenCV's capture: no machine that tests has a camera."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facereg.cli import main
from facereg.components import Detector
from facereg.errors import SourceError, UsageError
from facereg.pipeline.processor import Processor
from facereg.sinks.mp4 import Mp4Sink
from facereg.sources import webcam
from facereg.sources.webcam import WebcamSource, cameras
from facereg.types import Detection, Frame, Image
from tests import clips


class Camera:
    """Stands in for cv2.VideoCapture.

    Attributes:
        asked: properties set, in order.
        released: whether it was given back.
    """

    def __init__(self, pictures: Sequence[Image | None], fixed: dict[int, float]) -> None:
        self.pictures = list(pictures)
        self.properties: dict[int, float] = {cv2.CAP_PROP_FPS: 30.0}
        self.fixed = fixed
        self.asked: list[int] = []
        self.released = False
        self.opened = True

    def isOpened(self) -> bool:  # noqa: N802  (OpenCV's name)
        return self.opened

    def set(self, name: int, value: float) -> bool:
        self.asked.append(name)
        self.properties[name] = value
        return True

    def get(self, name: int) -> float:
        return self.fixed.get(name, self.properties.get(name, 0.0))

    def grab(self) -> bool:
        self.now = self.pictures.pop(0) if self.pictures else None
        return self.now is not None

    def retrieve(self) -> tuple[bool, Image | None]:
        return self.now is not None, None if self.now is None else self.now.copy()

    def release(self) -> None:
        self.released = True


Plug = Callable[..., Camera]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Return a function that plugs a camera in, with the pictures that it will give."""

    def plug(
        pictures: Sequence[Image | None], fixed: dict[int, float] | None = None, opened: bool = True
    ) -> Camera:
        camera = Camera(pictures, fixed or {})
        camera.opened = opened
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_: camera)
        return camera

    return plug


@pytest.fixture
def two_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that two cameras exist."""
    listed = {"/dev/video0": "Integrated Camera", "/dev/video2": ""}
    monkeypatch.setattr(webcam, "cameras", lambda: listed)


class NoFaces(Detector):
    """Finds nothing."""

    name = "none"

    def detect(self, frame: Frame) -> Sequence[Detection]:
        return ()


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("0", True),
        ("12", True),
        ("/dev/video0", True),
        ("/dev/v4l/by-id/usb-Camera", True),
        ("clip0", False),
        ("20240101.mp4", False),
        ("rtsp://camera/0", False),
        ("-1", False),
    ],
)
def test_a_number_or_a_device_is_a_camera(spec: str, meant: bool) -> None:
    assert WebcamSource.matches(spec) is meant


def test_frames_are_live_and_carry_the_moment_they_came(plug: Plug) -> None:
    pictures = clips.numbered(5)
    plug(pictures)
    before = datetime.now(timezone.utc)
    source = WebcamSource("0")
    assert source.info.live
    assert (source.info.width, source.info.height, source.info.fps) == (160, 120, 30)
    frames = source.frames()
    for i in range(len(pictures)):
        frame = next(frames)
        assert clips.number(frame.image) == i
        assert frame.index == i
        assert frame.clock is not None
        assert before <= frame.clock <= datetime.now(timezone.utc)
        before = frame.clock
        assert frame.time == 0 if i == 0 else 0 < frame.time < 60, "from the first frame"


def test_data_are_never_mirrored(plug: Plug) -> None:
    picture = clips.astronaut()
    plug([picture, picture])
    source = WebcamSource("0", mirror=True)
    assert np.array_equal(next(source.frames()).image, picture)
    assert source.info.mirror, "the window is told to mirror"
    plug([picture])
    assert not WebcamSource("0", mirror=False).info.mirror


def test_the_format_is_asked_for_before_the_size(plug: Plug) -> None:
    camera = plug(clips.numbered(2))
    WebcamSource("0", size="1280x720", fps=60, fourcc="MJPG")
    order = [camera.asked.index(p) for p in (cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH)]
    assert order == sorted(order), "drivers forget the size when the format changes"
    assert camera.properties[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert camera.properties[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert camera.properties[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert camera.properties[cv2.CAP_PROP_FPS] == 60
    assert camera.properties[cv2.CAP_PROP_BUFFERSIZE] == 1, "old frames would wait in the driver"


def test_a_camera_that_gives_another_size_is_told(
    plug: Plug, caplog: pytest.LogCaptureFixture
) -> None:
    plug(clips.numbered(2), {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480})
    source = WebcamSource("0", size="1280x480")
    assert [r.getMessage() for r in caplog.records] == ["camera 0: frame width 640, not 1280"]
    assert source.info.width == 160, "what comes is what counts"


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"size": "big"}, "size=big"),
        ({"size": "0x480"}, "size=0x480"),
        ({"fps": 0.0}, "fps=0"),
        ({"fourcc": "MJ"}, "fourcc=MJ"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], wrong: str, plug: Plug) -> None:
    camera = plug(clips.numbered(2))
    with pytest.raises(UsageError, match=wrong):
        WebcamSource("0", **options)
    assert not camera.asked


def test_a_camera_may_wake_up_slowly(plug: Plug) -> None:
    plug([None, None, None, *clips.numbered(2)])
    assert next(WebcamSource("0").frames()).index == 0


@pytest.mark.skipif(sys.platform != "linux", reason="lists devices as Linux names them")
def test_no_such_camera_lists_those_that_exist(plug: Plug, two_cameras: None) -> None:
    plug([], opened=False)
    with pytest.raises(SourceError) as raised:
        WebcamSource("77")
    assert str(raised.value) == (
        "camera 77: there is none; cameras here: /dev/video0 (Integrated Camera), /dev/video2"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="lists devices as Linux names them")
def test_no_camera_at_all_is_one_line_and_exit_code_1(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "77"]) == 1  # OpenCV itself is asked, and must not chatter
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("facereg: error: camera 77: there is none; cameras here: ")


def test_a_busy_camera_is_given_back(plug: Plug) -> None:
    camera = plug([])
    with pytest.raises(SourceError, match=r"camera 0 gives no picture: another program"):
        WebcamSource("0")
    assert camera.released


def test_unplugged_in_mid_run_keeps_the_recording(
    plug: Plug, tmp_path: Path, two_cameras: None
) -> None:
    camera = plug(clips.numbered(3))
    out = tmp_path / "out.mp4"
    processor = Processor(WebcamSource("0"), NoFaces(), None, [Mp4Sink(path=out, view="raw")])
    with pytest.raises(SourceError, match=r"camera 0: no more pictures after 3 frames"):
        processor.run()
    assert camera.released
    assert clips.probe(out).frames >= 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_stop_ends_it_from_another_thread(plug: Plug) -> None:
    plug(clips.numbered(5))
    source = WebcamSource("0")
    frames = source.frames()
    next(frames)
    source.stop()
    assert list(frames) == []


def test_cameras_are_listed_in_order_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for number in (10, 2):
        (tmp_path / f"dev/video{number}").touch()
    name = tmp_path / "sys/class/video4linux/video2/name"
    name.parent.mkdir(parents=True)
    name.write_text("Integrated Camera\n")
    found = cameras(tmp_path)
    assert list(found.values()) == ["Integrated Camera", ""]
    assert [Path(path).name for path in found] == ["video2", "video10"]
