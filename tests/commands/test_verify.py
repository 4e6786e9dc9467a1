"""``facereg verify``, from the command line, with the detectors that it uses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from facereg.cli import main
from facereg.types import Box
from tests import clips

pytestmark = pytest.mark.slow  # six searches a frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verify")


@pytest.fixture(scope="module")
def original(folder: Path) -> Path:
    """Two frames of a face."""
    return clips.write_clip(folder / "in.mp4", [clips.astronaut()] * 2)


@pytest.fixture(scope="module")
def redacted(folder: Path, original: Path) -> Path:
    out = folder / "out.mp4"
    arguments = ["run", str(original), "-o", str(out), "--view", "pixelate:face", "--quiet"]
    assert main([*arguments, "--detect-every", "1"]) == 0
    return out


def test_a_face_that_is_left_is_reported(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, pictures = tmp_path / "report.json", tmp_path / "pictures"
    pictures.mkdir()
    more = ["--report", str(report), "--pictures", str(pictures), "--quiet"]

    assert main(["verify", str(original), *more]) == 1

    told = json.loads(report.read_text())
    (span,) = told["faces"]
    assert (told["result"], told["frames"], span["frames"]) == ("faces left", 2, 2)
    assert Box(*span["box"]).iou(Box(*clips.FACE)) > 0.4
    assert {"haar upright", "mtcnn", "centerface"} <= set(span["found_by"])
    assert told["video"] == {
        "name": "in.mp4",
        "sha256": hashlib.sha256(original.read_bytes()).hexdigest(),
    }
    assert len(list(pictures.glob("*.png"))) == 2
    printed = capsys.readouterr().out
    assert printed.startswith("0:00:00.000 to 0:00:00.0")
    assert "faces can be seen in 2 of 2 frames" in printed


def test_a_redacted_video_passes(
    redacted: Path, original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"

    assert main(["verify", str(redacted), "--quiet"]) == 0
    assert "no face can be found in 2 frames" in capsys.readouterr().out
    against = ["--against", str(original), "--report", str(report)]
    assert main(["verify", str(redacted), *against, "--quiet"]) == 0
    assert main(["verify", str(redacted), *against, "--quiet"]) == 1  # the report exists

    told = json.loads(report.read_text())
    assert (told["result"], told["faces"]) == ("no face found", [])
    assert told["original"]["sha256"] and told["facereg"] and told["searches"]
    redaction = told["redaction"]
    assert (redaction["frames"], redaction["frames_hidden_whole"]) == (2, 0)
    assert redaction["settings"]["view"] == "pixelate:face"
    assert len(redaction["settings"]["model"]["sha256"]) == 64
    (person,) = redaction["persons"]
    assert (person["id"], person["first"], person["frames"]) == (1, 0.0, 2)
    assert {weak["frame"] for weak in redaction["weakest"]} == {0, 1}
    assert 0.01 < told["changed_pixels"] < 0.2


def test_a_detector_of_the_user_s_counts_by_itself(redacted: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        """
import facereg

class Mine(facereg.Detector):
    name = "mine"
    def detect(self, frame):
        return [facereg.Detection(facereg.Box(100, 300, 210, 440), 0.1)]

@facereg.hookimpl
def register_detectors():
    return [Mine]
"""
    )
    assert main(["verify", str(redacted), "--plugin", str(plugin), "-d", "mine", "--quiet"]) == 1


@pytest.mark.parametrize("name", ["sound.m4a", "empty.mp4", "none.mp4"])
def test_a_file_without_pictures_is_an_error(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if name == "empty.mp4":
        path.touch()
    elif name == "sound.m4a":
        clips.ffmpeg("-f", "lavfi", "-i", "sine=duration=1", str(path))

    assert main(["verify", str(path), "--quiet"]) in (1, 2)
    assert name in capsys.readouterr().err


def test_a_clean_video_of_no_people_passes(tmp_path: Path) -> None:
    coffee = np.asarray(clips.coffee())
    clip = clips.write_clip(tmp_path / "coffee.mp4", [coffee])

    assert main(["verify", str(clip), "--quiet"]) == 0
