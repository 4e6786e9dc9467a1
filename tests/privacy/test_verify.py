"""What counts as a face that can still be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

from facereg import Box, Detection, Detector, Face, Frame, FrameResult, PluginError
from facereg.privacy.verify import MIN_DETAIL, Result, Search, measure_detail, verify
from facereg.types import Image
from facereg.views import view
from tests import clips

FACE = Box(*clips.FACE)


class Told(Detector):
    """Answers with what a function says of the picture."""

    name = "told"

    def __init__(self, answer: Callable[[Frame], Sequence[Detection]]) -> None:
        self.detect = answer  # type: ignore[method-assign]

    def detect(self, frame: Frame) -> Sequence[Detection]:
        raise NotImplementedError


def always(box: Box, score: float) -> Detector:
    return Told(lambda _: [Detection(box, score)])


def frames(*images: Image) -> list[Frame]:
    return [Frame(image.copy(), i, i / 25) for i, image in enumerate(images)]


def redacted(spec: str, box: Box = FACE) -> Image:
    result = FrameResult(Frame(clips.astronaut()), (Face(1, Detection(box, 1.0)),))
    picture = view(spec)(result)
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0, 3.0])
def test_a_face_that_is_not_hidden_is_left(scale: float) -> None:
    image = np.asarray(cv2.resize(clips.astronaut(), None, fx=scale, fy=scale), np.uint8)
    box = Box(*(round(scale * side) for side in FACE))

    result = verify(frames(image), [Search("told", always(box, 0.95), 0.9)])

    (face,) = result.faces
    assert (face.index, face.box, face.searches) == (0, box, ("told",))


@pytest.mark.parametrize(
    "spec", ["blur:face", "pixelate:face", "fill:face", "fill:face,color=#c0a090"]
)
def test_a_face_that_is_hidden_is_not_left(spec: str) -> None:
    image = redacted(spec)
    search = Search("told", always(FACE, 0.99), 0.9)

    result = verify(frames(image), [search])
    against = verify(frames(image), [search], frames(clips.astronaut()))

    assert (result.faces, result.hidden) == ([], 1)
    assert (against.faces, against.hidden) == ([], 1)
    assert measure_detail(image, FACE) < MIN_DETAIL < measure_detail(clips.astronaut(), FACE)


def test_a_blurred_face_of_the_original_is_left_if_nothing_changed_it() -> None:
    soft = np.asarray(cv2.GaussianBlur(clips.astronaut(), (0, 0), 12), np.uint8)
    search = Search("told", always(FACE, 0.95), 0.9)

    assert not verify(frames(soft), [search]).faces
    assert verify(frames(soft), [search], frames(soft)).faces


def test_a_weak_find_needs_another_detector() -> None:
    image = clips.astronaut()
    near = Box(FACE.x0 + 5, FACE.y0 + 5, FACE.x1 + 5, FACE.y1 + 5)
    one, other = Search("one", always(FACE, 0.4), 0.9), Search("two", always(near, 0.3), 0.9)
    turned = Search("one turned", always(near, 0.3), 0.9)

    alone = verify(frames(image), [one, turned])
    both = verify(frames(image), [one, other])

    assert (alone.faces, alone.weak) == ([], 1)
    assert [face.searches for face in both.faces] == [("one", "two")]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("zoom", [1, 2])
def test_a_turned_and_enlarged_frame_gives_boxes_of_the_frame(turns: int, zoom: int) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[20:30, 70:90] = 255

    def bright(frame: Frame) -> list[Detection]:
        x, y, width, height = cv2.boundingRect((frame.image[:, :, 0] > 127).view(np.uint8))
        return [Detection(Box(x, y, x + width, y + height), 1.0)]

    search = Search("told", Told(bright), 0.9, turns, zoom)
    (find,) = search.find(Frame(image))

    assert find.box.iou(Box(70, 20, 90, 30)) > 0.9


def test_finds_are_gathered_into_spans_of_time() -> None:
    image = np.hstack([clips.astronaut()] * 2)
    other = FACE.moved(512, 0)

    def answer(frame: Frame) -> list[Detection]:
        seen = [Detection(FACE, 0.95)] if frame.index not in (5, 30, 31, 32) else []
        return seen + ([Detection(other, 0.92)] if frame.index == 3 else [])

    result = verify(
        [Frame(image, i, i / 10 + (5 if i > 29 else 0)) for i in range(36)],
        [Search("told", Told(answer), 0.9)],
    )

    found = [(span.faces[0].index, len(span.faces)) for span in result.spans()]
    assert found == [(0, 29), (3, 1), (33, 3)]
    first = result.spans()[0].as_json()
    assert (first["start"], first["end"], first["frames"]) == (0.0, 2.9, 29)
    assert first["box"] == list(FACE) and first["found_by"] == ["told"]


def test_the_share_of_changed_pixels_is_measured_against_the_original() -> None:
    nobody = Search("told", Told(lambda _: []), 0.9)
    image = clips.astronaut()
    half = image.copy()
    half[:256] = 255 - half[:256] // 2

    assert verify(frames(image), [nobody]).changed is None
    result = verify(frames(image, half), [nobody], frames(image, image))
    assert result.changed == pytest.approx(0.25, abs=0.01)


def test_originals_are_matched_by_time() -> None:
    """The redacted video has a frame for every two of the original."""
    colors = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(8)]
    originals = [Frame(color, i, i / 50) for i, color in enumerate(colors)]
    halved = [Frame(color.copy(), i, i / 25) for i, color in enumerate(colors[::2])]

    result = verify(halved, [Search("told", Told(lambda _: []), 0.9)], originals)

    assert result.changed == 0


def test_a_detector_that_fails_is_named() -> None:
    def fail(_: Frame) -> list[Detection]:
        raise RuntimeError("out of memory")

    with pytest.raises(
        PluginError, match=r"detector told .*, frame 0: RuntimeError: out of memory"
    ):
        verify(frames(clips.astronaut()), [Search("told", Told(fail), 0.9)])


def test_nothing_found_is_no_span() -> None:
    assert Result().spans() == []
