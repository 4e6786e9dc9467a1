"""What a window draws, and how keys change it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facereg import views
from facereg.sinks.display.state import DisplayState, mirrored
from tests.sinks import two_people

RESULT = two_people.result()


@pytest.mark.parametrize(
    "view",
    ["overlay", "raw", "face", "gallery", "isolated:eyes+lips", "blur:face", "pixelate:nose"],
)
def test_a_scene_begins_as_the_view_of_that_name(view: str) -> None:
    expected = views.view(view)(RESULT)
    assert np.array_equal(DisplayState.of(view).draw(RESULT), expected)


def test_mirroring_moves_regions_with_the_picture() -> None:
    result = mirrored(RESULT)
    assert np.array_equal(result.frame.image, RESULT.frame.image[:, ::-1])
    assert np.array_equal(result.labels(), RESULT.labels()[:, ::-1])
    assert [face.id for face in result.faces] == [1, 2]
    for face, was in zip(result.faces, RESULT.faces, strict=True):
        assert face.detection.box.x0 == 640 - was.detection.box.x1
    again = mirrored(result)
    assert np.array_equal(again.frame.image, RESULT.frame.image)
    assert [f.detection.box for f in again.faces] == [f.detection.box for f in RESULT.faces]


def test_next_goes_through_the_faces_and_back_to_everybody() -> None:
    scene = DisplayState.of("overlay")
    chosen = []
    for _ in range(4):
        scene = scene.next_face(RESULT)
        chosen.append(scene.face)
    assert chosen == [1, 2, None, 1]
    gone = replace(RESULT, faces=RESULT.faces[1:])
    assert DisplayState.of("overlay").draw(gone).any()
    assert not replace(DisplayState.of("isolated:lips"), face=1).draw(gone).any(), (
        "who left is not shown"
    )


@pytest.mark.parametrize("face", [None, 1])
def test_a_frame_that_could_not_be_parsed_is_hidden_whole(face: int | None) -> None:
    failed = replace(RESULT, faces=(), parsed=False)
    state = replace(DisplayState.of("blur:face"), face=face)
    for result in (failed, mirrored(failed)):
        changed = state.draw(result) != result.frame.image
        assert changed.any(axis=2).mean() > 0.5
