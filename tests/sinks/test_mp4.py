"""The pictures of a recording: every frame, at its time, in its size and colours."""

from __future__ import annotations

import logging
import subprocess
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from facereg.components import Run
from facereg.errors import FaceregError, SinkError
from facereg.sinks.mp4 import Mp4Sink
from facereg.sources.file import FileSource
from facereg.types import FrameResult
from tests import clips
from tests.sinks.results import feed, info, picture, result


def record(clip: Path, out: Path, **options) -> list[float]:
    """Record a clip as it is; return the times of its frames."""
    source = FileSource(str(clip))
    results = [FrameResult(frame) for frame in source.frames()]
    source.close()
    described = replace(source.info, media=str(clip))  # of a silent file, too
    feed(Mp4Sink(path=out, view="raw", **options), described, results)
    return [one.frame.time for one in results]


def numbers(path: Path) -> list[int]:
    return [clips.number(image) for image in clips.decoded(path)]


def banner(path: Path) -> str:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    text = subprocess.run(command, check=False, capture_output=True).stderr.decode()
    return next(line for line in text.splitlines() if "Video:" in line)


# Every frame, at its time


RATES = ["24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60", "120", "12.5"]


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_constant_rate_in_is_the_same_rate_out(tmp_path: Path, rate: str, ending: str):
    clip = clips.write_clip(tmp_path / f"clip.{ending}", clips.numbered(40), rate=rate)
    record(clip, tmp_path / "out.mp4")
    assert numbers(tmp_path / "out.mp4") == list(range(40))
    times = clips.timestamps(tmp_path / "out.mp4")
    assert times == [i / Fraction(rate) for i in range(40)]


def test_millisecond_timestamps_cost_no_frame_at_high_rates(tmp_path: Path):
    times = [round(i / 500, 3) + 0.0004 * (-1) ** i for i in range(60)]
    sink = Mp4Sink(path=tmp_path / "out.mp4", view="raw")
    feed(sink, info(rate="500"), [picture(p, i, times[i])
                                  for i, p in enumerate(clips.numbered(60))])  # fmt: skip
    assert numbers(tmp_path / "out.mp4") == list(range(60))


@pytest.mark.slow
def test_a_variable_rate_recording_is_true_to_time(variable_clip: Path, tmp_path: Path):
    times = record(variable_clip, tmp_path / "out.mp4")
    shown = numbers(tmp_path / "out.mp4")
    slot = clips.timestamps(tmp_path / "out.mp4")[1]
    for i, number in enumerate(shown):
        first = times[number]
        last = times[number + 1] if number + 1 < len(times) else times[-1] + 0.1
        assert first - slot < i * slot < last + slot, f"slot {i} shows frame {number}"
    assert len(shown) * slot == pytest.approx(times[-1] + 0.1, abs=float(slot))
    assert sorted(set(shown)) == list(range(len(times))), "a frame was lost"


@pytest.mark.slow
def test_no_frame_of_a_variable_rate_is_lost_where_it_is_faster_than_its_mean(tmp_path: Path):
    times = [Fraction(40 * i, 1000) for i in range(20)]
    times += [times[-1] + Fraction(60 * i, 1000) for i in range(1, 21)]
    clip = clips.write_variable(tmp_path / "clip.mp4", clips.numbered(40), times)
    record(clip, tmp_path / "out.mp4")
    shown = numbers(tmp_path / "out.mp4")
    assert sorted(set(shown)) == list(range(40))
    assert clips.probe(tmp_path / "out.mp4").rate == 25
    for i, number in enumerate(shown):
        assert times[number] - Fraction(1, 25) < Fraction(i, 25)
        assert number == 39 or Fraction(i, 25) < times[number + 1] + Fraction(1, 25)


@pytest.mark.slow
def test_the_last_frame_of_a_variable_rate_file_is_held_to_its_end(tmp_path: Path):
    times = [Fraction(ms, 1000) for ms in (0, 40, 80, 120, 160, 200, 900, 940)]
    silent = clips.write_variable(tmp_path / "silent.mkv", clips.numbered(8), times)
    # The sound makes the file longer than its pictures; the last picture lasts 40 ms.
    clip = tmp_path / "clip.mkv"
    clips.ffmpeg("-i", silent, "-f", "lavfi", "-i", "sine=d=3", "-c:v", "copy", clip)
    record(clip, tmp_path / "out.mp4")
    assert clips.probe(tmp_path / "out.mp4").frames == pytest.approx(0.98 * 25, abs=1)


def test_a_live_source_with_pauses_is_true_to_time(tmp_path: Path):
    start = time.monotonic() - 1000  # a clock of its own: the sink does not go on to now
    times = [start + t for t in (0, 0.03, 0.07, 0.5, 0.52, 0.55, 1.2)]
    frames = [picture(p, i, times[i]) for i, p in enumerate(clips.numbered(7))]
    feed(Mp4Sink(path=tmp_path / "out.mp4", view="raw"), info(rate=None, live=True), frames)
    shown = numbers(tmp_path / "out.mp4")
    assert len(shown) == pytest.approx(1.2 * 30 + 1, abs=1)
    assert shown[8] == 2, "the picture before a pause is held"
    assert shown[-1] == 6


def test_a_jump_of_the_source_clock_is_closed_up(tmp_path: Path):
    times = [0, 0.04, 0.08, 95443.8, 95443.84, 95443.88]
    frames = [picture(p, i, times[i]) for i, p in enumerate(clips.numbered(6))]
    feed(Mp4Sink(path=tmp_path / "out.mp4", view="raw"), info(duration=0.24), frames)
    assert numbers(tmp_path / "out.mp4") == list(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mov", "avi", "webm", "ts"])
def test_every_container_gives_every_frame(tmp_path: Path, ending: str):
    args = {
        "webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
        "avi": ["-c:v", "mpeg4", "-q:v", "3"],
    }.get(ending, [])
    clip = clips.write_clip(tmp_path / f"clip.{ending}", clips.numbered(30), args=args)
    record(clip, tmp_path / "out.mp4")
    assert numbers(tmp_path / "out.mp4") == list(range(30))
    assert clips.probe(tmp_path / "out.mp4").rate == 25


# Shapes and colours


@pytest.mark.slow
@pytest.mark.parametrize("size", [(321, 240), (320, 241), (321, 241), (1, 1), (2, 2)])
def test_an_odd_size_is_padded_by_one_and_said(
    tmp_path: Path, size: tuple[int, int], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    frames = [picture(np.full((size[1], size[0], 3), 90, np.uint8), i, i / 25) for i in range(3)]
    feed(Mp4Sink(path=tmp_path / "out.mp4"), info(*size), frames)
    found = clips.probe(tmp_path / "out.mp4")
    assert (found.width, found.height) == tuple(side + side % 2 for side in size)
    edge = clips.decoded(tmp_path / "out.mp4")[0][-1, -1].astype(int)
    assert np.abs(edge - 90).max() <= 3, "the padding is not the edge's colour"
    assert ("odd" in caplog.text) == (size != (2, 2))


@pytest.mark.slow
@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_turned_file_comes_out_upright(tmp_path: Path, clockwise: int):
    clip = clips.write_rotated(tmp_path / "clip.mp4", clips.still(6, 240, 320), clockwise=clockwise)
    record(clip, tmp_path / "out.mp4")
    found = clips.probe(tmp_path / "out.mp4")
    assert (found.width, found.height, found.rotation) == (240, 320, 0)
    error = clips.decoded(tmp_path / "out.mp4")[2].astype(int) - clips.still(1, 240, 320)[0]
    assert np.abs(error).mean() < 6


@pytest.mark.slow
@pytest.mark.parametrize("clockwise", [0, 90])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, clockwise: int):
    clip = clips.write_clip(tmp_path / "wide.mp4", clips.still(5), audio="aac",
                            args=["-vf", "setsar=4/3"])  # fmt: skip
    if clockwise:
        turned = tmp_path / "turned.mp4"
        clips.ffmpeg("-display_rotation", str(-clockwise), "-i", clip, "-c", "copy", turned)
        clip = turned
    record(clip, tmp_path / "out.mp4")
    assert ("SAR 3:4" if clockwise else "SAR 4:3") in banner(tmp_path / "out.mp4")


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [
        ["-pix_fmt", "yuv420p10le"],
        ["-pix_fmt", "yuv444p"],
        ["-vf", "scale=out_range=pc", "-pix_fmt", "yuvj420p"],
        ["-vf", "format=gray"],
    ],
    ids=["10 bit", "4:4:4", "full range", "gray"],
)
def test_every_kind_of_pixel_becomes_plain_h264(tmp_path: Path, args: list[str]):
    clip = clips.write_clip(tmp_path / "clip.mp4", clips.still(5), args=args)
    record(clip, tmp_path / "out.mp4")
    found = clips.probe(tmp_path / "out.mp4")
    assert (found.frames, found.codec, found.pixel_format) == (5, "h264", "yuv420p")
    wanted = clips.still(1)[0].astype(int)
    if "gray" in args[-1]:
        wanted = wanted.mean(axis=2, keepdims=True)
    assert np.abs(clips.decoded(tmp_path / "out.mp4")[2] - wanted).mean() < 8


BARS = [(255, 255, 255), (0, 255, 255), (255, 255, 0), (0, 255, 0), (255, 0, 255), (0, 0, 255),
        (255, 0, 0), (0, 0, 0), (128, 128, 128), (40, 90, 200)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("size", "tag"), [((640, 480), "smpte170m"), ((1280, 720), "bt709")])
def test_colours_survive(tmp_path: Path, size: tuple[int, int], tag: str):
    width = size[0] // len(BARS)
    bars = np.zeros((size[1], size[0], 3), np.uint8)
    for i, color in enumerate(BARS):
        bars[:, i * width : (i + 1) * width] = color
    feed(Mp4Sink(path=tmp_path / "out.mp4"), info(*size), [picture(bars, i, i / 25)
                                                           for i in range(3)])  # fmt: skip
    assert f"yuv420p(tv, {tag}, progressive)" in banner(tmp_path / "out.mp4")
    source = FileSource(str(tmp_path / "out.mp4"))
    for image in (clips.decoded(tmp_path / "out.mp4")[1], next(source.frames()).image):
        for i, color in enumerate(BARS):
            inside = image[8:-8, i * width + 8 : (i + 1) * width - 8].astype(int)
            assert np.abs(inside - color).max() <= 3, color
    source.close()


def test_a_wider_view_makes_a_wider_video(tmp_path: Path):
    frames = [result(i) for i in range(6)]
    feed(Mp4Sink(path=tmp_path / "out.mp4", view="gallery"), info(), frames)
    found = clips.probe(tmp_path / "out.mp4")
    assert (found.width, found.height, found.frames) == (240, 120, 6)


def test_the_index_is_at_the_front(tmp_path: Path):
    feed(Mp4Sink(path=tmp_path / "out.mp4"), info(), [result(i) for i in range(5)])
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


# What is checked


@pytest.mark.slow
def test_the_report_tells_what_was_read_back(sound_clip: Path, tmp_path: Path):
    sink = Mp4Sink(path=tmp_path / "out.mp4")
    source = FileSource(str(sound_clip))
    feed(sink, source.info, [FrameResult(frame) for frame in source.frames()])
    source.close()
    assert sink.report == {
        "path": str(tmp_path / "out.mp4"), "frames": 25, "duration": 1.0, "rate": "25/1",
        "codec": "h264", "audio": ["aac"], "repeated": 0, "skipped": 0, "verified": True,
    }  # fmt: skip
    assert sink.outputs == (str(tmp_path / "out.mp4"),)
    assert sink.stages.keys() == {"draw", "encode"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.avi", "must end in .mp4, .mov, .mkv or .webm"),
        ("missing/out.mp4", "does not exist; create it first"),
        ("there.mp4", "there.mp4 exists; --overwrite replaces it"),
        ("folder.mp4", "is a folder"),
        ("there.mp4/out.mp4", "is not a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, message: str):
    (tmp_path / "there.mp4").write_text("precious")
    (tmp_path / "folder.mp4").mkdir()
    sink = Mp4Sink(path=tmp_path / name)
    with pytest.raises(FaceregError, match=message):
        sink.open(info(), Run())
    sink.close()
    assert (tmp_path / "there.mp4").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 2


def test_overwriting_replaces_only_when_complete(tmp_path: Path):
    out = tmp_path / "out.mp4"
    out.write_text("old")
    sink = Mp4Sink(path=out, overwrite=True)
    sink.open(info(), Run())
    for i in range(5):
        sink.write(result(i))
    assert out.read_text() == "old"
    sink.close()
    assert clips.probe(out).frames == 5
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_the_source_is_never_overwritten(sound_clip: Path, tmp_path: Path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(sound_clip.read_bytes())
    with pytest.raises(SinkError, match="is the source itself"):
        record(clip, clip, overwrite=True)


def test_images_of_different_sizes_are_refused_by_name(tmp_path: Path):
    with pytest.raises(SinkError, match=r"b.png is 9x7 and the first image is 160x120"):
        Mp4Sink(path=tmp_path / "out.mp4").open(info(sizes_vary=("b.png", 9, 7)), Run())
    assert list(tmp_path.iterdir()) == []


def test_frames_that_change_size_end_it_and_keep_what_was_recorded(tmp_path: Path):
    sink = Mp4Sink(path=tmp_path / "out.mp4")
    sink.open(info(), Run())
    for i in range(4):
        sink.write(result(i))
    with pytest.raises(SinkError, match=r"frame 4 is 80x60, and those before are 160x120"):
        sink.write(result(4, size=(80, 60), faces=0))
    sink.close()
    kept = list(tmp_path.iterdir())
    assert [p.name for p in kept] == [".out.part.mp4"]
    assert clips.probe(kept[0]).frames == 4


def test_no_frame_leaves_no_file_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    sink = Mp4Sink(path=tmp_path / "out.mp4")
    feed(sink, info(), [])
    assert list(tmp_path.iterdir()) == []
    assert "no frame came" in caplog.text
    assert sink.outputs == ()


@pytest.mark.slow
def test_a_name_that_looks_like_an_option_or_a_protocol_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("-y.mp4", "a:b.mp4", "100%d.mp4", "ein Gruß.mp4"):
        feed(Mp4Sink(path=Path(name)), info(), [result(i) for i in range(3)])
        assert clips.probe(tmp_path / name).frames == 3


# Other runs, other people's links, long names


def test_two_runs_do_not_write_one_video(tmp_path: Path):
    first, second = (Mp4Sink(path=tmp_path / "out.mp4", overwrite=True) for _ in range(2))
    first.open(info(), Run())
    with pytest.raises(SinkError, match="another run"):
        second.open(info(), Run())
    second.close()
    for i in range(3):
        first.write(result(i))
    first.close()
    assert clips.probe(tmp_path / "out.mp4").frames == 3


def test_planted_links_are_not_written_through(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    for name in (".out.complete.mp4", ".out.part.mp4", ".out.part2.mp4"):
        (out / name).symlink_to(victim)
    feed(Mp4Sink(path=out / "out.mp4"), info(), [result(i) for i in range(3)])
    assert victim.read_text() == "precious"
    assert not (out / "out.mp4").is_symlink()
    assert clips.probe(out / "out.mp4").frames == 3


def test_a_name_of_250_bytes_is_written(tmp_path: Path):
    name = "ä" * 123 + ".mp4"
    feed(Mp4Sink(path=tmp_path / name), info(), [result(i) for i in range(3)])
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert clips.probe(tmp_path / name).frames == 3
