from __future__ import annotations

import logging
import os
import re
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from facereg.errors import SourceError, UsageError
from facereg.sources.file import FileSource
from facereg.types import Frame
from tests import clips


def read(path: Path, **options: float) -> list[Frame]:
    source = FileSource(str(path), **options)
    try:
        return list(source.frames())
    finally:
        source.close()


def seconds(frames: list[Frame]) -> list[float]:
    return [frame.time for frame in frames]


def shown(path: Path) -> list[float]:
    """When ffmpeg shows each frame, from the first one on."""
    times = clips.timestamps(path)
    return [float(time - times[0]) for time in times]


def close_to(image: np.ndarray, wanted: np.ndarray) -> bool:
    return image.shape == wanted.shape and float(np.abs(image.astype(int) - wanted).mean()) < 8


# What comes out


@pytest.mark.slow
def test_every_frame_comes_once_in_order(ntsc_clip: Path) -> None:
    frames = read(ntsc_clip)
    assert [clips.number(frame.image) for frame in frames] == list(range(48))
    assert [frame.index for frame in frames] == list(range(48))


@pytest.mark.slow
def test_colours_are_those_of_the_picture(face_clip: Path) -> None:
    image = read(face_clip)[0].image
    assert close_to(image, clips.still()[0])
    assert not image.flags.writeable


@pytest.mark.slow
def test_info_of_a_clip_with_sound(sound_clip: Path) -> None:
    source = FileSource(str(sound_clip))
    info = source.info
    source.close()
    assert (info.name, info.width, info.height) == ("sound.mp4", 320, 240)
    assert (info.fps, info.frame_count, info.duration) == (Fraction(25), 25, 1.0)
    assert (info.has_audio, info.media) == (True, str(sound_clip))
    assert (info.live, info.rotation, info.sizes_vary) == (False, 0, None)


def test_silent_clip_has_no_sound(face_clip: Path) -> None:
    info = FileSource(str(face_clip)).info
    assert (info.has_audio, Path(info.media or "").suffix) == (False, ".mp4")


def test_film_rate_is_exact(ntsc_clip: Path) -> None:
    info = FileSource(str(ntsc_clip)).info
    assert info.fps == Fraction(24000, 1001)
    assert info.duration == pytest.approx(48 * 1001 / 24000, abs=1e-9)


@pytest.mark.slow
def test_phone_video_comes_out_upright(rotated_clip: Path) -> None:
    info = FileSource(str(rotated_clip)).info
    assert (info.width, info.height, info.rotation) == (240, 320, 90)
    assert close_to(read(rotated_clip)[0].image, clips.still(1, 240, 320)[0])


@pytest.mark.slow
@pytest.mark.parametrize("clockwise", [180, 270])
def test_other_turns(tmp_path: Path, clockwise: int) -> None:
    upright = clips.still(3)
    clip = clips.write_rotated(tmp_path / "turned.mp4", upright, clockwise=clockwise)
    assert FileSource(str(clip)).info.rotation == clockwise
    assert close_to(read(clip)[0].image, upright[0])


@pytest.mark.slow
@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_mirrored_video_comes_out_as_players_show_it(tmp_path: Path, clockwise: int) -> None:
    upright = clips.still(2)
    turned = [np.rot90(frame[:, ::-1], clockwise // 90) for frame in upright]
    flat = clips.write_clip(tmp_path / "flat.mp4", turned)
    clip = tmp_path / "mirrored.mp4"
    clips.ffmpeg(
        *("-display_rotation", str(-clockwise), "-display_hflip"), "-i", flat, "-c", "copy", clip
    )
    frame = read(clip)[0]
    assert np.abs(frame.image.astype(int) - clips.decoded_by_player(clip)).mean() < 3
    assert close_to(frame.image, upright[0]) or clockwise % 180


@pytest.mark.slow
def test_odd_size_keeps_its_last_column_and_row(odd_clip: Path) -> None:
    assert {frame.image.shape for frame in read(odd_clip)} == {(241, 321, 3)}


@pytest.mark.slow
def test_talking_man() -> None:
    source = FileSource(str(clips.carphone_path()))
    assert source.info.fps == Fraction(30000, 1001)
    assert source.info.frame_count == len(list(source.frames())) == 120
    source.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("grey.mkv", ["-c:v", "ffv1", "-pix_fmt", "gray"]),
        ("ten_bit.mp4", ["-pix_fmt", "yuv420p10le"]),
        ("sixteen_bit.mkv", ["-c:v", "ffv1", "-pix_fmt", "gray16le"]),
        ("alpha.mov", ["-c:v", "prores_ks", "-pix_fmt", "yuva444p10le"]),
        ("paletted.gif", ["-c:v", "gif", "-pix_fmt", "rgb8"]),
    ],
)
def test_unusual_pixels_become_bgr(tmp_path: Path, name: str, args: list[str]) -> None:
    frames = read(clips.write_clip(tmp_path / name, clips.still(2), args=args))
    wanted = clips.still(1)[0]
    if "gray" in args[-1]:
        wanted = cv2.cvtColor(cv2.cvtColor(wanted, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    image = frames[0].image
    assert image.shape == wanted.shape and image.dtype == np.uint8
    assert float(np.abs(image.astype(int) - wanted).mean()) < 20  # a GIF has 256 colours


@pytest.mark.slow
@pytest.mark.parametrize("size", [(2, 2), (64, 48)])
def test_a_single_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = clips.write_clip(tmp_path / "one.mp4", clips.still(1, *size))
    info = FileSource(str(clip)).info
    assert (info.width, info.height, info.frame_count) == (*size, 1)
    assert info.duration == pytest.approx(0.04)
    assert seconds(read(clip)) == [0.0]


@pytest.mark.parametrize("first", ["cover", "film"])
def test_a_cover_picture_is_not_the_film(tmp_path: Path, face_clip: Path, first: str) -> None:
    cover = tmp_path / "cover.jpg"
    cv2.imwrite(str(cover), clips.coffee())
    clip = tmp_path / "film.mkv"
    maps = ["-map", "1", "-map", "0"] if first == "cover" else ["-map", "0", "-map", "1"]
    kind = f"-disposition:v:{0 if first == 'cover' else 1}"
    clips.ffmpeg("-i", face_clip, "-i", cover, *maps, "-c", "copy", kind, "attached_pic", clip)
    source = FileSource(str(clip))
    assert (source.info.width, len(list(source.frames()))) == (320, 10)


@pytest.mark.slow
def test_of_several_videos_the_default_one_is_read_and_the_others_named(
    tmp_path: Path, face_clip: Path, pan_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = tmp_path / "two.mkv"
    kinds = ("-disposition:v:0", "0", "-disposition:v:1", "default")
    clips.ffmpeg(
        *("-i", face_clip, "-i", pan_clip, "-map", "0", "-map", "1", "-c", "copy"), *kinds, clip
    )
    assert {frame.width for frame in read(clip)} == {384}
    assert caplog.messages == ["two.mkv has 2 videos: stream 1 (384x288) is read, not 0"]


@pytest.mark.slow
def test_size_that_changes_on_the_way_is_brought_to_the_first(tmp_path: Path) -> None:
    parts = [
        clips.write_clip(tmp_path / f"{width}.ts", clips.still(10, width, width))
        for width in (160, 240)
    ]
    clip = tmp_path / "joined.ts"
    clip.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = read(clip)
    assert len(frames) == 20
    assert close_to(frames[-1].image, clips.still(1, 160, 160)[0])


# Time


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("b_frames.mp4", []),
        ("clock_in_milliseconds.mkv", []),
        ("starts_late.ts", ["-output_ts_offset", "5"]),
        ("starts_late.mkv", ["-output_ts_offset", "5"]),
        ("starts_late.mp4", ["-output_ts_offset", "5"]),
        ("program_stream.mpg", ["-c:v", "mpeg2video", "-bf", "2"]),
        ("vp9.webm", ["-c:v", "libvpx-vp9"]),
    ],
)
def test_times_are_those_of_the_file(tmp_path: Path, name: str, args: list[str]) -> None:
    clip = clips.write_clip(tmp_path / name, clips.numbered(30), rate="24000/1001", args=args)
    source = FileSource(str(clip))
    frames = list(source.frames())
    assert [clips.number(frame.image) for frame in frames] == list(range(30))
    # One tick of MPEG's clock: in a program stream the last frame has no time of its own.
    assert seconds(frames) == pytest.approx(shown(clip), abs=1 / 90_000)
    assert source.info.fps == Fraction(24000, 1001)
    assert source.info.frame_count == 30
    assert source.info.duration == pytest.approx(30 * 1001 / 24000, abs=1e-9)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_variable_rate_keeps_jitter_gap_and_change(tmp_path: Path, suffix: str) -> None:
    frames = clips.numbered(len(clips.JITTER))
    clip = clips.write_variable(tmp_path / f"phone{suffix}", frames, clips.JITTER)
    source = FileSource(str(clip))
    got = list(source.frames())
    assert seconds(got) == pytest.approx([float(time) for time in clips.JITTER], abs=1e-9)
    assert [clips.number(frame.image) for frame in got] == list(range(30))
    assert source.info.fps is not None
    assert 20 <= source.info.fps <= 30  # not 8, the mean over the gap, nor the ticks of a clock
    assert source.info.frame_count == 30
    assert source.info.duration == pytest.approx(float(clips.JITTER[-1]) + 0.1, abs=0.07)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("raw.h264", ["-bf", "2"]),  # no times at all
        ("last_has_no_time.avi", ["-c:v", "mpeg4", "-bf", "2"]),
        ("out_of_order.avi", ["-bf", "3"]),
    ],
)
def test_frames_without_a_time_follow_at_the_rate(
    tmp_path: Path, name: str, args: list[str]
) -> None:
    clip = clips.write_clip(tmp_path / name, clips.numbered(20), args=args)
    assert FileSource(str(clip)).info.frame_count == 20
    assert seconds(read(clip)) == pytest.approx([i / 25 for i in range(20)], abs=1e-9)


@pytest.mark.slow
def test_joined_recordings_do_not_go_back_in_time(tmp_path: Path) -> None:
    part = clips.write_clip(tmp_path / "part.ts", clips.numbered(20))
    clip = tmp_path / "joined.ts"
    clip.write_bytes(part.read_bytes() * 2)
    assert seconds(read(clip)) == pytest.approx([i / 25 for i in range(40)], abs=1e-6)


@pytest.mark.slow
def test_long_files_are_counted_without_reading_them_all(tmp_path: Path) -> None:
    frames = clips.still(400, 32, 32)
    for name, audio in (
        ("silent.mkv", None),
        ("sound.mkv", "aac"),
        ("silent.ts", None),
        ("a.avi", None),
    ):
        clip = clips.write_clip(tmp_path / name, frames, audio=audio, args=["-g", "10"])
        info = FileSource(str(clip)).info
        assert info.frame_count == 400, name
        assert info.duration == pytest.approx(16), name


@pytest.mark.slow
def test_cut_that_hides_frames_is_counted_as_shown(
    tmp_path: Path, pan_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = tmp_path / "cut.mp4"
    clips.ffmpeg("-ss", "0.5", "-i", pan_clip, "-c", "copy", clip)  # an edit list hides the start
    frames = read(clip)
    assert len(frames) == len(clips.timestamps(clip)) == 17
    assert FileSource(str(clip)).info.frame_count == 17
    assert close_to(frames[0].image, clips.decoded(pan_clip)[13])
    assert not caplog.records


# Start


@pytest.mark.slow
@pytest.mark.parametrize(("start", "first"), [(0.0, 0), (0.04, 1), (0.5, 13), (1.16, 29)])
def test_start_skips_to_the_first_frame_at_or_after_it(
    pan_clip: Path, start: float, first: int
) -> None:
    frames, everything = read(pan_clip, start=start), read(pan_clip)
    assert [frame.index for frame in frames] == list(range(first, 30))
    assert seconds(frames) == seconds(everything)[first:]
    assert np.array_equal(frames[0].image, everything[first].image)


@pytest.mark.slow
def test_start_in_the_gap_of_a_variable_rate(variable_clip: Path) -> None:
    first = read(variable_clip, start=1.5)[0]
    assert (first.index, first.time, clips.number(first.image)) == (15, 2.6, 15)


@pytest.mark.slow
def test_start_after_the_end_is_an_error(face_clip: Path) -> None:
    with pytest.raises(SourceError, match=r"starts at 7 s, but its last frame is at 0\.360 s"):
        read(face_clip, start=7)


def test_negative_start_is_an_error(face_clip: Path) -> None:
    with pytest.raises(UsageError, match="start=-1: must not be negative"):
        FileSource(str(face_clip), start=-1)


@pytest.mark.slow
def test_stopping_early_is_no_damage(
    pan_clip: Path, truncated_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for clip in (pan_clip, truncated_clip):
        source = FileSource(str(clip))
        frames = source.frames()
        next(frames)
        frames.close()  # type: ignore[attr-defined]
        source.close()
    assert not caplog.records


# Bad input


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "claims"),
    [(".mp4", "30"), (".mkv", "30"), (".avi", r"\d+")],  # ffmpeg corrects what an AVI claims
)
def test_truncated_file_gives_what_decodes_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, claims: str
) -> None:
    whole = clips.write_clip(tmp_path / f"whole{suffix}", clips.pan(), args=["-g", "3"])
    clip = clips.truncate(tmp_path / f"cut{suffix}", whole)
    frames = read(clip)
    assert 5 < len(frames) < 30
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert re.fullmatch(
        f"cut{suffix} is cut off or damaged: {len(frames)} of its {claims} frames could be read.*",
        record.getMessage(),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["face_clip", "variable_clip", "rotated_clip", "wma_clip", "ntsc_clip"]
)
def test_whole_files_bring_no_warning(
    name: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    read(request.getfixturevalue(name))
    assert not caplog.records


@pytest.mark.slow
def test_one_damaged_frame_is_not_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    args = ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "3"]
    clip = clips.write_clip(tmp_path / "bad_sector.avi", clips.numbered(30), args=args)
    data = bytearray(clip.read_bytes())
    movi = data.index(b"movi")
    tenth = [match.start() for match in re.finditer(b"00dc", data) if match.start() > movi][10] + 8
    data[tenth : tenth + 200] = bytes(200)
    clip.write_bytes(data)
    frames = read(clip)
    assert [clips.number(f.image) for f in frames] == [*range(10), *range(11, 30)]
    assert seconds(frames)[10] == pytest.approx(0.44), "the others keep their time"
    (said,) = caplog.messages
    assert said.startswith("bad_sector.avi is cut off or damaged: 29 of its 30 frames could be ")
    assert said.endswith("read; 1 packet could not be decoded")


@pytest.mark.slow
def test_a_recording_that_starts_between_key_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = clips.write_clip(
        tmp_path / "whole.ts", clips.numbered(40), args=["-g", "20", "-sc_threshold", "0"]
    )
    data = whole.read_bytes()
    clip = tmp_path / "segment.ts"
    clip.write_bytes(data[:564] + data[len(data) // 4 // 188 * 188 :])
    frames = read(clip)
    assert [clips.number(f.image) for f in frames] == list(range(20, 40))
    assert re.search(r"; \d+ packets before its first key frame cannot be decoded", caplog.text)


@pytest.mark.slow
def test_a_long_pause_is_not_the_end(tmp_path: Path) -> None:
    times = [Fraction(i, 25) + (100 if i >= 10 else 0) for i in range(20)]
    clip = clips.write_variable(
        tmp_path / "slides.mp4", clips.numbered(20), times, args=["-bf", "0"]
    )
    with_sound = tmp_path / "slides_with_sound.mp4"
    sound = ("-f", "lavfi", "-t", "102", "-i", "sine=440:r=8000", "-c:v", "copy", "-c:a", "aac")
    clips.ffmpeg("-i", clip, *sound, with_sound)
    assert seconds(read(with_sound)) == pytest.approx([float(t) for t in times], abs=1e-9)


@pytest.mark.slow
def test_frames_that_a_capture_card_dropped_leave_a_gap(tmp_path: Path) -> None:
    args = ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"]
    clip = clips.write_clip(tmp_path / "dropped.avi", clips.numbered(20), args=args)
    head, movi, body = clip.read_bytes().partition(b"movi")
    chunks = re.split(b"(?=00dc)", body.partition(b"idx1")[0])  # the index names the old places
    for i in range(5, 9):
        chunks[1 + i] = b"00dc" + bytes(4)
    clip.write_bytes(head + movi + b"".join(chunks))
    frames = read(clip)
    assert [clips.number(f.image) for f in frames] == [*range(5), *range(9, 20)]
    assert seconds(frames)[5] == pytest.approx(9 / 25)


def cut_off(path: Path) -> None:
    clips.write_clip(path, clips.still(5))
    path.write_bytes(path.read_bytes()[:3000])


def sound_only(path: Path) -> None:
    clips.ffmpeg("-f", "lavfi", "-i", "sine=duration=1", path)


def no_frames(path: Path) -> None:
    clips.write_clip(path, clips.still(5), args=["-frames:v", "0"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Path.is_file, "no such file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("Dear diary,\n" * 100), "is not a video"),
        (lambda path: path.mkdir(), "is a folder, not a video"),
        (cut_off, "is cut off: its index .* was never written"),
        (sound_only, "has sound, but no pictures"),
        (no_frames, "has no frames"),
    ],
    ids=["missing", "empty", "text", "folder", "cut off", "sound only", "no frames"],
)
def test_what_is_no_video_is_one_clear_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], make: object, says: str
) -> None:
    path = tmp_path / "bad.mp4"
    make(path)  # type: ignore[operator]
    with pytest.raises(SourceError, match=f"^{path}: {says}") as error:
        FileSource(str(path))
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""  # nothing from ffmpeg or OpenCV beside it


@pytest.mark.slow
def test_damaged_frames_print_nothing(
    truncated_clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    read(truncated_clip)
    assert capfd.readouterr().err == ""


# Names


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a:b.mp4", "-i.mp4", "100%03d.mp4", "mein Film ü.mp4", "noend"])
def test_odd_names_are_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face_clip: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(face_clip.read_bytes())
    assert FileSource.matches(name)
    assert len(read(Path(name))) == 10


@pytest.mark.slow
def test_a_name_that_is_not_utf8_is_a_name(tmp_path: Path, face_clip: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    path.write_bytes(face_clip.read_bytes())
    assert len(read(path)) == 10


def test_matches(tmp_path: Path, face_clip: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    assert FileSource.matches(str(face_clip))
    assert FileSource.matches("missing.mp4")  # so that the error is "no such file"
    assert not FileSource.matches("missing")
    assert not FileSource.matches(str(tmp_path))
    assert not FileSource.matches(str(tmp_path / "photo.jpg"))
    assert not FileSource.matches("http://host/film.mp4")
