from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from facereg.cli import main
from facereg.errors import UsageError
from facereg.registry.registry import Registry
from tests import clips


@pytest.mark.slow
def test_table(ntsc_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(ntsc_clip)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "name      ntsc.mp4",
        "size      160x120",
        "rate      24000/1001 (23.976 fps)",
        "frames    48",
        "duration  2.002 s",
        "live      no",
        "rotation  none",
        "audio     no",
    ]


@pytest.mark.slow
def test_json(rotated_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(rotated_clip), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "rotated.mp4",
        "width": 240,
        "height": 320,
        "fps": "25/1",
        "frame_count": 10,
        "duration": 0.4,
        "live": False,
        "rotation": 90,
        "has_audio": False,
    }


@pytest.mark.slow
def test_sound_is_seen(sound_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(sound_clip)]) == 0
    assert "audio     yes" in capsys.readouterr().out


def test_pictures_of_several_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in (1, 2, 10):
        cv2.imwrite(str(tmp_path / f"a{i}.png"), clips.astronaut()[: 100 * i])
    assert main(["info", str(tmp_path)]) == 0
    assert "size      512x100, then others (a2.png: 512x200)" in capsys.readouterr().out


def test_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.mp4"
    assert main(["info", str(missing)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"facereg: error: {missing}: no such file\n"


def test_source_of_a_plugin_without_rate_or_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "endless.py"
    plugin.write_text(
        "import facereg\n"
        "class Endless(facereg.Source):\n"
        "    name = 'endless'\n"
        "    def __init__(self, spec):\n"
        "        self.info = facereg.SourceInfo('endless', 4, 2, live=True)\n"
        "    def frames(self):\n"
        "        yield from ()\n"
        "@facereg.hookimpl\n"
        "def register_sources():\n"
        "    return [Endless]\n"
    )
    assert main(["info", "endless:", "--json", "--plugin", str(plugin)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["fps"], found["frame_count"], found["duration"]) == (None, None, None)
    assert found["live"] is True
    assert main(["info", "endless:", "--plugin", str(plugin)]) == 0
    assert "rate      unknown" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("{folder}", "images"),
        ("{folder}/*.png", "images"),
        ("{folder}/a.png", "images"),
        ("images:{folder},fps=10", "images"),
        ("{clip}", "file"),
        ("file:{clip}", "file"),
    ],
)
def test_each_spec_goes_to_its_source(
    tmp_path: Path, face_clip: Path, spec: str, kind: str
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), clips.astronaut())
    source = Registry().open_source(spec.format(folder=tmp_path, clip=face_clip))
    source.close()
    assert source.name == kind


def test_what_is_nothing_lists_the_sources() -> None:
    with pytest.raises(UsageError, match=r"neither an existing file or folder.*file, images"):
        Registry().open_source("missing")
