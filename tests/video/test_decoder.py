"""Pictures come out in the order in which they are shown, each at its time."""

from __future__ import annotations

from pathlib import Path

import pytest

from facereg.sources.file import FileSource
from tests import clips


@pytest.mark.parametrize("ending", ["avi", "mp4", "mkv", "ts"])
def test_pictures_that_are_decoded_in_another_order_come_at_their_times(
    tmp_path: Path, ending: str
) -> None:
    args = ["-bf", "3", "-b_strategy", "0"]
    path = clips.write_clip(tmp_path / f"clip.{ending}", clips.numbered(30), args=args)
    source = FileSource(str(path))
    times = [frame.time for frame in source.frames()]
    source.close()
    assert times == pytest.approx([i / 25 for i in range(30)], abs=0.002)
