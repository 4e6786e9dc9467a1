"""Every built-in segmenter keeps what `facereg.Segmenter` promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from facereg.components import Segmenter
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.plugins.replay import ReplaySegmenter
from facereg.sinks.masks import MasksSink
from facereg.testing import SegmenterContract, run_through, some_result


class TestPSPNet(SegmenterContract):
    component = PSPNetSegmenter


class TestReplay(SegmenterContract):
    component = ReplaySegmenter
    sizes = ((120, 160),)  # a dump fits one video

    @pytest.fixture(autouse=True)
    def dump(self, tmp_path: Path) -> None:
        self._path = tmp_path / "masks"
        run_through(MasksSink(path=self._path), [some_result(i, 160, 120) for i in range(2)])

    def make(self) -> Segmenter:
        return ReplaySegmenter(path=self._path)
