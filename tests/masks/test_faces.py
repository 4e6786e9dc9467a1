"""A face that is stored is rebuilt to the last digit and pixel."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from facereg.masks import faces
from facereg.types import Box, Detection, Face, Frame, FrameResult, RegionMasks


def make_face(number: int, box: Box, **of_detection: object) -> Face:
    chance = np.random.default_rng(number)
    labels = chance.integers(0, 21, (box.height, box.width), np.uint8)
    detection = Detection(box, float(chance.random()), **of_detection)
    return Face(number, detection, RegionMasks(box, labels))


def through_json(face: Face, labels: np.ndarray, *, alone: bool) -> Face:
    return faces.rebuild(json.loads(json.dumps(faces.save(face, labels, alone=alone))), labels)


def check_same(one: Face, other: Face) -> None:
    assert (one.id, one.detection.box, one.detection.score, one.detection.track) == (
        other.id,
        other.detection.box,
        other.detection.score,
        other.detection.track,
    )
    for mine, theirs in (
        (one.detection.landmarks, other.detection.landmarks),
        (one.regions and one.regions.labels, other.regions and other.regions.labels),
    ):
        assert (mine is None) == (theirs is None)
        assert mine is None or np.array_equal(mine, theirs)


def test_a_face_alone_is_rebuilt_from_the_label_map():
    marks = np.random.default_rng(0).random((5, 2)).astype(np.float32)
    face = make_face(1, Box(3, 4, 30, 40), landmarks=marks, track=7)
    result = FrameResult(Frame(np.zeros((50, 60, 3), np.uint8)), (face,))
    check_same(through_json(face, result.labels(), alone=True), face)


def test_faces_that_hide_one_another_are_rebuilt():
    pair = make_face(1, Box(3, 4, 30, 40)), make_face(2, Box(10, 8, 50, 48))
    labels = FrameResult(Frame(np.zeros((50, 60, 3), np.uint8)), pair).labels()
    assert "hidden" in faces.save(pair[0], labels, alone=False)
    for face in pair:
        check_same(through_json(face, labels, alone=False), face)


def test_a_face_without_regions_is_rebuilt():
    face = replace(make_face(1, Box(3, 4, 30, 40)), regions=None)
    check_same(through_json(face, np.zeros((50, 60), np.uint8), alone=True), face)


def test_stored_pixels_are_not_unpacked_beyond_the_crop():
    labels = np.zeros((50, 60), np.uint8)
    saved = faces.save(make_face(1, Box(3, 4, 30, 40)), labels, alone=False)
    saved["hidden"] = base64.b64encode(zlib.compress(bytes(10**6))).decode()
    rebuilt = faces.rebuild(saved, labels)
    assert rebuilt.regions is not None
    assert rebuilt.regions.labels.shape == (36, 27)
    saved["hidden"] = base64.b64encode(zlib.compress(b"short")).decode()
    with pytest.raises(ValueError, match="reshape"):
        faces.rebuild(saved, labels)
