"""A recording keeps its source's time of creation and timecode, and no other tag."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from facereg.cli import main
from facereg.video.tags import shift_timecode
from tests import clips


@pytest.mark.parametrize(
    ("timecode", "seconds", "rate", "shown"),
    [
        ("01:02:03:04", Fraction(0), Fraction(25), "01:02:03:04"),
        ("23:59:59:24", Fraction(1, 25), Fraction(25), "00:00:00:00"),
        ("00:00:59;29", Fraction(0), Fraction(30000, 1001), "00:00:59;29"),
        ("00:00:59;29", Fraction(1), Fraction(30000, 1001), None),
        ("00:00:00:29", Fraction(0), Fraction(25), None),
        ("noon", Fraction(0), Fraction(25), None),
    ],
)
def test_a_timecode_moves_with_the_first_frame(
    timecode: str, seconds: Fraction, rate: Fraction, shown: str | None
) -> None:
    assert shift_timecode(timecode, seconds, rate) == shown


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_creation_time_and_timecode_are_kept_and_places_are_not(
    tmp_path: Path, ending: str
) -> None:
    clip = clips.write_clip(tmp_path / "plain.mp4", clips.no_face(25))
    source = tmp_path / "in.mov"
    clips.ffmpeg(
        "-i", clip, "-c", "copy", "-metadata", "creation_time=2024-05-06T07:08:09Z",
        "-metadata", "location=+48.2+016.3/", "-metadata", "title=private",
        "-timecode", "10:00:00:00", source,
    )  # fmt: skip
    out = tmp_path / f"out.{ending}"
    assert main(["run", str(source), "-o", str(out), "--start", "0.2", "--quiet"]) == 0
    with av.open(str(out)) as container:
        tags = {k.casefold(): v for k, v in container.metadata.items()}
        for stream in container.streams:
            tags |= {k.casefold(): v for k, v in stream.metadata.items()}
    assert tags["creation_time"].startswith("2024-05-06T07:08:09")
    assert tags["timecode"] == "10:00:00:05"
    assert not {"location", "title", "comment"} & set(tags)
