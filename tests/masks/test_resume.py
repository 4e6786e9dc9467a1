"""A run that ended before its time is resumed: nothing is inferred twice, and nothing differs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from facereg.cli import main
from facereg.masks import resume, writers
from facereg.types import Frame, FrameResult
from tests import clips
from tests.sinks import ending, two_people

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

PLUGIN = Path(ending.__file__)
DRAWN = ("-d", "crossing", "-s", "remembers")

#: Runs the drawn people over 30 frames; returns exit code, totals, what was asked, and stderr.
Run = Callable[..., SimpleNamespace]


@pytest.fixture
def run(
    pan_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:  # fmt: skip
    monkeypatch.setattr(resume, "CHECKPOINT_FRAMES", 1)
    monkeypatch.setattr(resume, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(writers, "MAX_BUFFERED_FRAMES", 4)
    monkeypatch.setattr(writers, "MAX_CHUNK_FRAMES", 8)

    def call(
        name: str, *args: str, source: Path | str = pan_clip, end: str = "", state: str = ""
    ) -> SimpleNamespace:
        calls = tmp_path / "calls.txt"
        calls.write_text("")
        everything = f"everything:path={tmp_path / name}.jsonl"
        command = ["run", str(source), "--plugin", str(PLUGIN), *DRAWN, "--sink", everything]
        command += ["-m", str(tmp_path / name), "--json", "--quiet", *args]
        with monkeypatch.context() as patch:
            for variable, value in (("CALLS", str(calls)), ("END", end), ("STATE", state)):
                patch.setenv(variable, value)
            code = main(command)
        said = capsys.readouterr()
        asked = [line.split() for line in calls.read_text().splitlines()]
        return SimpleNamespace(
            code=code,
            totals=json.loads(said.out) if said.out else {},
            segmented=[int(frame) for kind, frame in asked if kind == "segment"],
            detected=[int(frame) for kind, frame in asked if kind == "detect"],
            error=said.err,
        )

    return call


def dumped(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


def lines(path: Path) -> list[str]:
    return path.with_suffix(".jsonl").read_text().splitlines()


def check_same(path: Path, whole: Path, frames: int = 30) -> None:
    assert dumped(path) == dumped(whole)
    assert not [name for name in dumped(whole) if name.startswith(".")]
    assert lines(path) == lines(whole)
    assert len(lines(path)) == frames


def start(
    clip: Path, out: Path, *args: str, parts: str = "noted", end: str = ""
) -> tuple[dict, list[list[str]]]:
    """Run in a process of its own; return the totals, and what was asked: detect or segment, frame.

    With ``end``, it is killed at that frame.
    """
    calls = out.with_suffix(".txt")
    calls.write_text("")
    command = [sys.executable, "-m", "facereg", "run", str(clip), "--plugin", str(PLUGIN)]
    command += ["-d", DRAWN[1] if parts == DRAWN[3] else parts, "-s", parts]
    command += ["-m", str(out), "--json", *args]
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    variables = {"CALLS": str(calls), "END": end, "OFTEN": "yes", "PYTHONPATH": path}
    done = subprocess.run(
        command, env={**os.environ, **variables}, text=True, capture_output=True, check=False
    )
    assert done.returncode == (-signal.SIGKILL if end else 0), done.stderr
    asked = [line.split() for line in calls.read_text().splitlines()]
    return json.loads(done.stdout or "{}"), asked


# Nothing is inferred twice


REAL = {
    "png": ("pan_clip", 30, ["-o", "{}.mp4"]),
    "ffv1": ("two_faces_clip", 20, ["-o", "{}.mp4", "--view", "gallery", "--stats", "{}.csv"]),
}


@pytest.mark.parametrize("kind", REAL)
def test_a_killed_run_goes_on_with_the_model_where_it_was(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fixture, frames, more = REAL[kind]
    clip, whole, cut = request.getfixturevalue(fixture), tmp_path / "whole", tmp_path / "cut"
    first, again = (
        ["--masks-format", kind, *(part.format(out) for part in more)] for out in (whole, cut)
    )
    assert start(clip, whole, *first)[0]["cached"] == 0
    start(clip, cut, *again, end=f"kill {frames - 4}")

    totals, asked = start(clip, cut, *again, "--resume")
    assert totals["frames"] == frames
    assert totals["cached"] >= frames // 3
    segmented = {int(i) for what, i in asked if what == "segment"}
    assert segmented == set(range(totals["cached"], frames))
    assert all(int(i) >= totals["cached"] for what, i in asked)

    assert dumped(cut) == dumped(whole)
    pictures = [clips.decoded(out.with_suffix(".mp4")) for out in (cut, whole)]
    assert len(pictures[0]) == frames
    for one, other in zip(*pictures, strict=True):
        assert np.array_equal(one, other)
    if "--stats" in again:
        assert cut.with_suffix(".csv").read_bytes() == whole.with_suffix(".csv").read_bytes()


@pytest.mark.parametrize("kind", ["png", "ffv1"])
def test_a_run_that_is_killed_twice_goes_on_from_the_second_time(
    run: Run, tmp_path: Path, pan_clip: Path, kind: str
) -> None:
    run("whole", "--masks-format", kind)
    cut, parts = tmp_path / "cut", "remembers"
    start(pan_clip, cut, "--masks-format", kind, parts=parts, end="kill 10")
    start(pan_clip, cut, "--masks-format", kind, "--resume", parts=parts, end="kill 26")
    assert run("cut", "--masks-format", kind, "--resume").totals["cached"] > 10
    assert dumped(cut) == dumped(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["png", "npz", "ffv1"])
@pytest.mark.parametrize(("how", "code"), [("fail", 1), ("ctrl-c", 130)])
def test_every_face_is_recalled_exactly_though_one_hides_another(
    run: Run, tmp_path: Path, kind: str, how: str, code: int
) -> None:
    run("whole", "--masks-format", kind)
    assert run("cut", "--masks-format", kind, end=f"{how} 20").code == code
    done = run("cut", "--masks-format", kind, "--resume")
    assert done.totals["frames"] == 30
    assert done.totals["cached"] >= 10
    assert sorted(set(done.segmented)) == list(range(done.totals["cached"], 30))
    assert all(i >= done.totals["cached"] for i in done.detected)
    check_same(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.parametrize("kind", ["png", "npz", "ffv1"])
def test_a_dump_whose_run_failed_says_that_it_is_not_complete(
    run: Run, tmp_path: Path, kind: str
) -> None:
    manifest = tmp_path / "cut" / "manifest.json"
    assert run("cut", "--masks-format", kind, end="fail 20").code == 1
    assert json.loads(manifest.read_text())["complete"] is False
    assert run("cut", "--masks-format", kind, "--resume").code == 0
    assert json.loads(manifest.read_text())["complete"] is True


def test_masks_have_the_pixels_of_faces_that_are_hidden_only_in_that_file(
    run: Run, tmp_path: Path
) -> None:
    run("cut", end="fail 20")
    rows = (tmp_path / "cut" / ".faces.jsonl").read_text().splitlines()
    hidden = [sum("hidden" in face for face in json.loads(row)["faces"]) for row in rows]
    assert hidden[0] == 0, "they are apart"
    assert hidden[16] > 0, "they cross"


def test_pictures_of_a_folder_are_not_parsed_twice(run: Run, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(8):
        cv2.imwrite(str(photos / f"{i}.png"), two_people.picture(i)[:480, : 600 - 20 * i])
    run("whole", source=photos)
    run("cut", source=photos, end="fail 6")
    done = run("cut", "--resume", source=photos)
    assert done.totals["cached"] >= 3
    assert done.segmented == list(range(done.totals["cached"], 8))
    check_same(tmp_path / "cut", tmp_path / "whole", 8)


# Where it cannot be known, everything is parsed again


def damage(path: Path, what: str) -> None:
    name, _, how = what.partition(" ")
    file = path / name
    data = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "torn":
        file.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        file.write_bytes(b"")
    else:
        middle = len(data) // 2
        file.write_bytes(data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :])


@pytest.mark.parametrize(
    "what",
    [
        ".state missing", ".state torn", ".state empty", ".state flipped",
        ".faces.jsonl missing", ".faces.jsonl torn", ".faces.jsonl empty",
        "000003.png torn", "frames.jsonl torn",
    ],
)  # fmt: skip
def test_what_is_torn_is_not_used(run: Run, tmp_path: Path, what: str) -> None:
    run("whole")
    run("cut", end="fail 20")
    damage(tmp_path / "cut", what)
    done = run("cut", "--resume")
    assert done.totals["cached"] == 0
    assert sorted(set(done.segmented)) == list(range(30))
    check_same(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.parametrize(
    "args",
    [("--detect-every", "2"), ("--max-faces", "1"), ("--start", "0.2"), ("--on-error", "skip")],
    ids=lambda args: args[0],
)
def test_a_run_with_other_settings_uses_nothing(
    run: Run, tmp_path: Path, args: tuple[str, str]
) -> None:
    run("whole", *args)
    run("cut", end="fail 20")
    done = run("cut", *args, "--resume")
    assert done.totals["cached"] == 0
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")


def test_a_dump_of_two_kinds_of_run_is_told_of_and_not_gone_on_from(
    run: Run, tmp_path: Path
) -> None:
    run("cut", end="fail 15")
    again = run("cut", "--max-faces", "1", "--resume", end="fail 25")
    assert "frame 0 is another than it was in the run that is resumed" in again.error
    assert again.error.count("another than it was") == 1
    assert not (tmp_path / "cut" / ".state").exists()
    assert run("cut", "--max-faces", "1", "--resume").totals["cached"] == 0


def test_another_file_of_that_name_is_parsed_anew(run: Run, tmp_path: Path, pan_clip: Path) -> None:
    run("cut", end="fail 20")
    other = shutil.copy(pan_clip, tmp_path / pan_clip.name)
    os.utime(other, (1, 1))
    assert run("cut", "--resume", source=other).totals["cached"] == 0


def test_a_plugin_that_was_changed_is_asked_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copy(PLUGIN, tmp_path / "ending.py")
    monkeypatch.setattr(sys.modules[__name__], "PLUGIN", copy)
    run("cut", end="fail 20")
    os.utime(copy, (1, 1))
    assert run("cut", "--resume").totals["cached"] == 0


def test_a_segmenter_that_refuses_its_state_begins_again(run: Run, tmp_path: Path) -> None:
    run("whole")
    run("cut", end="fail 20")
    done = run("cut", "--resume", state="refuse")
    assert done.totals["cached"] == 0
    assert "segmenter cannot go on from its stored state: KeyError: 'hair'" in done.error
    check_same(tmp_path / "cut", tmp_path / "whole")


def test_a_segmenter_that_cannot_tell_its_state_is_asked_about_every_frame(
    run: Run, tmp_path: Path
) -> None:
    run("whole")
    run("cut", end="fail 20", state="silent")
    assert not (tmp_path / "cut" / ".state").exists()
    assert run("cut", "--resume").totals["cached"] == 0
    check_same(tmp_path / "cut", tmp_path / "whole")


def test_a_detector_that_follows_faces_itself_is_asked_about_every_frame(
    run: Run, tmp_path: Path
) -> None:
    run("whole", "-d", "following")
    run("cut", "-d", "following", end="fail 20")
    assert not [name for name in dumped(tmp_path / "cut") if name.startswith(".")]
    assert run("cut", "-d", "following", "--resume").detected == list(range(30))
    check_same(tmp_path / "cut", tmp_path / "whole")


def test_a_state_that_cannot_be_stored_is_the_plugins_fault(run: Run) -> None:
    done = run("cut", state="strange")
    assert done.code == 1
    assert "frame 0: TypeError: Object of type Remembers" in done.error


# What is left


def test_overwriting_an_unfinished_dump_leaves_nothing_of_it(run: Run, tmp_path: Path) -> None:
    run("whole")
    run("cut", end="fail 20")
    assert run("cut", "--overwrite").totals["cached"] == 0
    check_same(tmp_path / "cut", tmp_path / "whole")


def test_a_finished_dump_is_parsed_again_when_it_is_resumed(run: Run, tmp_path: Path) -> None:
    run("whole")
    before = dumped(tmp_path / "whole")
    assert run("whole", "--resume").totals["cached"] == 0
    assert dumped(tmp_path / "whole") == before


def test_a_source_that_is_no_file_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("--plugin", two_people.__file__, "--duration", "0.5")
    assert run("cut", *args, source="people:x,live=no,count=9", end="fail 7").code == 1
    assert not [name for name in dumped(tmp_path / "cut") if name.startswith(".")]


def test_a_frame_that_could_not_be_parsed_is_recalled_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or views that hide faces would show it after `--resume`."""
    monkeypatch.setattr(resume, "CHECKPOINT_FRAMES", 1)
    monkeypatch.setattr(resume, "CHECKPOINT_SECONDS", 0.0)
    parser = SimpleNamespace(
        parse=lambda frame, _: FrameResult(frame, parsed=frame.index != 0),
        state=dict,
        restore=lambda _: None,
    )
    maps = SimpleNamespace(folder=tmp_path, close=lambda: None)
    frames = [Frame(np.zeros((4, 4, 3), np.uint8), i, i / 25) for i in range(2)]
    kept = [{"index": 0}, {"index": 1}]
    earlier, later = resume.ExactResume({}), resume.ExactResume({})

    earlier.open([], maps)
    for frame, line in zip(frames, kept, strict=True):
        result = earlier.parse(frame, (), parser)
        earlier.append(result, np.zeros((4, 4), np.uint8), line)
        earlier.flush(frame.index)
    earlier.close(is_complete=False)
    later.open(kept, maps)

    assert [later.parse(frame, (), parser).parsed for frame in frames] == [False, True]
    assert later.cached == 2
