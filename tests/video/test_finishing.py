"""A finished recording is what was sent, or an error; its sound is complete, or a warning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from facereg.components import Run
from facereg.errors import MediaError, SinkError
from facereg.sinks.mp4 import Mp4Sink
from facereg.video import finishing
from facereg.video.sound import Sound
from tests import clips
from tests.sinks.results import feed, info, result
from tests.sinks.test_mp4 import record


def test_a_file_that_does_not_hold_what_was_sent_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(picture: Path, sound: object, kind: object, out: Path, tags: object) -> None:
        clips.ffmpeg("-i", picture, "-c", "copy", "-frames:v", "7", out)

    monkeypatch.setattr(finishing, "mux", lossy)
    with pytest.raises(SinkError, match=r"reading it back gives 7 frames .* 9 frames") as e:
        feed(Mp4Sink(path=tmp_path / "out.mp4"), info(), [result(i) for i in range(9)])
    found = re.search(r"what was recorded is in (\S+)", str(e.value))
    assert found
    assert [Path(found[1])] == list(tmp_path.iterdir())
    assert clips.probe(Path(found[1])).frames == 9


@pytest.mark.slow
def test_lost_sound_is_a_warning(
    sound_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mux = finishing.mux
    monkeypatch.setattr(finishing, "mux", lambda p, _, *rest: mux(p, None, *rest))
    record(sound_clip, tmp_path / "out.mp4")
    assert clips.probe(tmp_path / "out.mp4").frames == 25
    assert "its sound is not complete: the recording has 0 of 1 tracks" in caplog.text


@pytest.mark.slow
def test_sound_that_cannot_be_added_is_left_out_with_a_warning(
    sound_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mux = finishing.mux

    def fail(picture: Path, sound: Sound | None, *rest: Any) -> None:
        if sound is not None:
            raise MediaError("no such sound")
        mux(picture, sound, *rest)

    monkeypatch.setattr(finishing, "mux", fail)
    record(sound_clip, tmp_path / "out.mp4")
    assert clips.probe(tmp_path / "out.mp4").frames == 25
    assert "sound.mp4: its sound is left out: no such sound" in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_a_source_that_disappears_costs_its_sound_and_not_the_pictures(
    sound_clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(sound_clip.read_bytes())
    sink = Mp4Sink(path=tmp_path / "out.mp4")
    sink.open(info(has_audio=True, media=str(clip)), Run())
    clip.unlink()
    for i in range(9):
        sink.write(result(i))
    sink.close()
    assert clips.probe(tmp_path / "out.mp4").frames == 9
    assert "clip.mp4: its sound is left out" in caplog.text
