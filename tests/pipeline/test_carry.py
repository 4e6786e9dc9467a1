"""Masks are carried along the motion of a face in the frames in which it is not parsed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

import facereg
from facereg.components import Segmenter
from facereg.pipeline.carry import MAX_EVERY, Carrier, Pace
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings
from facereg.testing import MemorySource, RecordingSink, ScriptedDetector
from facereg.types import Box, Detection, Frame, RegionMasks
from tests import clips


def pattern(shift: int, scale: float = 1.0) -> np.ndarray:
    """Draw a textured disc that moves and grows."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)
    texture = cv2.resize(noise, (160, 160), interpolation=cv2.INTER_CUBIC)
    matrix = np.float32(
        [[scale, 0, 40 + shift - 80 * (scale - 1)], [0, scale, 40 - 80 * (scale - 1)]]
    )
    gray = cv2.warpAffine(texture, matrix, (320, 240), borderValue=90)
    return np.repeat(gray[..., None], 3, axis=2)


def disc(box: Box, x: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
    return ((columns - x) ** 2 + (rows - 120) ** 2 <= radius**2).astype(np.uint8)


@pytest.mark.parametrize(("shift", "scale"), [(4, 1.0), (-6, 1.0), (0, 1.04)])
def test_a_mask_goes_where_its_picture_goes(shift: int, scale: float) -> None:
    carrier, box = Carrier(), Box(50, 50, 190, 190)
    regions = RegionMasks(box, disc(box, 120, 50))
    carrier.note(1, Frame(pattern(0), 0, 0.0), regions)
    frame = Frame(pattern(shift, scale), 1, 0.04)
    moved = carrier.carry(1, frame)
    truth = disc(moved.box, 120 + shift, 50 * scale)
    found = moved.labels == 1
    assert 2 * (found & (truth > 0)).sum() / (found.sum() + truth.sum()) > 0.97
    assert carrier.carry(1, frame) is moved
    assert carrier.age(1, frame) == 1


class Counting(Segmenter):
    """Labels the whole box as skin, and counts the frames that it parsed."""

    name = "counting"

    def __init__(self) -> None:
        self.frames: list[int] = []

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> list[RegionMasks]:
        self.frames.append(frame.index)
        return [
            RegionMasks(d.box, np.ones((d.box.height, d.box.width), np.uint8)) for d in detections
        ]


def test_every_nth_frame_is_parsed_and_the_others_say_that_they_are_carried() -> None:
    images = [pattern(i) for i in range(9)]
    found = {i: [Detection(Box(60, 60, 180, 180), 0.99)] for i in range(9)}
    segmenter, sink = Counting(), RecordingSink()
    settings = Settings(parse_every=3, detect_every=1)
    totals = Processor(
        MemorySource(images), ScriptedDetector(found), segmenter, [sink], settings
    ).run()
    assert segmenter.frames == [0, 3, 6]
    carried = [result.faces[0].carried for result in sink.results]
    assert carried == [False, True, True] * 3
    assert totals.carried == 6
    lines = [result.faces[0].to_dict() for result in sink.results]
    assert ["carried" in line for line in lines] == carried
    assert all(result.faces[0].regions.area("skin") > 10_000 for result in sink.results)


def test_without_the_option_a_recording_is_parsed_on_every_frame() -> None:
    found = {i: [Detection(Box(60, 60, 180, 180), 0.99)] for i in range(4)}
    segmenter = Counting()
    source = MemorySource([pattern(i) for i in range(4)])
    Processor(source, ScriptedDetector(found), segmenter, [], Settings(detect_every=1)).run()
    assert segmenter.frames == [0, 1, 2, 3]


def test_a_live_source_is_parsed_as_often_as_it_can_be() -> None:
    pace = Pace(None, 25.0)
    assert pace.every == 1
    for _ in range(30):
        pace.took(70.0)  # a frame comes every 40 ms
    assert pace.every == 2
    for _ in range(60):
        pace.took(9.0)
    assert pace.every == 1
    for _ in range(60):
        pace.took(5000.0)
    assert pace.every == MAX_EVERY


@pytest.mark.slow
def test_carried_masks_agree_with_parsed_ones() -> None:
    clip = clips.carphone_path()
    settings = {"duration": 1.5, "smooth": False}
    runs = [[r.labels() for r in facereg.process(clip, parse_every=n, **settings)] for n in (1, 2)]
    same = [(one == two)[(one > 0) | (two > 0)].mean() for one, two in zip(*runs, strict=True)]
    assert len(same) > 30
    assert np.mean(same) > 0.94
