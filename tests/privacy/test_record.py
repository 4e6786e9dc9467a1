"""What a redaction did is gathered frame by frame, and read back from a video's comment."""

from __future__ import annotations

import numpy as np

from facereg.privacy.record import MARK, Record, read_record
from facereg.types import Box, Detection, Face, Frame, FrameResult


def face(number: int, score: float = 0.9) -> Face:
    return Face(number, Detection(Box(1, 1, 9, 9), score))


def test_persons_held_faces_and_hidden_frames_are_counted() -> None:
    record = Record("blur:face", {"detector": "mtcnn"})
    picture = np.zeros((16, 16, 3), np.uint8)
    for index, (faces, held, parsed) in enumerate(
        [
            ((face(1), face(2, 0.5)), (), True),
            ((face(1),), (face(2), face(-1)), True),
            ((face(1),), (face(1),), True),  # wider than it was found, not held
            ((), (), False),
        ]
    ):
        record.see(FrameResult(Frame(picture, index, index / 25), faces, parsed, held))
    told = read_record(record.comment())
    assert told is not None
    assert told["settings"] == {"view": "blur:face", "detector": "mtcnn"}
    assert (told["frames"], told["frames_hidden_whole"]) == (4, 1)
    assert (told["face_frames_held"], told["frames_with_held_faces"]) == (2, 1)
    assert told["persons"] == [
        {"id": 1, "first": 0.0, "last": 0.08, "frames": 3},
        {"id": 2, "first": 0.0, "last": 0.0, "frames": 1},
    ]
    assert told["weakest"][0] == {"frame": 0, "time": 0.0, "id": 2, "score": 0.5}


def test_other_comments_are_no_records() -> None:
    assert read_record("filmed by hand") is None
    assert read_record(MARK + "{") is None
    assert read_record(MARK + "[1]") is None
