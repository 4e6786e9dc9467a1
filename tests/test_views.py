from __future__ import annotations

import numpy as np
import pytest

from facereg import Box, Detection, Face, Frame, FrameResult, RegionMasks, UsageError
from facereg.regions import IDS
from facereg.views import PALETTE, view
from tests import clips


@pytest.fixture(scope="module")
def result() -> FrameResult:
    """The astronaut with a drawn mask: eyes, lips and hair where they are about."""
    frame = Frame(clips.astronaut())
    box = Box(120, 0, 320, 240)
    labels = np.zeros((240, 200), np.uint8)
    labels[10:60, 40:160] = IDS["hair"]
    labels[100:112, 70:90] = IDS["right_eye"]
    labels[100:112, 110:130] = IDS["left_eye"]
    labels[150:160, 80:120] = IDS["lower_lip"]
    face = Face(7, Detection(Box(170, 60, 270, 190), 0.99), RegionMasks(box, labels))
    return FrameResult(frame, (face,))


def test_overlay_colours_regions_and_leaves_the_rest(result: FrameResult) -> None:
    picture, image = view("overlay")(result), result.frame.image
    changed = (picture != image).any(2)
    assert changed[10:60, 160:280].mean() > 0.95  # the hair
    assert not changed[300:].any()
    toward = PALETTE[IDS["hair"]].astype(int) - image[30, 200]
    moved = picture[30, 200].astype(int) - image[30, 200]
    assert np.abs(moved - 0.55 * toward).max() <= 2


def test_isolated_shows_the_region_alone(result: FrameResult) -> None:
    picture = view("isolated:eyes")(result)
    shown = picture.any(2)
    eyes = np.zeros_like(shown)
    eyes[100:112, 190:210] = eyes[100:112, 230:250] = True
    assert not shown[~eyes].any()
    np.testing.assert_array_equal(picture[eyes], result.frame.image[eyes])


@pytest.mark.parametrize("spec", ["blur:hair", "pixelate:hair"])
def test_effects_change_the_region_alone(result: FrameResult, spec: str) -> None:
    picture, image = view(spec)(result), result.frame.image
    hair = result.labels() == IDS["hair"]
    np.testing.assert_array_equal(picture[~hair], image[~hair])
    before, after = image[hair].astype(int), picture[hair].astype(int)
    assert np.abs(before - after).mean() > 3
    assert after.std() < before.std()


def test_gallery_has_the_frame_and_each_faces_map_beside_it(result: FrameResult) -> None:
    picture = view("gallery")(result)
    assert picture.shape == (512, 768, 3)
    panel = picture[:, 512:].reshape(-1, 3)
    assert (panel == PALETTE[IDS["hair"]]).all(1).any()
    assert (panel == PALETTE[IDS["lower_lip"]]).all(1).any()


def test_views_keep_one_size_with_and_without_faces(result: FrameResult) -> None:
    empty = FrameResult(result.frame)
    for spec in ("overlay", "gallery", "face", "raw", "isolated:lips", "blur:face"):
        assert view(spec)(empty).shape == view(spec)(result).shape


@pytest.mark.parametrize("spec", ["overlay", "raw", "blur:face", "pixelate:head", "gallery"])
def test_a_frame_without_faces_passes_unchanged(spec: str, result: FrameResult) -> None:
    picture = view(spec)(FrameResult(result.frame))
    np.testing.assert_array_equal(picture[:, :512], result.frame.image)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("overlya", "did you mean overlay"),
        ("isolated:nostril", "unknown region 'nostril'"),
        ("isolated", "needs regions"),
        ("raw:eyes", "takes no regions"),
        ("blur:eyes,only=x", "only=x: must be a whole number"),
        ("blur:eyes,only=1,except=2", "takes only= or except=, not both"),
        ("blur:eyes,size=3", "no option 'size'"),
    ],
)
def test_a_wrong_view_says_what_is_right(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        view(spec)


def two_overlapping() -> FrameResult:
    """Two faces; the nearer one, 1, covers a part of 2."""
    frame = Frame(clips.astronaut())
    faces = []
    for number, box in ((1, Box(100, 100, 300, 300)), (2, Box(250, 150, 400, 300))):
        labels = np.full((box.height, box.width), IDS["skin"], np.uint8)
        faces.append(Face(number, Detection(box, 0.9), RegionMasks(box, labels)))
    return FrameResult(frame, tuple(faces))


def test_a_view_is_drawn_for_the_chosen_faces_alone() -> None:
    result = two_overlapping()
    mine = np.zeros((512, 512), bool)
    mine[150:300, 300:400] = True  # of face 2; what face 1 covers is not its own

    for spec in ("isolated:face,only=2", "isolated:face,except=1", "isolated:face,except=1+9"):
        assert (view(spec)(result).any(2) <= mine).all()
    np.testing.assert_array_equal(view("blur:face,only=9")(result), result.frame.image)
    both = view("isolated:face,only=1+2")(result)
    np.testing.assert_array_equal(both, view("isolated:face")(result))


def test_recolor_changes_the_colour_and_keeps_light_and_shade(result: FrameResult) -> None:
    picture, image = view("recolor:hair,color=#a03020")(result), result.frame.image
    hair = result.labels() == IDS["hair"]

    np.testing.assert_array_equal(picture[~hair], image[~hair])
    blue, green, red = picture[hair].mean(0)
    assert red > green > blue
    before, after = (p[hair].astype(float).mean(1) for p in (image, picture))
    assert np.corrcoef(before, after)[0, 1] > 0.9
    with pytest.raises(UsageError, match="view recolor: needs the option color="):
        view("recolor:hair")


def test_a_margin_shows_more_of_a_region(result: FrameResult) -> None:
    tight, wide = (
        view(spec)(result).any(2) for spec in ("isolated:eyes", "isolated:eyes,margin=0.1")
    )
    assert (wide >= tight).all()
    assert wide[92:120, 182:218].mean() > 0.8


def test_a_legend_names_the_classes_in_their_colours(result: FrameResult) -> None:
    plain, picture = view("overlay")(result), view("overlay:legend=yes")(result)
    strip = picture[:, :160].reshape(-1, 3)

    for color in PALETTE[1:21]:
        assert (strip == color).all(1).any()
    np.testing.assert_array_equal(picture[:, 290:], plain[:, 290:])
    label = picture[40:66, 165:190].reshape(-1, 3)  # the id: dark on a bright label
    assert (label.min(1) > 60).any() and (label.max(1) < 60).any()


@pytest.mark.parametrize("size", [(32, 24), (24, 640), (2, 2)])
def test_a_legend_fits_into_any_frame(size: tuple[int, int]) -> None:
    frame = Frame(np.zeros((*size, 3), np.uint8))
    assert view("overlay:legend=yes")(FrameResult(frame)).shape == frame.image.shape
