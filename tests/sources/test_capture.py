from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

from facereg.sources.capture import open_capture, silent


def test_a_device_that_is_not_there_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capture = open_capture(str(tmp_path / "video77"), cv2.CAP_V4L2)
    assert not capture.isOpened()
    assert capfd.readouterr().err == ""


def test_the_level_of_opencv_is_put_back() -> None:
    level = cv2.utils.logging.getLogLevel()
    with silent():
        assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_SILENT
    assert cv2.utils.logging.getLogLevel() == level


def test_an_opencv_without_levels_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "utils", SimpleNamespace())
    with silent():
        pass
