"""Every built-in detector keeps what `facereg.Detector` promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from facereg.components import Detector
from facereg.downloads import find_download, find_fetched
from facereg.plugins.centerface import CenterFaceDetector
from facereg.plugins.deepface import DeepfaceDetector
from facereg.plugins.haar import HaarDetector
from facereg.plugins.mtcnn import MtcnnDetector
from facereg.plugins.replay import ReplayDetector
from facereg.plugins.yunet import YunetDetector
from facereg.sinks.masks import MasksSink
from facereg.testing import DetectorContract, run_through, some_result
from tests import clips

pytestmark = pytest.mark.slow  # each component is built and run many times


class TestMtcnn(DetectorContract):
    component = MtcnnDetector
    picture = clips.astronaut()


class TestMtcnnOfTinyFaces(DetectorContract):
    component = MtcnnDetector
    options = {"min_face": 1, "score": 0.0}
    picture = clips.astronaut()


class TestHaar(DetectorContract):
    component = HaarDetector
    picture = clips.astronaut()


class TestCenterFace(DetectorContract):
    component = CenterFaceDetector
    picture = clips.astronaut()


class TestYunet(DetectorContract):
    component = YunetDetector
    picture = clips.astronaut()

    @pytest.fixture(autouse=True)
    def fetched(self) -> None:
        if find_fetched(find_download("yunet")) is None:
            pytest.skip("no package ships its file: facereg models get yunet")


class TestDeepface(DetectorContract):
    component = DeepfaceDetector
    picture = clips.astronaut()


class TestReplay(DetectorContract):
    component = ReplayDetector
    picture = some_result(0).frame.image

    @pytest.fixture(autouse=True)
    def dump(self, tmp_path: Path) -> None:
        self._path = tmp_path / "masks"
        run_through(MasksSink(path=self._path), [some_result(i) for i in range(7)])

    def make(self) -> Detector:
        return ReplayDetector(path=self._path)
