"""The sound of a recording: kept as it was, or as AAC, and in step with the picture."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from facereg.components import Run
from facereg.errors import MediaError
from facereg.sinks.mp4 import Mp4Sink
from facereg.sources.file import FileSource
from facereg.types import FrameResult
from facereg.video import probe as readback
from tests import clips

#: When the clapper claps, in seconds of the picture.
CLAP = 1.6
RATE, LENGTH, SIZE = 25, 3.0, (96, 64)


def clapper(
    path: Path,
    *tracks: str,
    audio_starts: float = 0.0,
    video_starts: float = 0.0,
    audio_length: float = LENGTH,
) -> Path:
    """Write a clip whose picture turns white at `CLAP`, and whose sound beeps then.

    Args:
        path: the file; its ending names the container.
        *tracks: the encoder of each sound track.
        audio_starts, video_starts: seconds on the clip's clock.
        audio_length: seconds that the sound goes on.
    """
    frames = bytearray()
    for i in range(round(LENGTH * RATE)):
        value = 235 if CLAP <= i / RATE < CLAP + 0.4 else 16
        frames += bytes([value]) * (SIZE[0] * SIZE[1] * 3)
    beep = CLAP + video_starts - audio_starts
    sound = f"aevalsrc='if(between(t,{beep},{beep + 0.4}),sin(2*PI*1000*t),0)':s=48000"
    silent = path.with_name(f"silent_{path.name}")
    command = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{SIZE[0]}x{SIZE[1]}"]
    command += ["-r", str(RATE), "-i", "pipe:0"]
    video = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
    command += ["-c:v", video, "-g", "30", "-pix_fmt", "yuv420p"]
    command += ["-deadline", "realtime", "-cpu-used", "8"] if path.suffix == ".webm" else []
    clips.ffmpeg(*command, silent, data=bytes(frames))
    command = ["-itsoffset", str(video_starts), "-i", str(silent)]
    command += ["-itsoffset", str(audio_starts), "-f", "lavfi"]
    command += ["-i", f"{sound}:d={audio_length}", "-map", "0:v", "-c:v", "copy"]
    for i, encoder in enumerate(tracks):
        command += ["-map", "1:a", f"-c:a:{i}", encoder]
    clips.ffmpeg(*command, path)
    return path


def record(clip: Path, out: Path, *, start: float = 0.0, duration: float = 99.0, **options) -> None:
    """Record a part of a clip, as it is."""
    source = FileSource(str(clip), start=start)
    sink = Mp4Sink(path=out, view="raw", **options)
    sink.open(source.info, Run())
    for frame in source.frames():
        if frame.time >= start + duration:
            break
        sink.write(FrameResult(frame))
    sink.close()
    source.close()


def beep(path: Path, track: int = 0) -> float:
    """Find when the beep begins, in seconds."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-copyts", "-i", str(path)]
    command += ["-map", f"0:a:{track}", "-af", "aresample=8000:async=1:first_pts=0", "-ac", "1"]
    done = subprocess.run([*command, "-f", "s16le", "-"], check=True, capture_output=True)
    samples = np.abs(np.frombuffer(done.stdout, np.int16).astype(int))
    return float(np.argmax(samples > 0.3 * samples.max())) / 8000


def flash(path: Path) -> float:
    """Find when the picture turns white, in seconds."""
    bright = [frame.mean() > 128 for frame in clips.decoded(path)]
    return float(clips.timestamps(path)[bright.index(True)])


def codecs(path: Path) -> list[str]:
    """List the codec of each sound track."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)]
    text = subprocess.run(command, check=False, capture_output=True).stderr.decode()
    return [line.split("Audio: ")[1].split()[0].strip(",") for line in text.splitlines()
            if ": Audio: " in line]  # fmt: skip


def packets(path: Path) -> list[str]:
    """List the checksum of each packet of sound."""
    text = clips.ffmpeg("-i", path, "-map", "0:a:0", "-c", "copy", "-f", "framehash", "-")
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return [row[5].strip() for row in rows]


def assert_in_step(path: Path, tracks: int = 1) -> None:
    for track in range(tracks):
        assert abs(beep(path, track) - flash(path)) < 0.04, f"track {track}"


CONTAINERS = {
    "mp4": "aac", "mov": "pcm_s16le", "mkv": "libopus", "webm": "libopus", "avi": "libmp3lame",
    "ts": "aac", "flv": "aac",
}  # fmt: skip


@pytest.mark.parametrize("ending", CONTAINERS)
@pytest.mark.parametrize("start", [0.0, 0.48])
def test_sound_stays_in_step_from_every_container(tmp_path: Path, ending: str, start: float):
    clip = clapper(tmp_path / f"clip.{ending}", CONTAINERS[ending])
    record(clip, tmp_path / "out.mp4", start=start)
    assert flash(tmp_path / "out.mp4") == pytest.approx(CLAP - start, abs=0.02)
    assert_in_step(tmp_path / "out.mp4")


@pytest.mark.parametrize("ending", CONTAINERS)
def test_a_part_far_into_a_file_is_sought_and_in_step(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(readback, "RUN_UP", 0.5)  # as if the clip were an hour long
    clip = clapper(tmp_path / f"clip.{ending}", CONTAINERS[ending])
    record(clip, tmp_path / "out.mp4", start=1.4)
    assert_in_step(tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("encoder", "kept"),
    [("aac", "aac"), ("libopus", "opus"), ("ac3", "ac3"), ("eac3", "eac3"), ("flac", "flac"),
     ("alac", "alac"), ("libmp3lame", "mp3"), ("pcm_s16le", "aac"), ("libvorbis", "aac"),
     ("wmav2", "aac")],
)  # fmt: skip
def test_only_what_mp4_cannot_hold_is_encoded_again(tmp_path: Path, encoder: str, kept: str):
    clip = clapper(tmp_path / "clip.mkv", encoder)
    record(clip, tmp_path / "out.mp4")
    assert codecs(tmp_path / "out.mp4") == [kept]
    assert_in_step(tmp_path / "out.mp4")
    if kept != "aac" or encoder == "aac":
        before, after = (packets(p) for p in (clip, tmp_path / "out.mp4"))
        assert set(after) <= set(before), "the packets were not copied untouched"
        assert len(after) >= len(before) - 2


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("times", [(0.7, 0.0), (0.0, 0.5)], ids=["late sound", "late picture"])
@pytest.mark.parametrize("start", [0.0, 1.2])
def test_a_delayed_start_stays_in_step(
    tmp_path: Path, ending: str, times: tuple[float, float], start: float
):
    clip = clapper(tmp_path / f"clip.{ending}", "aac", audio_starts=times[0], video_starts=times[1])
    record(clip, tmp_path / "out.mp4", start=start)
    assert_in_step(tmp_path / "out.mp4")


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("length", "end", "told"), [(LENGTH + 2, 99.0, True), (LENGTH + 2, 1.0, False),
                                (LENGTH + 0.2, 99.0, False)],
)  # fmt: skip
def test_sound_that_goes_on_after_the_pictures_is_told(
    ending: str, length: float, end: float, told: bool, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    clip = clapper(tmp_path / f"clip{ending}", "aac", audio_length=length)
    record(clip, tmp_path / "out.mp4", duration=end)
    expected = [f"clip{ending}: its sound goes on for 2.0 s after its last picture, and is cut off"]
    assert [m.rpartition(" there")[0] for m in caplog.messages] == expected * told


def test_an_end_that_cannot_be_read_costs_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clip = clapper(tmp_path / "clip.mp4", "aac")
    read = readback.read

    def fail_at_the_end(path: Path, **options: object) -> list[readback.Stream]:
        if "since" in options:
            raise MediaError("no such place")
        return read(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(readback, "read", fail_at_the_end)
    record(clip, tmp_path / "out.mp4")
    assert_in_step(tmp_path / "out.mp4")
    assert "clip.mp4: its end cannot be read: no such place" in caplog.text


def test_two_tracks_are_both_kept_in_step(tmp_path: Path):
    clip = clapper(tmp_path / "clip.mkv", "libvorbis", "ac3")
    record(clip, tmp_path / "out.mp4", start=0.4)
    assert codecs(tmp_path / "out.mp4") == ["aac", "ac3"]
    assert_in_step(tmp_path / "out.mp4", tracks=2)


@pytest.mark.parametrize("length", [2.2, 4.5], ids=["shorter", "longer"])
@pytest.mark.parametrize("encoder", ["aac", "pcm_s16le"])
def test_sound_of_another_length_than_the_picture(tmp_path: Path, length: float, encoder: str):
    clip = clapper(tmp_path / "clip.mkv", encoder, audio_length=length)
    record(clip, tmp_path / "out.mp4")
    assert_in_step(tmp_path / "out.mp4")
    found = clips.probe(tmp_path / "out.mp4")
    assert found.frames == 75
    assert found.duration == pytest.approx(LENGTH, abs=0.05)


@pytest.mark.parametrize("encoder", ["aac", "pcm_s16le"])
def test_a_part_of_the_source_has_that_part_of_its_sound(tmp_path: Path, encoder: str):
    clip = clapper(tmp_path / "clip.mkv", encoder)
    record(clip, tmp_path / "out.mp4", start=1.0, duration=1.0)
    found = clips.probe(tmp_path / "out.mp4")
    assert (found.frames, found.duration) == (25, pytest.approx(1.0, abs=0.05))
    assert_in_step(tmp_path / "out.mp4")


def test_sound_that_starts_after_the_recorded_part_is_no_error(tmp_path: Path):
    clip = clapper(tmp_path / "clip.mkv", "aac", audio_starts=1.5)
    record(clip, tmp_path / "out.mp4", duration=0.8)
    assert clips.probe(tmp_path / "out.mp4").frames == 20


def test_sound_is_encoded_or_left_out_where_asked(tmp_path: Path):
    clip = clapper(tmp_path / "clip.mkv", "libopus")
    record(clip, tmp_path / "aac.mp4", audio="aac")
    record(clip, tmp_path / "none.mp4", audio="none")
    assert codecs(tmp_path / "aac.mp4") == ["aac"]
    assert codecs(tmp_path / "none.mp4") == []
    assert_in_step(tmp_path / "aac.mp4")
