"""The sound of a recording: kept or converted, in step, and never at the pictures' cost."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
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
from facereg.video import sound
from facereg.video.formats import MP4
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
    more: Sequence[str] = (),
) -> Path:
    """Write a clip whose picture turns white at `CLAP`, and whose sound beeps then.

    Args:
        path: the file; its ending names the container.
        *tracks: the encoder of each sound track.
        audio_starts, video_starts: seconds on the clip's clock.
        audio_length: seconds that the sound goes on.
        more: further arguments of ffmpeg's.
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
    clips.ffmpeg(*command, *more, path)
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


@pytest.mark.slow
@pytest.mark.parametrize("ending", CONTAINERS)
@pytest.mark.parametrize("start", [0.0, 0.48])
def test_sound_stays_in_step_from_every_container(tmp_path: Path, ending: str, start: float):
    clip = clapper(tmp_path / f"clip.{ending}", CONTAINERS[ending])
    record(clip, tmp_path / "out.mp4", start=start)
    assert flash(tmp_path / "out.mp4") == pytest.approx(CLAP - start, abs=0.02)
    assert_in_step(tmp_path / "out.mp4")


@pytest.mark.slow
@pytest.mark.parametrize("ending", CONTAINERS)
def test_a_part_far_into_a_file_is_sought_and_in_step(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(readback, "RUN_UP_SECONDS", 0.5)  # as if the clip were an hour long
    clip = clapper(tmp_path / f"clip.{ending}", CONTAINERS[ending])
    record(clip, tmp_path / "out.mp4", start=1.4)
    assert_in_step(tmp_path / "out.mp4")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "kept"),
    [("aac", "aac"), ("libopus", "opus"), ("ac3", "ac3"), ("eac3", "eac3"), ("flac", "flac"),
     ("alac", "alac"), ("libmp3lame", "mp3"), ("pcm_s16le", "aac"), ("libvorbis", "aac"),
     ("wmav2", "aac"), ("mp2", "aac"), ("dca", "dts"), ("truehd", "aac")],
)  # fmt: skip
def test_only_what_mp4_cannot_hold_is_encoded_again(tmp_path: Path, encoder: str, kept: str):
    strict = ("-strict", "-2") if encoder in ("dca", "truehd") else ()
    clip = clapper(tmp_path / "clip.mkv", encoder, more=strict)
    record(clip, tmp_path / "out.mp4")
    assert codecs(tmp_path / "out.mp4") == [kept]
    assert_in_step(tmp_path / "out.mp4")
    if kept != "aac" or encoder == "aac":
        before, after = (packets(p) for p in (clip, tmp_path / "out.mp4"))
        assert set(after) <= set(before), "the packets were not copied untouched"
        assert len(after) >= len(before) - 2


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("times", [(0.7, 0.0), (0.0, 0.5)], ids=["late sound", "late picture"])
@pytest.mark.parametrize("start", [0.0, 1.2])
def test_a_delayed_start_stays_in_step(
    tmp_path: Path, ending: str, times: tuple[float, float], start: float
):
    clip = clapper(tmp_path / f"clip.{ending}", "aac", audio_starts=times[0], video_starts=times[1])
    record(clip, tmp_path / "out.mp4", start=start)
    assert_in_step(tmp_path / "out.mp4")


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_end_that_cannot_be_read_costs_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clip = clapper(tmp_path / "clip.mp4", "aac")
    read = readback.read_streams

    def fail_at_the_end(path: Path, **options: object) -> list[readback.Stream]:
        if "since" in options:
            raise MediaError("no such place")
        return read(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(readback, "read_streams", fail_at_the_end)
    record(clip, tmp_path / "out.mp4")
    assert_in_step(tmp_path / "out.mp4")
    assert "clip.mp4: its end cannot be read: no such place" in caplog.text


@pytest.mark.slow
def test_two_tracks_are_both_kept_in_step(tmp_path: Path):
    clip = clapper(tmp_path / "clip.mkv", "libvorbis", "ac3")
    record(clip, tmp_path / "out.mp4", start=0.4)
    assert codecs(tmp_path / "out.mp4") == ["aac", "ac3"]
    assert_in_step(tmp_path / "out.mp4", tracks=2)


@pytest.mark.slow
@pytest.mark.parametrize("length", [2.2, 4.5], ids=["shorter", "longer"])
@pytest.mark.parametrize("encoder", ["aac", "pcm_s16le"])
def test_sound_of_another_length_than_the_picture(tmp_path: Path, length: float, encoder: str):
    clip = clapper(tmp_path / "clip.mkv", encoder, audio_length=length)
    record(clip, tmp_path / "out.mp4")
    assert_in_step(tmp_path / "out.mp4")
    found = clips.probe(tmp_path / "out.mp4")
    assert found.frames == 75
    assert found.duration == pytest.approx(LENGTH, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["aac", "pcm_s16le"])
def test_a_part_of_the_source_has_that_part_of_its_sound(tmp_path: Path, encoder: str):
    clip = clapper(tmp_path / "clip.mkv", encoder)
    record(clip, tmp_path / "out.mp4", start=1.0, duration=1.0)
    found = clips.probe(tmp_path / "out.mp4")
    assert (found.frames, found.duration) == (25, pytest.approx(1.0, abs=0.05))
    assert_in_step(tmp_path / "out.mp4")


@pytest.mark.slow
def test_sound_that_starts_after_the_recorded_part_is_no_error(tmp_path: Path):
    clip = clapper(tmp_path / "clip.mkv", "aac", audio_starts=1.5)
    record(clip, tmp_path / "out.mp4", duration=0.8)
    assert clips.probe(tmp_path / "out.mp4").frames == 20


@pytest.mark.slow
def test_sound_is_encoded_or_left_out_where_asked(tmp_path: Path):
    clip = clapper(tmp_path / "clip.mkv", "libopus")
    record(clip, tmp_path / "aac.mp4", audio="aac")
    record(clip, tmp_path / "none.mp4", audio="none")
    assert codecs(tmp_path / "aac.mp4") == ["aac"]
    assert codecs(tmp_path / "none.mp4") == []
    assert_in_step(tmp_path / "aac.mp4")


# Sound never costs the pictures


def write_sound(path: Path, *args: str) -> Path:
    """Write a second of pictures, with the sound that ffmpeg's arguments make from silence."""
    silence = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1:sample_rate=48000"]
    pictures = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1"]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    clips.ffmpeg(*pictures, *silence, *video, *args, path)
    return path


def without_decoder(path: Path, clip: Path) -> Path:
    """Turn the last AAC track of an MP4 or MOV into one of a codec that ffmpeg cannot decode."""
    data = bytearray(clip.read_bytes())
    entry = data.rfind(b"stsd") + 16
    assert data[entry : entry + 4] == b"mp4a"
    data[entry : entry + 4] = b"apac"
    esds = data.rfind(b"esds")
    data[esds : esds + 4] = b"dapa"
    path.write_bytes(data)
    return path


@pytest.mark.slow
def test_a_track_without_a_decoder_is_left_out_with_a_warning_before_the_first_frame(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = ("-map", "0:v", "-map", "1:a", "-map", "1:a", "-c:a", "aac")
    clip = without_decoder(tmp_path / "in.mov", write_sound(tmp_path / "a.mov", *both))
    tracks = sound.plan_tracks(clip, "copy", MP4)
    assert [(t.number, t.codec, t.way) for t in tracks] == [(0, "aac", "copy")]
    assert re.search(r"in.mov: sound track 2 \(.*\) is left out: .*no decoder", caplog.text)
    record(clip, tmp_path / "out.mp4")
    assert codecs(tmp_path / "out.mp4") == ["aac"]
    assert clips.probe(tmp_path / "out.mp4").frames == 25


@pytest.mark.slow
def test_no_track_that_can_be_kept_leaves_the_pictures(tmp_path: Path) -> None:
    clip = without_decoder(tmp_path / "in.mov", write_sound(tmp_path / "a.mov", "-c:a", "aac"))
    record(clip, tmp_path / "out.mp4")
    assert codecs(tmp_path / "out.mp4") == []
    assert clips.probe(tmp_path / "out.mp4").frames == 25


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 6, 8, 16, 24])
def test_more_channels_than_the_target_holds_are_mixed_down(
    tmp_path: Path, channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    split = f"[1:a]asplit={channels}" + "".join(f"[c{i}]" for i in range(channels))
    joined = "".join(f"[c{i}]" for i in range(channels)) + f"amerge={channels}[o]"
    args = ("-filter_complex", f"{split};{joined}", "-map", "0:v", "-map", "[o]")
    clip = write_sound(tmp_path / "in.mov", *args, "-c:a", "pcm_s16le")
    record(clip, tmp_path / "out.mp4")
    assert codecs(tmp_path / "out.mp4") == ["aac"]
    assert clips.probe(tmp_path / "out.mp4").frames == 25
    assert loudness(tmp_path / "out.mp4") > 300
    assert ("is mixed down" in caplog.text) == (channels > 8)


def test_channels_without_places_are_mixed_into_two(tmp_path: Path) -> None:
    track = sound.Track(0, "pcm_s16le", "10 channels", way="mix")
    args = sound.track_arguments(track, 0, MP4, None)
    assert args[-1] == "aresample=async=1,pan=stereo|FL<c0+c2+c4+c6+c8|FR<c1+c3+c5+c7+c9"
    made = "aevalsrc=" + "|".join(["sin(2000*t)"] * 10) + ":d=1"
    clips.ffmpeg("-f", "lavfi", "-i", made, *args, tmp_path / "out.mp4")
    assert loudness(tmp_path / "out.mp4") > 300


@pytest.mark.parametrize("damage", [0.0, 0.4], ids=["from the start", "in the middle"])
@pytest.mark.parametrize("encoder", ["libvorbis", "aac", "pcm_s16le", "flac", "wmav2"])
@pytest.mark.slow
def test_damaged_sound_leaves_the_pictures(tmp_path: Path, encoder: str, damage: float) -> None:
    clip = clapper(tmp_path / "whole.mkv", encoder)
    broken = tmp_path / "broken.mkv"
    noise = f"noise='if(between(pts*tb,{LENGTH * damage},{LENGTH * (damage + 0.4)}),3,0)'"
    clips.ffmpeg("-i", clip, "-map", "0", "-c", "copy", "-bsf:a", noise, broken)
    record(broken, tmp_path / "out.mp4")
    assert clips.probe(tmp_path / "out.mp4").frames == 75
    assert flash(tmp_path / "out.mp4") == pytest.approx(CLAP, abs=0.02)


@pytest.mark.slow
def test_a_broadcast_whose_sample_rate_changes_plays_at_the_right_speed(tmp_path: Path) -> None:
    parts = []
    for rate in (32000, 48000):
        args = ("-af", f"aresample={rate}", "-c:a", "aac")
        parts.append(write_sound(tmp_path / f"{rate}.ts", *args).read_bytes())
    clip = tmp_path / "in.ts"
    clip.write_bytes(b"".join(parts))
    record(clip, tmp_path / "out.mp4")
    assert codecs(tmp_path / "out.mp4") == ["aac"]
    decoded = ["-v", "error", "-i", tmp_path / "out.mp4", "-map", "0:a", "-f", "s16le"]
    clips.ffmpeg(*decoded, "-ar", "8000", "-ac", "1", tmp_path / "sound.raw")
    samples = np.fromfile(tmp_path / "sound.raw", np.int16).astype(float)
    for start in (2000, 11000):  # both parts have the same tone
        part = samples[start : start + 4000]
        assert np.argmax(np.abs(np.fft.rfft(part))) * 2 == pytest.approx(440, abs=5)


@pytest.mark.slow
def test_sound_that_has_none_in_the_recorded_part_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = clapper(tmp_path / "clip.mkv", "pcm_s16le", audio_starts=1.5)
    record(clip, tmp_path / "out.mp4", duration=0.8)
    assert clips.probe(tmp_path / "out.mp4").frames == 20
    assert codecs(tmp_path / "out.mp4") == []
    assert not caplog.messages


@pytest.mark.slow
def test_an_empty_track_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = write_sound(tmp_path / "whole.mp4", "-c:a", "aac")
    data = bytearray(clip.read_bytes())
    table = data.rfind(b"stco")  # of the places of the sound in the file
    data[table : table + 4] = b"free"
    clip.write_bytes(data)
    record(clip, tmp_path / "out.mp4")
    assert clips.probe(tmp_path / "out.mp4").frames == 25
    assert codecs(tmp_path / "out.mp4") == []
    assert "sound track 1 (aac) is left out: it is empty, or damaged" in caplog.text


@pytest.mark.slow
def test_data_beside_the_sound_is_no_trouble(tmp_path: Path) -> None:
    subtitles = tmp_path / "words.srt"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    clip = write_sound(tmp_path / "plain.mov", "-c:a", "aac", "-timecode", "01:00:00:00")
    more = tmp_path / "more.mkv"
    clips.ffmpeg("-i", clip, "-i", subtitles, "-map", "0:v", "-map", "0:a", "-map", "1",
                 "-c", "copy", more)  # fmt: skip
    for source in (clip, more):
        record(source, tmp_path / f"{source.stem}.mp4")
        assert codecs(tmp_path / f"{source.stem}.mp4") == ["aac"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "encoder", "kept"),
    [(".mov", "pcm_s16le", "pcm_s16le"), (".mov", "libopus", "aac"), (".mkv", "wmav2", "wmav2"),
     (".mkv", "libvorbis", "vorbis"), (".webm", "aac", "opus"), (".webm", "libvorbis", "vorbis")],
)  # fmt: skip
def test_every_container_keeps_the_sound_that_it_holds(
    tmp_path: Path, ending: str, encoder: str, kept: str
) -> None:
    clip = clapper(tmp_path / "clip.mkv", encoder)
    record(clip, tmp_path / f"out{ending}")
    assert codecs(tmp_path / f"out{ending}") == [kept]
    assert_in_step(tmp_path / f"out{ending}")


def loudness(path: Path) -> float:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", "0:a"]
    command += ["-ac", "1", "-f", "s16le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return float(np.abs(np.frombuffer(raw, np.int16).astype(int)).mean())
