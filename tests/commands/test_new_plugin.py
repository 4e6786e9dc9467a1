"""What is written runs as it is: as a file, as a package, and through its own test."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from facereg._api import open_masks
from facereg.cli import main
from facereg.commands.new_plugin import KINDS, TEMPLATES, run
from facereg.errors import SinkError, UsageError
from facereg.types import Box
from tests import clips


def write(folder: Path, kind: str, name: str, *, package: bool = False, **more: bool) -> int:
    overwrite = more.get("overwrite", False)
    return run(
        argparse.Namespace(
            kind=kind,
            name=name,
            package=package,
            output=str(folder),
            overwrite=overwrite,
            quiet=more.get("quiet", False),
        )
    )


def facereg(*arguments: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    places = [str(path), *sys.path] if path else sys.path
    return subprocess.run(
        [sys.executable, "-m", "facereg", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_its_own_tests_pass(tmp_path: Path) -> None:
    for kind in KINDS:
        write(tmp_path, kind, f"my_{kind}", quiet=True)
        write(tmp_path, kind, f"our-{kind}", package=True, quiet=True)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                [*filter(None, sys.path), *map(str, tmp_path.glob("facereg-our-*"))]
            ),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "skipped" in done.stdout  # the detector's tests know no picture with a face yet


@pytest.mark.slow
def test_the_templates_pass_their_own_tests() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TEMPLATES)]
    done = subprocess.run(command, cwd=TEMPLATES, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_template_s_names_is_left(tmp_path: Path, kind: str) -> None:
    write(tmp_path, kind, "mine", quiet=True)

    for path in tmp_path.iterdir():
        text = path.read_text()
        assert f"my-{kind}" not in text and "template" not in text
        assert "mine" in text and f"Mine{kind.capitalize()}" in text


@pytest.mark.slow
def test_the_detector_and_the_segmenter_find_a_face(tmp_path: Path, face_clip: Path) -> None:
    write(tmp_path, "detector", "mine")
    write(tmp_path, "segmenter", "ours")

    code = main(
        [
            *("run", str(face_clip), "--quiet", "-d", "mine", "-s", "ours"),
            *("--plugin", str(tmp_path / "mine.py"), "--plugin", str(tmp_path / "ours.py")),
            *("-m", str(tmp_path / "masks")),
        ]
    )

    assert code == 0
    (first, *_) = open_masks(tmp_path / "masks").frames
    face = Box(*(round(side * 320 / 384) for side in (176 - 40, 66, 270 - 40, 186)))
    assert max(face.iou(Box(*one["box"])) for one in first["faces"]) > 0.4
    assert any("left_eye" in one["areas"] for one in first["faces"])


@pytest.mark.slow
def test_the_source_and_the_sink_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "source", "mine")
    write(tmp_path, "sink", "ours")
    plugins = ["--plugin", "mine.py", "--plugin", "ours.py"]

    code = main(["run", "mine:1,fps=5", *plugins, "--sink", "ours:out.txt", "-o", "out.mp4"])

    assert code == 0
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 5
    assert clips.probe(tmp_path / "out.mp4").frames == 5


@pytest.mark.slow
def test_the_commands_that_it_prints_work(
    tmp_path: Path,
    face_clip: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.mp4").symlink_to(face_clip)
    write(Path(), "detector", "mine")
    printed = capsys.readouterr().out
    use = next(line for line in printed.splitlines() if line.startswith("Use it:"))

    assert main(use.removeprefix("Use it:").split()[1:]) == 0

    assert (tmp_path / "out.mp4").is_file()
    assert "wrote mine.py\nwrote test_mine.py" in printed


@pytest.mark.slow
def test_a_package_is_installed_listed_and_used(tmp_path: Path) -> None:
    write(tmp_path, "source", "stripes", package=True)
    target = tmp_path / "site"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--no-index", "--target", str(target)),
            str(tmp_path / "facereg-stripes"),
        ],
        check=True,
        capture_output=True,
    )

    listed = facereg("plugins", "stripes", path=target)
    used = facereg("info", "stripes:2", "--json", path=target)

    assert "facereg-stripes 0.1.0" in listed.stdout
    assert '"frame_count": 50' in used.stdout, used.stderr
    (found,) = importlib.metadata.distributions(name="facereg-stripes", path=[str(target)])
    assert found.requires is not None and found.requires[0].startswith("facereg>=")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write(tmp_path, "sink", "mine")
    (tmp_path / "mine.py").write_text("precious")

    with pytest.raises(SinkError, match=r"mine\.py exists; --overwrite replaces it"):
        write(tmp_path, "sink", "mine")
    assert (tmp_path / "mine.py").read_text() == "precious"

    write(tmp_path, "sink", "mine", overwrite=True)
    assert "class MineSink" in (tmp_path / "mine.py").read_text()


@pytest.mark.parametrize("name", ["", "My", "9lives", "a b", "../x", "class", "a.py"])
def test_a_name_that_cannot_be_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be a plugin's name; write a word .* my_sink"):
        write(tmp_path, "sink", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["json", "numpy", "facereg"])
def test_a_module_that_exists_is_not_hidden(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"there is a Python module {name} already"):
        write(tmp_path, "sink", name)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="no such folder"):
        write(tmp_path / "gone", "sink", "mine")
