"""Mattes: soft, certain where the model is, and on the picture's own edges."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import facereg
from facereg import Box, Detection, Face, Frame, FrameResult, RegionMasks, SourceInfo
from facereg.components import draw_with_alpha
from facereg.matting import alpha, cut_out, guided_filter
from facereg.regions import class_ids
from facereg.sinks.images import ImagesSink
from facereg.sinks.mp4 import Mp4Sink
from facereg.video import encoders
from facereg.views import view
from tests import clips
from tests.sinks.results import feed, info

HAIR = class_ids(["hair"])


@pytest.fixture(scope="module")
def result() -> FrameResult:
    parsed = facereg.parse(clips.astronaut().copy())
    return FrameResult(parsed.frame, parsed.faces[:1])


def test_a_matte_is_soft_at_the_edge_and_certain_elsewhere(result: FrameResult) -> None:
    matte, labels = alpha(result, HAIR), result.labels() == HAIR[0]

    assert matte.dtype == np.float32
    assert 0 <= matte.min() <= matte.max() <= 1
    disc = np.ones((15, 15), np.uint8)
    inside = cv2.erode(labels.view(np.uint8), disc) > 0
    outside = cv2.dilate(labels.view(np.uint8), disc) == 0
    assert matte[inside].mean() > 0.97
    assert matte[outside].mean() < 0.01
    assert ((matte > 0.1) & (matte < 0.9)).sum() > 200


def test_hair_follows_an_edge_of_the_picture_that_the_model_misses_by_a_few_pixels() -> None:
    image = np.full((200, 200, 3), 220, np.uint8)
    image[:, 100:] = 30  # dark hair, from column 100 on
    x = np.arange(200, dtype=np.float32)
    slope = np.tile(1 / (1 + np.exp(-(x - 104) / 3)), (200, 1)).astype(np.float32)
    box = Box(0, 0, 200, 200)

    def soft(ids: tuple[int, ...]) -> np.ndarray:
        return slope if ids == HAIR else np.ones_like(slope) * np.float32(0 in ids)

    regions = RegionMasks(box, np.where(slope > 0.5, 10, 0).astype(np.uint8), soft)
    face = Face(1, Detection(Box(20, 20, 180, 180), 1.0), regions)

    matte = alpha(FrameResult(Frame(image), (face,)), HAIR)[100]

    assert abs(int(np.argmax(matte > 0.5)) - 100) <= 1  # and not 104
    assert matte[101] - matte[98] > 0.5 > slope[0, 101] - slope[0, 98]


def test_the_guided_filter_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(3)
    guide = rng.random((9, 11, 3), np.float32)
    values = rng.random((9, 11), np.float32)
    padded = np.pad(guide, ((2, 2), (2, 2), (0, 0)), "reflect")
    padded_values = np.pad(values, 2, "reflect")
    slopes, offsets = np.zeros((9, 11, 3)), np.zeros((9, 11))
    for y in range(9):
        for x in range(11):
            window = padded[y : y + 5, x : x + 5].reshape(-1, 3)
            here = padded_values[y : y + 5, x : x + 5].ravel()
            matrix = np.cov(window.T, bias=True) + 0.01 * np.eye(3)
            joint = (window * here[:, None]).mean(0) - window.mean(0) * here.mean()
            slopes[y, x] = np.linalg.solve(matrix, joint)
            offsets[y, x] = here.mean() - slopes[y, x] @ window.mean(0)
    mean = cv2.boxFilter(slopes, -1, (5, 5)), cv2.boxFilter(offsets, -1, (5, 5))
    expected = (mean[0] * guide).sum(2) + mean[1]

    found = guided_filter(guide, values, 2, 0.01)

    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_regions_of_labels_alone_have_a_matte_too(result: FrameResult) -> None:
    face = result.faces[0]
    assert face.regions is not None
    plain = Face(1, face.detection, RegionMasks(face.regions.box, face.regions.labels))

    hard = alpha(FrameResult(result.frame, (plain,)), HAIR)

    assert np.abs(hard - alpha(result, HAIR)).mean() < 0.01


def test_what_is_cut_away_cannot_be_seen_in_a_cut_out(result: FrameResult) -> None:
    picture = draw_with_alpha(view("matte:lips"), result)

    assert picture.shape == (512, 512, 4)
    far = cv2.dilate(picture[..., 3], np.ones((31, 31), np.uint8)) == 0
    assert far.mean() > 0.9
    assert not picture[far].any()
    there = picture[..., 3] > 0
    np.testing.assert_array_equal(picture[there][:, :3], result.frame.image[there])


def test_drawn_as_a_picture_it_is_black_and_white(result: FrameResult) -> None:
    picture = result.draw("matte:hair")

    assert picture.shape == result.frame.image.shape
    matte = cut_out(result.frame.image, alpha(result, HAIR))[..., 3]
    for channel in range(3):
        np.testing.assert_array_equal(picture[..., channel], matte)


def test_a_margin_makes_it_larger_and_only_chooses_faces(result: FrameResult) -> None:
    areas = [int((result.draw(f"matte:face{more}") > 127).sum())
             for more in ("", ",margin=0.2", ",except=1")]  # fmt: skip
    assert areas[1] > 1.2 * areas[0] > 0
    assert areas[2] == 0


def shots(result: FrameResult, count: int = 4) -> list[FrameResult]:
    return [FrameResult(Frame(result.frame.image, i, i / 25), result.faces) for i in range(count)]


SOURCE = info(512, 512)


def read_alpha(path: Path) -> list[np.ndarray]:
    """Decode with libvpx, as VP9's own decoder in ffmpeg drops alpha."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name != "vp9":
            return [frame.to_ndarray(format="bgra") for frame in container.decode(stream)]
        context = av.CodecContext.create("libvpx-vp9", "r")
        frames = [f for packet in container.demux(stream) for f in context.decode(packet)]
        return [frame.to_ndarray(format="bgra") for frame in frames]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codec", "tolerance"),
    [("out.mov", "auto", 2), ("out.webm", "auto", 6), ("out.mkv", "ffv1", 0),
     ("out.mkv", "prores4444", 2), ("out.mkv", "auto", 6), ("out.mov", "ffv1", 0)],
)  # fmt: skip
def test_a_video_holds_the_matte(
    tmp_path: Path, result: FrameResult, name: str, codec: str, tolerance: int
) -> None:
    known = codec if codec in encoders.CODECS else "prores4444" if name == "out.mov" else "vp9"
    if not encoders.working_encoders()[known]:
        pytest.skip(f"this ffmpeg has no {known} encoder")
    sink = Mp4Sink(path=tmp_path / name, view="matte:hair", codec=codec)
    feed(sink, SOURCE, shots(result))

    wanted = draw_with_alpha(view("matte:hair"), result)
    found = read_alpha(tmp_path / name)
    assert len(found) == 4
    for picture in found:
        difference = np.abs(picture[..., 3].astype(int) - wanted[..., 3])
        assert difference.mean() <= tolerance / 4
        assert np.percentile(difference, 99.5) <= 3 * tolerance
        inside = wanted[..., 3] == 255
        color = np.abs(picture[inside][:, :3].astype(int) - wanted[inside][:, :3])
        assert color.mean() <= 2 * tolerance


@pytest.mark.slow
def test_a_video_without_transparency_holds_it_in_black_and_white(
    tmp_path: Path, result: FrameResult, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    feed(Mp4Sink(path=tmp_path / "out.mp4", view="matte:hair"), SOURCE, shots(result))

    picture = clips.decoded(tmp_path / "out.mp4")[0]
    assert np.abs(picture.astype(int) - result.draw("matte:hair")).mean() < 2
    assert "holds no transparency" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(("codec", "kind"), [("prores", "prores"), ("ffv1", "ffv1")])
def test_studio_codecs_hold_any_view(
    tmp_path: Path, result: FrameResult, codec: str, kind: str
) -> None:
    if not encoders.working_encoders()[codec]:
        pytest.skip(f"this ffmpeg has no {codec} encoder")
    sink = Mp4Sink(path=tmp_path / "out.mkv", view="overlay", codec=codec)
    feed(sink, SOURCE, shots(result))

    assert sink.report["codec"] == kind
    with av.open(str(tmp_path / "out.mkv")) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="bgr24")
    difference = np.abs(picture.astype(int) - result.draw("overlay"))
    assert difference.max() == 0 if codec == "ffv1" else difference.mean() < 4


@pytest.mark.slow
def test_a_folder_gets_pngs_with_alpha(tmp_path: Path, result: FrameResult) -> None:
    named = FrameResult(Frame(result.frame.image, 1, name="shot.jpg"), result.faces)
    feed(ImagesSink(path=tmp_path / "out", view="matte:hair"), SOURCE, [result, named])

    wanted = draw_with_alpha(view("matte:hair"), result)
    for name in ("000000.png", "shot.jpg.png"):
        found = cv2.imread(str(tmp_path / "out" / name), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "channels"), [("out.webp", 4), ("out.jpg", 3)])
def test_a_photo_becomes_a_picture_that_holds_what_it_can(
    tmp_path: Path, result: FrameResult, name: str, channels: int
) -> None:
    one = SourceInfo("me.png", 512, 512, frame_count=1, stills=True)
    feed(ImagesSink(path=tmp_path / name, view="matte:hair"), one, [result])

    found = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)
    assert found.shape == (512, 512, channels)
