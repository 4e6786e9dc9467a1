from __future__ import annotations

import time
from pathlib import Path

import pytest

from facereg.errors import MediaError
from facereg.video.media import choose_video, open_file, open_url
from tests import clips


@pytest.mark.parametrize("name", ["a:b.mp4", "-i.mp4", "100%03d.mp4", "http:||x.mp4"])
def test_a_name_is_only_a_name(tmp_path: Path, face_clip: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(face_clip.read_bytes())
    with open_file(path) as container:
        assert choose_video(container).codec_context.width == 320


def test_cover_pictures_are_no_video(tmp_path: Path) -> None:
    clips.ffmpeg(
        *("-f", "lavfi", "-i", "sine=duration=1", "-f", "lavfi", "-i", "color=s=32x32:d=0.1"),
        *("-c:v", "mjpeg", "-disposition:v", "attached_pic", "-frames:v", "1"),
        tmp_path / "song.mp4",
    )
    with (
        open_file(tmp_path / "song.mp4") as container,
        pytest.raises(MediaError, match="has sound, but no pictures"),
    ):
        choose_video(container)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("rtsp://host:99999/x", "its port is not a number"),
        ("http:///x", "it names no host; write http://HOST/PATH"),
        ("http://nowhere.invalid/x", "there is no host nowhere.invalid"),
        ("rtsp://127.0.0.1:1/x", r"connection refused: nothing listens at port 1 of 127\.0\.0\.1"),
    ],
)
def test_a_url_that_does_not_open_says_why(url: str, why: str) -> None:
    with pytest.raises(MediaError, match=why) as error:
        open_url(url, 5)
    assert url not in str(error.value), "a URL may hold a password"


@pytest.mark.slow
def test_a_server_that_drips_does_not_hold_anybody(dripping_port: int) -> None:
    start = time.monotonic()
    with pytest.raises(MediaError, match=r"no picture came from port \d+ of .* within 1 s"):
        open_url(f"http://127.0.0.1:{dripping_port}/a.mp4", 1)
    assert time.monotonic() - start < 30, "it would send a byte a second for two minutes"
