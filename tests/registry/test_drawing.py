"""Views are found by name, with regions and options, and checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facereg.cli import main
from facereg.errors import PluginError, UsageError
from facereg.registry.registry import Registry
from facereg.testing import some_result
from facereg.types import FrameResult, SourceInfo
from tests.sinks.results import feed

Write = Callable[..., Path]
Install = Callable[..., Path]


VIEWS = """
    import facereg

    def mine(result):
        return {picture}

    def tint(result, ids):
        picture = result.frame.image.copy()
        picture[...] = len(ids)
        return picture

    @facereg.hookimpl
    def register_views():
        return {{"mine": mine, "tint": tint}}
"""


@pytest.mark.slow
def test_a_view_of_a_plugin_is_drawn_by_every_picture_sink(
    write: Write, tmp_path: Path, face_clip: Path
) -> None:
    path = write(VIEWS.format(picture="255 - result.frame.image"))
    arguments = ["run", str(face_clip), "--plugin", str(path), "--view", "mine", "--quiet"]

    assert main([*arguments, "-o", str(tmp_path / "out.mp4")]) == 0

    assert (tmp_path / "out.mp4").is_file()
    result = some_result(0)
    assert np.array_equal(Registry([path]).view("mine")(result), 255 - result.frame.image)


def test_a_view_may_take_regions(write: Write) -> None:
    registry = Registry([write(VIEWS.format(picture="None"))])

    assert registry.view("tint:eyes+nose")(some_result(0)).max() == 3
    with pytest.raises(UsageError, match="'tint' needs regions"):
        registry.view("tint")
    with pytest.raises(UsageError, match="'mine' takes no regions"):
        registry.view("mine:eyes")


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("None", r"drew None, not \(h, w, 3\) uint8"),
        ("result.frame.image / 2", "float64"),
        ("result.frame.image[:, :, 0]", r"an array \(48, 64\) uint8"),
    ],
)
def test_a_view_that_fails_is_named_with_its_frame(
    write: Write, picture: str, message: str
) -> None:
    path = write(VIEWS.format(picture=picture))
    with pytest.raises(PluginError, match=message) as error:
        Registry([path]).view("mine")(some_result(4))
    assert f"view mine ({path}), frame 4: " in str(error.value)


def test_a_view_cannot_hand_out_the_frame_itself(write: Write) -> None:
    registry = Registry([write(VIEWS.format(picture="result.frame.image"))])
    result = some_result(0)

    picture = registry.view("mine")(result)
    picture[...] = 0

    assert result.frame.image.any()


def test_a_second_registry_takes_no_view_away(write: Write, tmp_path: Path) -> None:
    with_plugin = Registry([write(VIEWS.format(picture="255 - result.frame.image"))])
    another = Registry([write(VIEWS.format(picture="result.frame.image.copy()"), "b.py")])
    result = some_result(0)

    assert np.array_equal(with_plugin.view("mine")(result), 255 - result.frame.image)
    assert np.array_equal(another.view("mine")(result), result.frame.image)
    with pytest.raises(UsageError, match="unknown view 'mine'"):
        Registry().view("mine")


def test_a_sink_draws_with_the_views_of_its_own_registry(write: Write, tmp_path: Path) -> None:
    first = Registry([write(VIEWS.format(picture="255 - result.frame.image"))])
    Registry([write(VIEWS.format(picture="result.frame.image.copy()"), "b.py")])
    result = some_result(0)
    sink = first.build("sink", f"images:{tmp_path / 'out'},view=mine")

    feed(sink, SourceInfo("memory", result.frame.width, result.frame.height), [result])

    picture = cv2.imread(str(tmp_path / "out" / "000000.png"))
    np.testing.assert_array_equal(picture, 255 - result.frame.image)


OPTIONS = """
    import facereg

    def tint(result, *, level: int = 3, name="x"):
        picture = result.frame.image.copy()
        picture[...] = level + 10 * len(result.faces)
        return picture

    @facereg.hookimpl
    def register_views():
        return {"tint": tint}
"""


def test_a_view_takes_options_as_components_do(write: Write) -> None:
    registry = Registry([write(OPTIONS)])
    result = some_result(0)
    faces = len(result.faces)

    assert registry.view("tint:level=4")(result).max() == 4 + 10 * faces
    assert registry.view(f"tint:except={result.faces[0].id}")(result).max() == 3 + 10 * (faces - 1)
    assert list(registry.find("view", "tint").options()) == ["only", "except", "level", "name"]
    with pytest.raises(UsageError, match="view tint: level=x: must be a whole number"):
        registry.view("tint:level=x")
    with pytest.raises(UsageError, match="view tint: no option 'levl': did you mean level"):
        registry.view("tint:levl=3")


def test_a_view_is_drawn_for_chosen_faces_or_without_some() -> None:
    with pytest.raises(UsageError, match="view blur: takes only= or except=, not both"):
        Registry().view("blur:face,only=1,except=2")


def test_a_view_knows_which_of_its_faces_were_never_there() -> None:
    registry = Registry()
    draw, result = registry.view("blur:face,except=9+1"), some_result(0)
    registry.view("blur:face")(result)
    assert registry.view("blur:face,except=9+1") is draw

    draw(FrameResult(result.frame))
    assert registry.absent_faces() == {"blur:face,except=9+1": (1, 9)}
    draw(result)  # which has face 1
    assert registry.absent_faces() == {"blur:face,except=9+1": (9,)}
