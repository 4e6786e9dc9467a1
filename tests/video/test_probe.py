"""What ffmpeg says of a file, packet by packet, and of the video that sources read from it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from facereg.errors import MediaError
from facereg.video import probe
from tests import clips


def test_the_streams_of_a_file_with_sound(sound_clip: Path) -> None:
    picture, track = probe.read_streams(sound_clip)
    assert (picture.kind, picture.codec, picture.packets, picture.duration) == (
        "video", "h264", 25, 1,
    )  # fmt: skip
    assert (track.kind, track.codec, track.layout, track.in_band) == (
        "audio", "aac", "mono", False,
    )  # fmt: skip
    assert float(track.end) == pytest.approx(1, abs=0.05)


def test_headers_alone_have_no_packets(sound_clip: Path) -> None:
    assert [s.packets for s in probe.read_streams(sound_clip, headers_only=True)] == [0, 0]


def test_the_time_of_the_first_picture_is_on_the_files_own_clock(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "clip.ts", clips.numbered(5))
    assert probe.first_picture_time(clip) > 1, "a transport stream does not start at 0"
    assert probe.first_picture_time(clip) == next(probe.picture_times(clip))[0]


def test_pictures_last_as_long_as_the_file_says(variable_clip: Path) -> None:
    times = [float(t) for t, _ in probe.picture_times(variable_clip)]
    assert sorted(times) == pytest.approx([float(t) for t in clips.JITTER])


@pytest.mark.parametrize("cover_first", [True, False])
def test_the_video_is_the_one_that_sources_read_and_not_a_cover(
    tmp_path: Path, ntsc_clip: Path, cover_first: bool
) -> None:
    cover = tmp_path / "cover.png"
    clips.ffmpeg("-f", "lavfi", "-i", "color=red:size=32x32", "-frames:v", "1", cover)
    clip = tmp_path / "clip.mp4"
    maps = ["-map", "1", "-map", "0"] if cover_first else ["-map", "0", "-map", "1"]
    place = "0" if cover_first else "1"
    clips.ffmpeg("-i", ntsc_clip, "-i", cover, *maps, "-c", "copy",
                 f"-disposition:v:{place}", "attached_pic", clip)  # fmt: skip
    assert probe.read_streams(clip)[0].packets == 48


def test_the_default_video_of_several_is_the_one(tmp_path: Path) -> None:
    small = clips.write_clip(tmp_path / "small.mkv", clips.numbered(5, 32, 32))
    large = clips.write_clip(tmp_path / "large.mkv", clips.numbered(9, 64, 64))
    both = tmp_path / "both.mkv"
    clips.ffmpeg("-i", small, "-i", large, "-map", "0", "-map", "1", "-c", "copy",
                 "-disposition:v:0", "0", "-disposition:v:1", "default", both)  # fmt: skip
    assert probe.read_streams(both)[0].packets == 9
    assert len(list(probe.picture_times(both))) == 9


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    sound = tmp_path / "sound.m4a"
    clips.ffmpeg("-f", "lavfi", "-i", "sine=d=1", sound)
    assert [s.kind for s in probe.read_streams(sound)] == ["audio"]
    with pytest.raises(MediaError, match="no pictures"):
        probe.first_picture_time(sound)


def test_seeking_starts_somewhat_before() -> None:
    assert probe.seek_arguments(Fraction(3)) == ()
    assert probe.seek_arguments(Fraction(60))[-1] == "55.000000"
