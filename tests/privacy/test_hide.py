"""What blur, pixelate and fill leave of a face: nothing that tells who it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from facereg import Box, Detection, Face, Frame, FrameResult, RegionMasks, UsageError
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings
from facereg.privacy.outline import hidden_areas
from facereg.regions import IDS, class_ids
from facereg.testing import MemorySource, ScriptedDetector
from facereg.types import Labels
from facereg.views import view

HIDING = ("blur", "pixelate", "fill")
FACE = class_ids(["face"])


def noise(height: int = 240, width: int = 320) -> Frame:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Frame(pixels)


def a_face(box: Box, labels: Labels | None, number: int = 1, at: Box | None = None) -> Face:
    regions = None if labels is None else RegionMasks(at or box, labels)
    return Face(number, Detection(box, 0.9), regions)


def changed(spec: str, result: FrameResult) -> np.ndarray:
    return (view(spec)(result) != result.frame.image).any(2)


def skin(box: Box) -> Labels:
    return np.full((box.height, box.width), IDS["skin"], np.uint8)


@pytest.fixture
def masked() -> FrameResult:
    """A face whose lower half is behind a mask, and whose eyes are behind glasses."""
    box = Box(100, 60, 180, 160)
    labels = np.zeros((100, 80), np.uint8)
    labels[10:50, 15:65] = IDS["skin"]
    labels[25:40, 5:75] = IDS["glasses"]
    return FrameResult(noise(), (a_face(box, labels),))


@pytest.mark.parametrize("name", HIDING)
def test_glasses_and_what_is_behind_a_mask_are_hidden(name: str, masked: FrameResult) -> None:
    hidden = changed(f"{name}:face", masked)

    assert hidden[85:100, 105:175].mean() > 0.95  # the glasses
    assert hidden[110:150, 125:155].mean() > 0.95  # the mouth, behind the mask
    assert not hidden[:55].any() and not hidden[:, :95].any()


@pytest.mark.parametrize("name", HIDING)
def test_a_hand_before_the_face_leaves_no_hole(name: str) -> None:
    box = Box(100, 60, 180, 160)
    labels = skin(box)
    labels[40:70, 20:60] = 0  # a hand

    assert (
        changed(f"{name}:face", FrameResult(noise(), (a_face(box, labels),)))[
            100:130, 120:160
        ].mean()
        > 0.95
    )


@pytest.mark.parametrize("name", HIDING)
@pytest.mark.parametrize("labels", [None, np.zeros((100, 80), np.uint8)])
def test_a_face_that_was_not_segmented_is_hidden_by_its_box(
    name: str, labels: Labels | None
) -> None:
    result = FrameResult(noise(), (a_face(Box(100, 60, 180, 160), labels),))

    hidden = changed(f"{name}:face", result)

    assert hidden[60:160, 100:180].mean() > 0.95
    hidden[60:160, 100:180] = False
    assert not hidden.any()
    assert changed(f"{name}:eyes", result).any() == (labels is None)


@pytest.mark.parametrize("name", HIDING)
def test_a_frame_that_was_not_parsed_is_hidden_whole(name: str) -> None:
    frame = noise()
    result = FrameResult(frame, parsed=False)

    assert changed(f"{name}:eyes", result).mean() > 0.95
    assert changed(f"{name}:face,except=1", result).mean() > 0.95
    assert view(f"{name}:face")(result).astype(float).std() < frame.image.astype(float).std()


def test_a_frame_in_which_the_detector_failed_is_hidden_whole() -> None:
    images = [noise().image, noise().image]
    detector = ScriptedDetector({1: RuntimeError("out of memory")})
    settings = Settings(on_error="skip", detect_every=1)

    first, second = Processor(MemorySource(images), detector, None, (), settings).results()

    assert not changed("blur:face", first).any()
    assert changed("blur:face", second).mean() > 0.95


@pytest.mark.parametrize("margin", [0.1, 0.5])
def test_a_margin_reaches_farther_by_a_share_of_the_faces_width(margin: float) -> None:
    box = Box(120, 80, 160, 130)
    result = FrameResult(noise(), (a_face(box, skin(box)),))

    rows = np.flatnonzero(changed(f"fill:skin,margin={margin}", result).any(1))

    assert abs(80 - round(40 * margin) - int(rows[0])) <= 1
    assert abs(129 + round(40 * margin) - int(rows[-1])) <= 1


def test_a_face_half_out_of_the_frame_is_hidden_to_the_edge() -> None:
    box = Box(-40, 200, 40, 300)
    inside = box.clip(320, 240)
    result = FrameResult(noise(), (a_face(box, skin(inside), at=inside),))

    for name in HIDING:
        assert changed(f"{name}:face", result)[202:, :30].mean() > 0.95
        assert changed(f"{name}:face,margin=0.3", result)[202:, :30].mean() > 0.95


def colored(*boxes: Box) -> FrameResult:
    """Faces that are each of one colour: the first red, the second blue, the rest green."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[...] = (0, 255, 0)
    faces = []
    for number, box in enumerate(boxes, start=1):
        image[box.slices] = (0, 0, 255) if number == 1 else (255, 0, 0)
        around = box.grown(30).clip(320, 240)
        labels = np.zeros((around.height, around.width), np.uint8)
        labels[box.moved(-around.x0, -around.y0).slices] = IDS["skin"]
        faces.append(a_face(box, labels, number, around))
    return FrameResult(Frame(image), tuple(faces))


@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_no_colour_comes_from_the_background_or_from_a_neighbour(name: str) -> None:
    result = colored(Box(100, 60, 180, 160), Box(182, 60, 262, 160))

    picture = view(f"{name}:skin")(result)

    np.testing.assert_array_equal(picture, result.frame.image)


def test_no_pixel_is_hidden_twice_and_the_nearer_face_has_it() -> None:
    far, near = Box(100, 60, 180, 160), Box(150, 40, 260, 180)
    faces = a_face(far, skin(far), 1), a_face(near, skin(near), 2)
    first, second = hidden_areas(FrameResult(noise(), faces), FACE, 0.2)

    times = np.zeros((240, 320), int)
    for area in (first, second):
        times[area.box.slices] += area.mask != 0
    assert times.max() == 1
    assert second.mask[second.box.height // 2].all()


def cells(picture: np.ndarray) -> Iterator[int]:
    """Yield the widths of the runs of one colour in a row."""
    edges = np.flatnonzero((np.diff(picture.astype(int), axis=0) != 0).any(1)) + 1
    yield from np.diff([0, *edges, len(picture)])


@pytest.mark.parametrize("width", [24, 90, 301])
def test_pixelate_leaves_at_most_ten_cells_across_a_face(width: int) -> None:
    box = Box(10, 10, 10 + width, 10 + width)
    result = FrameResult(noise(400, 400), (a_face(box, skin(box)),))

    row = view("pixelate:skin")(result)[10 + width // 2, 10 : 10 + width]

    assert len(list(cells(row))) <= 10


@pytest.mark.parametrize("width", [48, 300])
def test_blur_is_at_least_a_sixth_of_the_face_wide(width: int) -> None:
    """An edge is spread as far as a Gaussian of that deviation spreads it."""
    image = np.zeros((400, 400, 3), np.uint8)
    image[:, 200:] = 255
    box = Box(200 - width // 2, 100, 200 + width // 2, 300)
    result = FrameResult(Frame(image), (a_face(box, skin(box)),))

    row = view("blur:skin")(result)[200, :, 0].astype(float) / 255

    slope = np.abs(np.diff(row[210 - width // 2 : 190 + width // 2])).max()
    steepest = 1.5 / (np.sqrt(2 * np.pi) * width / 6)  # the face's own edge makes it steeper
    assert 0 < slope < steepest


def test_fill_takes_a_colour() -> None:
    box = Box(100, 60, 180, 160)
    result = FrameResult(noise(), (a_face(box, skin(box)),))

    assert (view("fill:skin")(result)[box.slices] == 0).all()
    assert (view("fill:skin,color=#FF8000")(result)[box.slices] == (0, 128, 255)).all()
    for wrong in ("red", "#ff80", "#ff800g"):
        with pytest.raises(UsageError, match=r"must be a colour as #RRGGBB"):
            view(f"fill:skin,color={wrong}")


def test_except_leaves_a_person_out_and_hides_the_others() -> None:
    one, two = Box(20, 60, 100, 160), Box(180, 60, 260, 160)
    result = FrameResult(noise(), (a_face(one, skin(one), 1), a_face(two, skin(two), 2)))

    hidden = changed("fill:face,except=2", result)

    assert hidden[one.slices].mean() > 0.95 and not hidden[two.slices].any()
    assert not changed("fill:face,except=1+2", result).any()
    unsegmented = replace(result, faces=(a_face(one, None, 1), a_face(two, None, 2)))
    assert changed("fill:face,only=1", unsegmented)[one.slices].mean() > 0.95
