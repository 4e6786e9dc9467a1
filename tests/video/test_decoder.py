"""Pictures come out in order, each at its time, and one damaged packet does not end it."""

from __future__ import annotations

import re
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from facereg.video.clock import FrameClock
from facereg.video.damage import Damage
from facereg.video.decoder import Decoder
from facereg.video.media import choose_video, open_file
from facereg.video.orientation import Orientation
from tests import clips

#: Where Linux lists the threads of this process.
TASKS = Path("/proc/self/task")


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["avi", "mp4", "mkv", "ts"])
def test_pictures_that_are_decoded_in_another_order_come_at_their_times(
    tmp_path: Path, ending: str
) -> None:
    args = ["-bf", "3", "-b_strategy", "0"]
    path = clips.write_clip(tmp_path / f"clip.{ending}", clips.numbered(30), args=args)
    container = open_file(path)
    decoder = Decoder(container, choose_video(container))
    clock = FrameClock(Fraction(25))  # the last pictures of an AVI have no time
    times = [float(clock.read(picture.time)) for picture in decoder.pictures()]
    decoder.close()
    assert times == pytest.approx([i / 25 for i in range(30)], abs=0.002)


@pytest.mark.slow
def test_one_damaged_packet_is_counted_and_the_others_come(tmp_path: Path) -> None:
    args = ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]
    path = clips.write_clip(tmp_path / "clip.mkv", clips.numbered(12), args=args)
    data = path.read_bytes()
    begins = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)]
    size = begins[6] - begins[5] - 40  # behind it comes the header of the next block
    path.write_bytes(data[: begins[5]] + bytes(size) + data[begins[5] + size :])
    container = open_file(path)
    decoder = Decoder(container, choose_video(container), threads=2)
    images = [picture.image(picture.orientation) for picture in decoder.pictures()]
    decoder.close()
    assert [clips.number(image) for image in images] == [*range(5), *range(6, 12)]
    assert decoder.damage == Damage(lost=1)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 4])
def test_threads_change_no_pixel(pan_clip: Path, threads: int) -> None:
    container = open_file(pan_clip)
    decoder = Decoder(container, choose_video(container), threads)
    images = [picture.image(Orientation()) for picture in decoder.pictures()]
    decoder.close()
    capture = cv2.VideoCapture(str(pan_clip), cv2.CAP_FFMPEG)
    assert len(images) == 30
    assert all(np.array_equal(image, capture.read()[1]) for image in images)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
def test_closing_ends_the_threads(face_clip: Path) -> None:
    before = len(list(TASKS.iterdir()))
    for _ in range(5):
        container = open_file(face_clip)
        decoder = Decoder(container, choose_video(container), threads=4)
        next(decoder.pictures())
        del container
        decoder.close()
    assert len(list(TASKS.iterdir())) <= before + 4
