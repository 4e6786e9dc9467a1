"""``--people``: a picture of each person, named by id and time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facereg.cli import main
from facereg.errors import SinkError
from facereg.sinks.people import PeopleSink
from facereg.types import Box, Detection, Face, Frame, FrameResult
from tests.sinks.results import feed, info


def seen(index: int, *faces: tuple[int, int, int]) -> FrameResult:
    """Make a frame in which each face (id, left edge, side) is as bright as its side."""
    image = np.zeros((120, 160, 3), np.uint8)
    found = []
    for number, x, side in faces:
        box = Box(x, 20, x + side, 20 + side)
        image[box.clip(160, 120).slices] = side
        found.append(Face(number, Detection(box, 0.99)))
    return FrameResult(Frame(image, index, index / 10), tuple(found))


def test_each_person_has_the_best_picture_and_their_times(tmp_path: Path) -> None:
    frames = [seen(0, (1, 10, 40)), seen(1, (1, 10, 60), (2, 100, 30)), seen(2, (1, -20, 62))]
    sink = PeopleSink(path=tmp_path / "people")
    feed(sink, info(160, 120), frames)
    names = sorted(p.name for p in (tmp_path / "people").iterdir())
    assert names == ["person-001_0.00s-0.20s.jpg", "person-002_0.10s-0.10s.jpg"]
    picture = cv2.imread(str(tmp_path / "people" / names[0]))
    assert abs(int(np.median(picture[picture.max(2) > 20])) - 60) <= 2
    assert sink.report["people"]["1"] == {"first": 0.0, "last": 0.2, "frames": 3}


def test_what_is_there_is_kept_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "notes.txt").write_text("precious")
    with pytest.raises(SinkError, match="is not empty; --overwrite"):
        PeopleSink(path=tmp_path / "people")
    with pytest.raises(SinkError, match="is a file"):
        PeopleSink(path=tmp_path / "people" / "notes.txt")


@pytest.mark.slow
def test_a_dump_gives_the_pictures_without_the_model(face_clip: Path, tmp_path: Path) -> None:
    masks, one, two = (str(tmp_path / name) for name in ("masks", "one", "two"))
    assert main(["run", str(face_clip), "-m", masks, "--people", one, "--quiet"]) == 0
    replay = ["-d", f"replay:{masks}", "-s", f"replay:{masks}"]
    assert main(["run", str(face_clip), *replay, "--people", two, "--quiet"]) == 0
    (first,), (second,) = (list(Path(folder).iterdir()) for folder in (one, two))
    assert first.name == second.name == "person-001_0.00s-0.36s.jpg"
    assert first.read_bytes() == second.read_bytes()
