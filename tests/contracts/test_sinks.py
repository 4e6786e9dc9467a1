"""Every built-in sink keeps what `facereg.Sink` promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from facereg.components import Sink
from facereg.sinks.images import ImagesSink
from facereg.sinks.masks import MasksSink
from facereg.sinks.mp4 import Mp4Sink
from facereg.sinks.people import PeopleSink
from facereg.sinks.stats import StatsSink
from facereg.sinks.window import WindowSink
from facereg.testing import SinkContract


@pytest.fixture(autouse=True)
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


class TestMp4(SinkContract):
    component = Mp4Sink

    def make(self, tmp_path: Path) -> Sink:
        return Mp4Sink(path=tmp_path / "out.mp4")


class TestMp4Gallery(SinkContract):
    component = Mp4Sink

    def make(self, tmp_path: Path) -> Sink:
        return Mp4Sink(path=tmp_path / "out.mp4", view="gallery")


class TestMasks(SinkContract):
    component = MasksSink

    def make(self, tmp_path: Path) -> Sink:
        return MasksSink(path=tmp_path / "masks")


class TestMasksAsVideo(SinkContract):
    component = MasksSink

    def make(self, tmp_path: Path) -> Sink:
        return MasksSink(path=tmp_path / "masks", format="ffv1")


class TestImages(SinkContract):
    component = ImagesSink

    def make(self, tmp_path: Path) -> Sink:
        return ImagesSink(path=tmp_path / "images")


class TestPeople(SinkContract):
    component = PeopleSink

    def make(self, tmp_path: Path) -> Sink:
        return PeopleSink(path=tmp_path / "people")


class TestStats(SinkContract):
    component = StatsSink

    def make(self, tmp_path: Path) -> Sink:
        return StatsSink(path=tmp_path / "stats.csv")


class TestWindow(SinkContract):
    component = WindowSink
    options = {"hold": 0.0}


class TestIsolatedWindow(SinkContract):
    component = WindowSink
    options = {"view": "isolated:eyes+lips", "hold": 0.0}
