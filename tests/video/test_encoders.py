"""The encoder that is chosen works here; one that does not is said, with what does."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from facereg.components import Run
from facereg.errors import MediaError, SinkError, UsageError
from facereg.sinks.mp4 import Mp4Sink
from facereg.video import encoders
from facereg.video.encoders import Quality, Shape, check_codec, choose_encoder
from facereg.video.formats import FORMATS, MP4
from tests import clips
from tests.sinks.results import feed, info, picture

SHAPE = Shape(160, 120, Fraction(25))

#: What an ffmpeg could list that has no encoder for HEVC and AV1.
FEW = {"libx264": "h264", "h264_nvenc": "h264", "libvpx-vp9": "vp9", "ffv1": "ffv1"}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_listed", lambda: FEW)


def record(path: Path, **options: object) -> Mp4Sink:
    frames = [picture(p, i, i / 25) for i, p in enumerate(clips.numbered(12))]
    sink = Mp4Sink(path=path, view="raw", **options)  # type: ignore[arg-type]
    feed(sink, info(), frames)
    assert [clips.number(image) for image in clips.decoded(path)] == list(range(12))
    return sink


def test_the_default_is_h264_of_a_known_quality() -> None:
    chosen = choose_encoder(Quality(), SHAPE, MP4)
    assert list(chosen.arguments[:4]) == ["-c:v", "libx264", "-crf", "18"]


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_every_codec_that_is_offered_works(tmp_path: Path, codec: str) -> None:
    if not encoders.working_encoders()[codec]:
        pytest.skip(f"this ffmpeg has no {codec} encoder")
    sink = record(tmp_path / "out.mp4", codec=codec, preset="veryfast")
    assert sink.report["codec"] == codec


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codec"), [("libopenh264", "h264"), ("mpeg4", "mpeg4"), ("libx264rgb", "h264")]
)
def test_any_encoder_of_ffmpeg_is_chosen_by_its_name(tmp_path: Path, name: str, codec: str) -> None:
    if name not in encoders._listed():
        pytest.skip(f"this ffmpeg has no {name}")
    assert record(tmp_path / "out.mp4", codec=name).report["codec"] == codec


def test_an_encoder_that_does_not_work_here_says_what_does() -> None:
    if "h264_nvenc" not in encoders._listed() or "h264_nvenc" in encoders._working("h264"):
        pytest.skip("this machine's graphics card encodes H.264, or ffmpeg does not know it")
    with pytest.raises(MediaError, match=r"h264_nvenc.* available here: h264 \(libx264\)"):
        choose_encoder(Quality("h264_nvenc"), SHAPE, MP4)


@pytest.mark.usefixtures("few")
def test_an_encoder_that_fails_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def attempt(name: str, *_: object) -> str | None:
        return None if name == "h264_nvenc" else "broken"

    monkeypatch.setattr(encoders, "_try", attempt)
    chosen = choose_encoder(Quality("h264"), SHAPE, MP4)
    assert chosen.arguments == ("-c:v", "h264_nvenc", "-b:v", "96000")


@pytest.mark.usefixtures("few")
def test_a_codec_without_encoder_says_what_there_is(tmp_path: Path) -> None:
    sink = Mp4Sink(path=tmp_path / "out.mp4", codec="av1")
    with pytest.raises(SinkError, match=r"codec=av1: .* available here: h264 \(libx264\), vp9"):
        sink.open(info(), Run())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("name", "message"),
    [("h265", r"codec=h265: no such codec or encoder; did you mean .*h264"),
     ("libx246", r"did you mean libx264")],
)  # fmt: skip
def test_a_misspelt_codec_is_a_wrong_option(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_codec(name)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".mov", ".mkv", ".webm"])
def test_every_container_gets_a_codec_that_it_holds(tmp_path: Path, ending: str) -> None:
    sink = record(tmp_path / f"out{ending}")
    assert sink.report["codec"] == FORMATS[ending].codecs[0]
    assert clips.probe(tmp_path / f"out{ending}").rate == pytest.approx(25, rel=1e-3)


@pytest.mark.slow
def test_a_codec_that_a_container_cannot_hold_is_said_before_anything_is_encoded() -> None:
    with pytest.raises(MediaError, match=r"codec=h264 at 160x120 in WebM: libx264: .*[Vv][Pp]8"):
        choose_encoder(Quality("h264"), SHAPE, FORMATS[".webm"])


def test_a_better_crf_makes_a_better_picture(tmp_path: Path) -> None:
    sizes = {}
    for crf in (5, 35):
        frames = [picture(p, i, i / 25) for i, p in enumerate(clips.still(4))]
        feed(Mp4Sink(path=tmp_path / f"{crf}.mp4", crf=crf), info(320, 240), frames)
        sizes[crf] = (tmp_path / f"{crf}.mp4").stat().st_size
    assert sizes[5] > 2 * sizes[35]


@pytest.mark.parametrize("crf", [-1, 52])
def test_a_crf_out_of_range_is_refused(tmp_path: Path, crf: int) -> None:
    with pytest.raises(UsageError, match="crf"):
        Mp4Sink(path=tmp_path / "out.mp4", crf=crf)
