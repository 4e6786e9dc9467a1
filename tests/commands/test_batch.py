"""``facereg batch``: many inputs, some of them bad, on several processes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

import facereg
from facereg.cli import main
from facereg.commands import batch as module
from facereg.commands.batch import _at_once
from facereg.workers import cores
from tests import clips

pytestmark = pytest.mark.slow


@pytest.fixture
def inputs(face_clip: Path, no_face_clip: Path, tmp_path: Path) -> Path:
    """Return a folder of two clips and a file that is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(face_clip, folder / "a.mp4")
    (folder / "bad.mp4").write_text("once upon a time\n" * 50)
    shutil.copy(no_face_clip, folder / "c.mkv")
    return folder


def batch(
    capsys: pytest.CaptureFixture[str], *args: str | Path
) -> tuple[int, dict[str, object], list[str]]:
    """Run it; return the exit code, the totals and the lines on stderr."""
    code = main(["batch", *map(str, args), "--json", "-d", "haar"])
    shown = capsys.readouterr()
    return code, json.loads(shown.out), shown.err.splitlines()


def states(totals: dict) -> list[str]:
    return [found["state"] for found in totals["inputs"]]


def test_there_is_a_job_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cores", lambda: 4)
    assert _at_once(None, 100) == 4
    assert _at_once(None, 3) == 3
    assert _at_once(7, 100) == 7
    monkeypatch.setattr(module, "cores", lambda: 96)
    assert _at_once(None, 100) == 8


def test_a_bad_file_spoils_no_other_and_what_is_done_stays_done(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    sources = sorted(inputs.iterdir())
    flags = ("-o", out, "-m", "--stats", "--jobs", "2", "--view", "blur:face")

    code, totals, lines = batch(capsys, *sources, *flags)

    assert code == 1
    assert states(totals) == ["done", "failed", "done"]
    assert (totals["done"], totals["failed"], totals["frames"]) == (2, 1, 20)
    assert lines[0].startswith(f"facereg: error: {inputs / 'bad.mp4'}: ")
    assert lines[-1].startswith(f"  failed: {inputs / 'bad.mp4'}: ")
    assert lines[-1].count("bad.mp4") == 1
    names = ["a.csv", "a.masks", "a.mp4", "c.csv", "c.masks", "c.mp4", "summary.csv"]
    assert sorted(p.name for p in out.glob("[!.]*")) == names
    assert clips.probe(out / "a.mp4").frames == clips.probe(out / "c.mp4").frames == 10
    with facereg.open_masks(out / "a.masks") as dump:
        assert dump[9].any()
        assert dump.manifest["segmenter"] == f"pspnet:threads={max(1, cores() // 2)}"
    written = {p: p.stat().st_mtime_ns for p in out.rglob("*.mp4")}

    # Once more: nothing is done twice, the bad one is tried again.
    (inputs / "bad.mp4").unlink()
    shutil.copy(inputs / "c.mkv", inputs / "bad.mp4")
    code, totals, _ = batch(capsys, *sources, *flags)
    assert (code, states(totals)) == (0, ["skipped", "done", "skipped"])
    assert written.items() <= {p: p.stat().st_mtime_ns for p in out.rglob("*.mp4")}.items()

    # A source that has changed is done again; with other options, nothing is replaced.
    os.utime(inputs / "a.mp4", (1, 1))
    code, totals, lines = batch(capsys, *sources, *flags)
    assert (code, states(totals)) == (0, ["done", "skipped", "skipped"])
    code, totals, lines = batch(capsys, *sources[1:], *flags, "--view", "raw")
    assert (code, states(totals)) == (1, ["failed", "failed"])
    assert "c.mp4 is there, made with other options; --overwrite replaces it" in lines[1]
    code, totals, _ = batch(capsys, *sources[1:], *flags, "--view", "raw", "--overwrite")
    assert (code, states(totals)) == (0, ["done", "done"])


def test_an_output_that_was_lost_or_changed_is_not_complete(
    face_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = (face_clip, "-o", tmp_path, "--duration", "0.1", "--stats")
    assert batch(capsys, *flags)[0] == 0
    (tmp_path / "face.mp4").write_bytes(b"mine")

    code, totals, _ = batch(capsys, *flags)
    assert (code, states(totals)) == (1, ["failed"])
    assert (tmp_path / "face.mp4").read_bytes() == b"mine"

    (tmp_path / "face.mp4").unlink()
    (tmp_path / "face.csv").unlink()
    assert states(batch(capsys, *flags)[1]) == ["done"]
    assert clips.probe(tmp_path / "face.mp4").frames == 3


def test_somebody_elses_file_is_not_replaced(
    face_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "face.mp4").write_bytes(b"precious")

    code, _, lines = batch(capsys, face_clip, "-o", tmp_path)

    assert code == 1
    assert "not by facereg batch; --overwrite replaces it" in lines[0]
    assert (tmp_path / "face.mp4").read_bytes() == b"precious"


def test_a_folder_of_pictures_becomes_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "holiday.2024"
    photos.mkdir()
    cv2.imwrite(str(photos / "me.jpg"), clips.astronaut())

    code, totals, _ = batch(capsys, photos, tmp_path / "none.mp4", "-o", tmp_path / "out")

    assert (code, states(totals)) == (1, ["done", "failed"])
    assert totals["inputs"][1]["error"] == "no such file or folder"
    assert [p.name for p in (tmp_path / "out" / "holiday.2024").iterdir()] == ["me.jpg"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["a.mp4", "other/a.mp4", "-o", "out"], "would both be written to"),
        (["a.mp4", "a.MKV", "-o", "out"], "would both be written to"),
        (["a.mp4", "-o", "."], "a.mp4 is an input; choose another folder"),
        (["a.mp4", "-o", "out", "-d", "mtcn"], "did you mean mtcnn"),
        (["a.mp4", "-o", "out", "-s", "pspnet:siez=288"], "did you mean size"),
        (["a.mp4", "-o", "out", "--view", "blur:nostril"], "unknown region 'nostril'"),
        (["a.mp4", "-o", "no/out"], "does not exist; create it first"),
        (["a.mp4"], "nothing to write: give -o OUTDIR"),
        (["a.mp4", "-o", "out", "--no-video"], "nothing to write: give -o OUTDIR"),
        (["a.mp4", "--stats", "--crf", "20"], "are for the videos of -o OUTDIR"),
        (["a.mp4", "-o", "-"], "nothing is written to stdout"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_begun(
    args: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other").mkdir()
    for name in ("a.mp4", "a.MKV", "other/a.mp4"):
        Path(name).touch()

    assert main(["batch", *args]) == (1 if "create it first" in message else 2)

    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not Path("out").exists()


def test_a_file_named_twice_is_done_once(
    face_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = str(face_clip.with_name("fac?.mp4"))

    _, totals, _ = batch(capsys, face_clip, pattern, "-o", tmp_path, "--duration", "0.1")

    assert states(totals) == ["done"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other there")
def test_ctrl_c_finishes_what_was_begun_and_the_same_command_goes_on(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "long.mp4", clips.still(300))
    shutil.copy(clip, tmp_path / "next.mp4")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "facereg", "batch", str(clip), str(tmp_path / "next.mp4")]
    command += ["-o", str(out), "-m", "--jobs", "1", "-d", "haar", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = out / "long.masks" / "frames.jsonl"
        while not (lines.exists() and lines.read_text().count("\n") > 10):
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        shown, error = process.communicate()

    assert process.returncode == 130
    assert states(json.loads(shown)) == ["interrupted", "waiting"]
    assert "2 left to do: the same command goes on" in error
    assert 10 < clips.probe(out / "long.mp4").frames < 300
    assert sorted(p.name for p in out.glob("[!.]*")) == ["long.masks", "long.mp4", "summary.csv"]
    assert not list(out.glob(".*.mp4"))

    other = subprocess.run(
        [*command, "--duration", "0.4"], capture_output=True, text=True, check=False
    )
    assert other.returncode == 0, other.stderr
    assert states(json.loads(other.stdout)) == ["done", "done"]
    assert clips.probe(out / "long.mp4").frames == len(facereg.open_masks(out / "long.masks")) == 10


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other there")
def test_after_a_kill_of_everything_the_same_command_resumes(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "long.mp4", clips.still(200))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "facereg", "batch", str(clip), "-o", str(out), "-m"]
    command += ["-d", "haar", "--json", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = out / "long.masks" / "frames.jsonl"
        while not (lines.exists() and lines.read_text().count("\n") > 30):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()

    while True:  # the recording's process notices at its next word
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "another run" not in done.stdout:
            break
    (found,) = json.loads(done.stdout)["inputs"]
    assert found["state"] == "done", found
    assert found["totals"]["cached"] > 10
    assert clips.probe(out / "long.mp4").frames == 200


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_two_batches_do_not_write_into_one_folder(
    face_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    with (tmp_path / ".facereg-batch.jsonl").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        assert main(["batch", str(face_clip), "-o", str(tmp_path)]) == 1

    assert "another facereg batch is writing into it" in capsys.readouterr().err


def test_no_password_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "rtsp://me:S3CRET@127.0.0.1:1/a"

    assert main(["batch", source, "-o", str(tmp_path / "o"), "--json", "-d", "haar"]) == 1

    shown = capsys.readouterr()
    assert "S3CRET" not in shown.out + shown.err
    assert "is no file; facereg run takes a stream" in shown.err


def test_nothing_of_the_current_folder_is_run(
    face_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("cv2", "numpy", "facereg"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'w'); raise ImportError('mine')")
    monkeypatch.chdir(tmp_path)

    code, totals, _ = batch(capsys, face_clip, "-o", "out", "--duration", "0.1")

    assert (code, states(totals)) == (0, ["done"])
    assert not Path("RAN").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_not_utf_8_spoils_nothing(
    face_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd, bad = (tmp_path / os.fsdecode(name) for name in (b"caf\xe9.mp4", b"\xff.mp4"))
    shutil.copy(face_clip, odd)
    bad.write_text("no video")

    code, totals, lines = batch(
        capsys, bad, odd, face_clip, "-o", tmp_path / "out", "--duration", "0.1", "--stats"
    )

    assert (code, states(totals)) == (1, ["failed", "done", "done"])
    assert r"\xff.mp4" in lines[0]
    assert clips.probe(tmp_path / "out" / odd.name).frames == 3


def test_the_list_of_a_while_read_loop_is_not_eaten(face_clip: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list"
    listed.write_text("1.mp4\n2.mp4\n" * 1000)
    command = [sys.executable, "-m", "facereg"]
    for line in (["run", face_clip, "--stats", tmp_path / "s.csv"], ["batch", face_clip]):
        with listed.open() as stdin:
            where = ["-o", str(tmp_path / line[0]) + (".mp4" if line[0] == "run" else "")]
            subprocess.run(
                [*command, *map(str, line), *where, "--quiet", "-d", "haar"],
                stdin=stdin, check=True,
            )  # fmt: skip
            assert os.lseek(stdin.fileno(), 0, os.SEEK_CUR) == 0


def test_a_folder_of_videos_is_its_videos(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inputs / "bad.mp4").unlink()

    code, totals, _ = batch(capsys, inputs, "-o", tmp_path / "out", "--duration", "0.1")

    assert (code, states(totals)) == (0, ["done", "done"])
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == [
        "a.mp4",
        "c.mp4",
        "summary.csv",
    ]


def test_a_recording_that_is_killed_is_its_own_failure(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "dies.py"
    plugin.write_text(
        "import os, signal, facereg\n"
        "class Dies(facereg.Detector):\n"
        "    name = 'dies'\n"
        "    def detect(self, frame):\n"
        "        if frame.index == 3:\n"
        "            print('stray words')\n"
        f"            if os.path.exists({str(tmp_path / 'mercy')!r}): return []\n"
        f"            open({str(tmp_path / 'mercy')!r}, 'w').close()\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return []\n"
        "@facereg.hookimpl\n"
        "def register_detectors(): return [Dies]\n"
    )
    args = [inputs / "a.mp4", inputs / "c.mkv", "-o", tmp_path / "out", "--plugin", plugin]
    code = main(["batch", *map(str, args), "--json", "--jobs", "1", "-d", "dies"])

    totals = json.loads(capsys.readouterr().out)
    assert (code, states(totals)) == (1, ["failed", "done"])
    assert totals["inputs"][0]["error"].startswith("ended by SIGKILL")


def read_table(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_figures_alone_need_no_video_and_a_table_sums_them_up(
    inputs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (inputs / "day").mkdir()
    (inputs / "c.mkv").rename(inputs / "day" / "c.mkv")

    code, totals, _ = batch(capsys, f"{inputs}/**", "none.mp4", "--stats")

    assert (code, states(totals)) == (1, ["done", "failed", "done", "failed"])
    assert sorted(p.name for p in tmp_path.glob("[!.]*")) == ["a.csv", "day", "in", "summary.csv"]
    assert [p.name for p in Path("day").iterdir()] == ["c.csv"]
    first, bad, second, missing = read_table(tmp_path)
    assert list(first) == ["path", "frames", "faces", "seconds", "duration", "error"]
    assert (first["path"], first["frames"], first["faces"]) == (str(inputs / "a.mp4"), "10", "10")
    assert (first["duration"], first["error"]) == ("0.4", "")
    assert float(first["seconds"]) > 0
    assert (bad["frames"], missing["frames"], second["faces"]) == ("", "", "0")
    assert missing["error"] == "no such file or folder"

    # What is skipped keeps its figures; what failed by itself is tried again on request.
    code, totals, _ = batch(capsys, f"{inputs}/**", "none.mp4", "--stats")
    assert (code, states(totals)) == (1, ["skipped", "failed", "skipped", "failed"])
    assert read_table(tmp_path)[0] == first
    assert "--retry-failed" in read_table(tmp_path)[1]["error"]
    code, totals, _ = batch(capsys, f"{inputs}/**", "--stats", "--retry-failed")
    assert (code, states(totals)) == (1, ["skipped", "failed", "skipped"])
    assert "--retry-failed" not in read_table(tmp_path)[1]["error"]


def test_a_failure_of_its_surroundings_is_not_held_against_a_recording(
    face_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "face.csv").mkdir()
    (tmp_path / "face.csv" / "mine").touch()
    assert batch(capsys, face_clip, "-o", tmp_path, "--stats", "--overwrite")[0] == 1

    (tmp_path / "face.csv" / "mine").unlink()
    (tmp_path / "face.csv").rmdir()
    code, totals, _ = batch(capsys, face_clip, "-o", tmp_path, "--stats", "--duration", "0.1")
    assert (code, states(totals)) == (0, ["done"])


def test_shards_make_what_one_batch_makes(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    flags = (inputs, "--stats", "--no-video", "--jobs", "1")
    batch(capsys, *flags, "-o", whole)
    made: list[str] = []
    for number in (1, 2, 3):
        _, totals, _ = batch(capsys, *flags, "-o", shared, "--shard", f"{number}/3")
        made += [Path(found["source"]).name for found in totals["inputs"]]
        assert not (shared / "summary.csv").exists()

    assert main(["batch", "--merge", "-o", str(shared)]) == 1
    assert sorted(made) == ["a.mp4", "bad.mp4", "c.mkv"]
    assert f"3 recordings, 1 of them not done: {shared / 'summary.csv'}" in capsys.readouterr().err
    for name in ("a.csv", "c.csv"):
        assert (shared / name).read_bytes() == (whole / name).read_bytes()
    same = ("path", "frames", "faces", "duration")
    left, right = (
        [{key: row[key] for key in same} for row in read_table(folder)]
        for folder in (whole, shared)
    )
    assert left == right

    (inputs / "bad.mp4").unlink()
    shutil.copy(inputs / "c.mkv", inputs / "new.mkv")
    main(["batch", "--merge", *map(str, inputs.glob("*")), "-o", str(shared)])
    errors = {Path(row["path"]).name: row["error"] for row in read_table(shared)}
    assert errors["new.mkv"] == "not begun"
    assert batch(capsys, inputs, "--stats", "--no-video", "-o", shared)[1]["skipped"] == 2


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_a_shard_is_one_of_them(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["batch", "a.mp4", "-o", "out", "--shard", text])

    assert ended.value.code == 2
    assert "is no I/N with I from 1 to N" in capsys.readouterr().err


def test_there_is_nothing_to_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "--merge", "-o", str(tmp_path)]) == 1
    assert "no facereg batch has written into it" in capsys.readouterr().err
    assert main(["batch", "-o", str(tmp_path)]) == 2
    assert "no INPUT" in capsys.readouterr().err
