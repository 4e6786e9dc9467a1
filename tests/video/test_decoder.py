"""Pictures come out in order, each at its time, and one damaged packet does not end it."""

from __future__ import annotations

from pathlib import Path

import pytest

from facereg.video.decoder import Decoder
from facereg.video.media import choose_video, open_file
from tests import clips


@pytest.mark.parametrize("ending", ["avi", "mp4", "mkv", "ts"])
def test_pictures_that_are_decoded_in_another_order_come_at_their_times(
    tmp_path: Path, ending: str
) -> None:
    args = ["-bf", "3", "-b_strategy", "0"]
    path = clips.write_clip(tmp_path / f"clip.{ending}", clips.numbered(30), args=args)
    container = open_file(path)
    decoder = Decoder(container, choose_video(container))
    times = [picture.time for picture in decoder.pictures()]
    decoder.close()
    assert all(time is not None for time in times)
    relative = [float(time - times[0]) for time in times if time is not None and times[0]
                is not None]  # fmt: skip
    assert relative == pytest.approx([i / 25 for i in range(30)], abs=0.002)
