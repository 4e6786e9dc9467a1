"""One way to run ffmpeg: every name is a name, every failure is one line, and nothing hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest

from facereg.errors import MediaError
from facereg.video import run
from facereg.video.run import FrameReader, FrameWriter, output_lines, run_ffmpeg, try_ffmpeg
from tests import clips

#: Names of files that mean something else to ffmpeg, or are not text.
NAMES = ["-y.mp4", "a:b.mp4", "file:c.mp4", "http:d.mp4", "%04d.mp4", "100%d.mp4", "ein Gruß.mp4",
         "a\nb.mp4", "pipe:1.mp4", "[x];y|z.mp4"]  # fmt: skip
if sys.platform == "linux":
    NAMES.append(os.fsdecode(b"not-utf8-\xff\xe9.mp4"))

SIZE = (64, 48)
RAW = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{SIZE[0]}x{SIZE[1]}", "-i", "pipe:0"]


def writer(path: Path) -> FrameWriter:
    return FrameWriter([*RAW, "-c:v", "ffv1", "-f", "matroska", "-y", path], SIZE[0] * SIZE[1])


def reader(path: Path) -> FrameReader:
    args = ["-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]
    return FrameReader(args, SIZE[0] * SIZE[1])


def pictures(count: int) -> list[bytes]:
    return [bytes([i]) * (SIZE[0] * SIZE[1]) for i in range(count)]


def write_all(pipe: FrameWriter) -> None:
    for one in pictures(200):
        pipe.write(one)


def read_all(source: FrameReader) -> None:
    while source.read() is not None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_every_name_of_a_file_is_written_and_read(
    tmp_path: Path, name: str, absolute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name if absolute else Path(name)
    run_ffmpeg("-f", "lavfi", "-i", "color=size=64x48:rate=25", "-frames:v", "2", path)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert "0, " in run_ffmpeg("-i", path, "-f", "framecrc", "-")


def test_lines_come_before_ffmpeg_has_ended() -> None:
    endless = output_lines("-re", "-f", "lavfi", "-i", "color=s=16x16", "-f", "framecrc", "-")
    assert next(endless).startswith("#")
    endless.close()


def test_a_failure_is_the_line_of_ffmpeg_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video at all")
    with pytest.raises(MediaError, match=r"^moov atom not found$"):
        run_ffmpeg("-i", tmp_path / "text.mp4", "-f", "null", "-")
    outcome = try_ffmpeg("-i", tmp_path / "text.mp4", "-f", "null", "-")
    assert outcome.code > 0
    assert "Invalid data" in outcome.messages


def test_no_ffmpeg_is_said_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    with pytest.raises(MediaError, match="IMAGEIO_FFMPEG_EXE"):
        run_ffmpeg("-version")


def test_pictures_written_are_pictures_read(tmp_path: Path) -> None:
    pipe = writer(tmp_path / "out.mkv")
    for one in pictures(20):
        pipe.write(one)
    pipe.finish()
    pipe.finish()  # does nothing

    source = reader(tmp_path / "out.mkv")
    assert [source.read() for _ in range(20)] == pictures(20)
    assert source.read() is None
    source.close()
    source.close()


def test_an_encoder_that_is_killed_is_an_error(tmp_path: Path) -> None:
    pipe = writer(tmp_path / "out.mkv")
    os.kill(pipe.pid, signal.SIGKILL)
    with pytest.raises(MediaError, match="ended with code -9"):
        write_all(pipe)
    pipe.finish()
    pipe.kill()


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    pipe = writer(tmp_path / "missing" / "out.mkv")
    with pytest.raises(MediaError, match="No such file or directory"):
        write_all(pipe)


# A child that was stopped


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("this system does not report what a process has worked")
    monkeypatch.setattr(run, "STALLED_SECONDS", 2)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_writing_to_a_stopped_ffmpeg_is_an_error_not_a_hang(tmp_path: Path) -> None:
    pipe = writer(tmp_path / "out.mkv")
    os.kill(pipe.pid, signal.SIGSTOP)
    with pytest.raises(MediaError, match=r"ffmpeg did nothing for 2 s and was ended"):
        write_all(pipe)
    pipe.finish()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_waiting_for_the_end_of_a_stopped_ffmpeg_is_an_error_not_a_hang(tmp_path: Path) -> None:
    pipe = writer(tmp_path / "out.mkv")
    pipe.write(pictures(1)[0])
    os.kill(pipe.pid, signal.SIGSTOP)
    with pytest.raises(MediaError, match="ffmpeg did nothing for"):
        pipe.finish()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_reading_from_a_stopped_ffmpeg_is_an_error_not_a_hang(tmp_path: Path) -> None:
    path = clips.write_clip(tmp_path / "clip.mkv", clips.still(200, *SIZE))
    source = reader(path)
    assert source.read() is not None
    os.kill(source.pid, signal.SIGSTOP)
    with pytest.raises(MediaError, match="ffmpeg did nothing for"):
        read_all(source)
    source.close()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_an_ffmpeg_without_work_is_left_alone(tmp_path: Path) -> None:
    pipe = writer(tmp_path / "out.mkv")
    pipe.write(pictures(1)[0])
    done = subprocess.run(["sleep", "4"], check=True)  # facereg is busy with something else
    assert done.returncode == 0
    pipe.write(pictures(1)[0])
    pipe.finish()
    assert clips.probe(tmp_path / "out.mkv").frames == 2
