"""The main job, as a user runs it: the shipped model, real files, read back by ffmpeg."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import facereg
from facereg.cli import main
from tests import clips

Run = Callable[..., tuple[int, str]]

BROKEN = """
import facereg


class Broken(facereg.Detector):
    name = "broken"

    def detect(self, frame):
        raise ValueError("never")


@facereg.hookimpl
def register_detectors():
    return [Broken]
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process; return its exit code and its one line of error."""

    def call(*args: str | Path) -> tuple[int, str]:
        code = main(["run", *map(str, args), "--quiet"])
        return code, capsys.readouterr().err.strip()

    return call


def totals(capsys: pytest.CaptureFixture[str], *args: str | Path) -> dict:
    assert main(["run", *map(str, args), "--quiet", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_video_becomes_an_mp4_and_masks(
    two_faces_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, masks = tmp_path / "out.mp4", tmp_path / "masks"
    done = totals(capsys, two_faces_clip, "-o", out, "-m", masks)
    assert done["frames"] == 20
    assert done["outputs"] == [str(out), str(masks)]
    assert {"read", "detect", "segment", "draw", "encode", "masks"} <= set(done["stages"])
    found = clips.probe(out)
    assert (found.frames, found.rate) == (20, 25)
    with facereg.open_masks(masks) as dump:
        lines = dump.frames
        both = [line for line in lines if len(line["faces"]) == 2]
        assert len(both) >= 19
        for line in both:
            left, right = sorted(line["faces"], key=lambda f: f["box"][0])
            assert left["box"][2] < 300 < right["box"][2]
            assert min(f["areas"]["skin"] for f in (left, right)) > 500
        labels = dump[0]
    middle = labels.shape[1] // 2
    for half in (labels[:, :middle], labels[:, middle:]):
        eyes, mouth = np.isin(half, (4, 5)), np.isin(half, (7, 8, 9))
        assert np.nonzero(eyes)[0].mean() < np.nonzero(mouth)[0].mean()


@pytest.mark.slow
def test_the_picture_shows_the_masks_where_the_face_is(face_clip: Path, tmp_path: Path) -> None:
    overlay, plain = tmp_path / "overlay.mp4", tmp_path / "raw.mp4"
    assert main(["run", str(face_clip), "-o", str(overlay), "--quiet"]) == 0
    assert main(["run", str(face_clip), "-o", str(plain), "--view", "raw", "--quiet"]) == 0
    after, before = (clips.decoded(path)[5].astype(int) for path in (overlay, plain))
    changed = np.abs(after - before).max(2) > 40
    rows, columns = np.nonzero(changed)
    assert changed.mean() > 0.03
    x0, y0, x1, y1 = (
        v * 320 / 384 - (40 * 320 / 384 if i % 2 == 0 else 0) for i, v in enumerate(clips.FACE)
    )
    assert x0 - 60 < columns.mean() < x1 + 60
    assert y0 - 60 < rows.mean() < y1 + 60


@pytest.mark.slow
def test_masks_follow_a_pan(pan_clip: Path, tmp_path: Path) -> None:
    assert main(["run", str(pan_clip), "-m", str(tmp_path / "m"), "--quiet"]) == 0
    dump = facereg.open_masks(tmp_path / "m")
    noses = [np.nonzero(dump[i] == 6)[1].mean() for i in (0, 10, 20, 29)]
    moved = np.diff(noses)
    np.testing.assert_allclose(moved, [-40, -40, -36], atol=5)


@pytest.mark.slow
def test_sound_rate_and_times_survive(sound_clip: Path, ntsc_clip: Path, tmp_path: Path) -> None:
    assert main(["run", str(sound_clip), "-o", str(tmp_path / "s.mp4"), "--quiet"]) == 0
    assert clips.probe(tmp_path / "s.mp4").audio_codec == "aac"
    assert main(["run", str(ntsc_clip), "-o", str(tmp_path / "n.mp4"), "--quiet"]) == 0
    times = clips.timestamps(tmp_path / "n.mp4")
    assert list(times) == [Fraction(1001 * i, 24000) for i in range(48)]


@pytest.mark.slow
def test_a_clip_without_faces_passes_and_has_its_lines(no_face_clip: Path, tmp_path: Path) -> None:
    out, masks = tmp_path / "out.mp4", tmp_path / "masks"
    assert main(["run", str(no_face_clip), "-o", str(out), "-m", str(masks), "--quiet"]) == 0
    before, after = clips.decoded(no_face_clip)[3].astype(int), clips.decoded(out)[3].astype(int)
    assert np.abs(before - after).mean() < 3
    lines = [json.loads(line) for line in (masks / "frames.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(10))
    assert not any(line["faces"] for line in lines)
    assert not facereg.open_masks(masks)[0].any()


@pytest.mark.slow
def test_start_and_duration_keep_the_sources_index_and_time(
    ntsc_clip: Path, tmp_path: Path
) -> None:
    args = ["--start", "0.5", "--duration", "1", "-m", str(tmp_path / "m"), "--quiet"]
    assert main(["run", str(ntsc_clip), *args]) == 0
    lines = [json.loads(x) for x in (tmp_path / "m" / "frames.jsonl").read_text().splitlines()]
    assert lines[0]["index"] == 12
    assert lines[0]["time"] == pytest.approx(12 * 1001 / 24000, abs=1e-3)
    assert len(lines) == 24


@pytest.mark.slow
def test_a_folder_of_mixed_sizes_gives_masks_but_no_video(tmp_path: Path, run: Run) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.jpg"), clips.astronaut())
    cv2.imwrite(str(photos / "b.jpg"), clips.astronaut()[:300])
    assert run(photos, "-m", tmp_path / "m")[0] == 0
    lines = [json.loads(x) for x in (tmp_path / "m" / "frames.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["a.jpg", "b.jpg"]
    assert [len(line["faces"]) for line in lines] == [1, 1]
    code, error = run(photos, "-o", tmp_path / "out.mp4")
    assert code == 1
    assert "b.jpg" in error
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.slow
def test_a_truncated_file_is_done_as_far_as_it_goes(
    truncated_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    assert main(["run", str(truncated_clip), "-o", str(out)]) == 0
    error = capsys.readouterr().err
    assert "warning" in error
    assert "of its 30 frames could be read" in error
    assert 0 < clips.probe(out).frames < 30


@pytest.mark.slow
@pytest.mark.parametrize("size", [(2, 2), (31, 17)])
def test_tiny_videos_pass(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = [np.full((size[1], size[0], 3), 10 * i, np.uint8) for i in range(3)]
    clip = clips.write_clip(tmp_path / "tiny.mkv", frames, args=("-c:v", "ffv1"))
    assert main(["run", str(clip), "-o", str(tmp_path / "o.mp4"), "--quiet"]) == 0
    assert clips.probe(tmp_path / "o.mp4").frames == 3


@pytest.mark.slow
def test_a_video_of_one_frame_passes(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "one.mp4", clips.still(1))
    assert main(["run", str(clip), "-o", str(tmp_path / "o.mp4"), "--quiet"]) == 0
    assert clips.probe(tmp_path / "o.mp4").frames == 1


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Path]:
    """Inputs and outputs that cannot be."""
    names = ("missing", "empty", "text", "exists")
    paths = {name: tmp_path / f"{name}.mp4" for name in names}
    paths["empty"].touch()
    paths["text"].write_text("once upon a time\n" * 50)
    paths["exists"].write_bytes(b"precious")
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("name", ["missing", "empty", "text"])
def test_an_input_that_is_no_video_is_named(bad: dict[str, Path], name: str, run: Run) -> None:
    out = bad["missing"].with_name("out.mp4")
    code, error = run(bad[name], "-o", out)
    assert code == 1
    assert error.startswith("facereg: error: ")
    assert f"{name}.mp4" in error
    assert len(error.splitlines()) == 1
    assert sorted(p.name for p in out.parent.iterdir()) == ["empty.mp4", "exists.mp4", "text.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-o", "{tmp}/exists.mp4"], "exists"),
        (["-o", "{tmp}/no/folder/out.mp4"], "folder"),
        (["-o", "{tmp}/out.avi"], ".mp4"),
        (["-o", "{tmp}/o.mp4", "--view", "isolated:nostril"], "unknown region 'nostril'"),
        (["-o", "{tmp}/o.mp4", "-d", "mtcn"], "did you mean mtcnn"),
        (["-o", "{tmp}/o.mp4", "-s", "pspnett"], "did you mean pspnet"),
        (["-o", "{tmp}/o.mp4", "-d", "mtcnn:min_fcae=3"], "did you mean min_face"),
        (["-o", "{tmp}/o.mp4", "-d", "mtcnn:min_face=many"], "must be a whole number"),
        (["--sink", "mp5:path=x"], "did you mean mp4"),
        (["--sink", "mp4:crf=18"], "needs the option path"),
        (["-o", "{tmp}/o.mp4", "-s", "pspnet:weights={tmp}/none.pt"], "no such model file"),
        ([], "nothing to write"),
        (["-o", "{tmp}/o.mp4", "--sink", "stats:path={tmp}/o.csv,view=raw"], "no option 'view'"),
        (["-o", "{tmp}/o.jpg"], "name a folder for a picture a frame: -o {tmp}/o/"),
        (["-o", "{tmp}/o%04d.png"], "named and numbered there: -o {tmp}/FOLDER/"),
        (["-o", "-"], "--output -: nothing is written to stdout"),
        (["-m", "-"], "--masks -: nothing is written to stdout"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    face_clip: Path, bad: dict[str, Path], args: list[str], message: str, run: Run
) -> None:
    folder = bad["exists"].parent
    code, error = run(face_clip, *(a.replace("{tmp}", str(folder)) for a in args))
    assert code == (1 if message in ("exists", "folder", "no such model file") else 2)
    assert message.replace("{tmp}", str(folder)) in error
    assert len(error.splitlines()) == 1
    assert bad["exists"].read_bytes() == b"precious"
    assert not list(folder.glob("o*.mp4"))


@pytest.mark.parametrize("source", ["{photos}", "{photos}/*.png", "{photos}/a.png"])
def test_pictures_are_not_written_over_themselves(source: str, tmp_path: Path, run: Run) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "a.png"), clips.astronaut())
    before = (photos / "a.png").read_bytes()
    code, error = run(source.format(photos=photos), "-o", photos, "--overwrite")
    assert (code, "has the source's own pictures in it" in error) == (2, True)
    code, error = run(source.format(photos=photos), "-m", photos, "--overwrite")
    assert (code, "has the source in it" in error) == (2, True)
    assert (photos / "a.png").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["o.png", "o.JPG", "o.webp", "o.tiff"])
def test_a_picture_becomes_a_picture(name: str, tmp_path: Path, run: Run) -> None:
    photo, out = tmp_path / "me.png", tmp_path / name
    cv2.imwrite(str(photo), clips.astronaut())

    assert run(photo, "-o", out) == (0, "")
    drawn = cv2.imread(str(out))
    assert drawn.shape == clips.astronaut().shape
    assert np.abs(drawn.astype(int) - clips.astronaut()).mean() > 2

    code, error = run(photo, "-o", out)
    assert (code, "exists; --overwrite replaces it" in error) == (1, True)
    assert run(photo, "-o", out, "--overwrite") == (0, "")
    code, error = run(photo, "-o", photo, "--overwrite")
    assert (code, "is the source itself" in error) == (2, True)
    code, error = run(photo, "-o", tmp_path / "o.avif")
    assert (code, "must end in .jpg or" in error) == (2, True)


def test_a_number_pattern_is_answered_with_a_glob(tmp_path: Path, run: Run) -> None:
    code, error = run(tmp_path / "img_%04d.png", "-m", tmp_path / "m")

    assert (code, f"'{tmp_path}/img_*.png'" in error) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("cause", ["a sink", "the detector"])
def test_a_run_that_fails_at_once_leaves_nothing(
    cause: str, face_clip: Path, tmp_path: Path, run: Run
) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(BROKEN)
    args: list[str | Path] = ["--stats", tmp_path / "s.csv", "-m", tmp_path / "masks"]
    if cause == "a sink":
        args += ["--sink", f"images:path={tmp_path / 'none' / 'pictures'}"]
    else:
        args += ["-o", tmp_path / "o.mp4", "--plugin", plugin, "-d", "broken"]
    code, error = run(face_clip, *args)
    assert (code, len(error.splitlines())) == (1, 1)
    assert list(tmp_path.iterdir()) == [plugin]


@pytest.mark.slow
def test_a_run_that_fails_later_names_what_came_before(
    face_clip: Path, tmp_path: Path, run: Run
) -> None:
    plugin = tmp_path / "broken.py"
    late = BROKEN.replace("raise", "if frame.index < 6:\n            return []\n        raise")
    plugin.write_text(late)
    out, masks = tmp_path / "o.mp4", tmp_path / "masks"
    code, error = run(face_clip, "-o", out, "-m", masks, "--plugin", plugin, "-d", "broken")
    assert code == 1
    assert error.endswith(f"frame 6: ValueError: never; what came before it is in {out}, {masks}")
    assert clips.probe(out).frames == 6
    with facereg.open_masks(masks) as dump:
        assert (len(dump), dump.complete) == (6, False)


@pytest.mark.slow
def test_what_a_source_cannot_do_is_told(tmp_path: Path, run: Run) -> None:
    stream = ["rtsp://127.0.0.1:9/x", "-o", tmp_path / "o.mp4", "--start", "3"]
    assert "source rtsp: takes no 'start'; leave it out" in run(*stream)[1]
    several = run(tmp_path / "*.mp4", "-o", tmp_path / "o.mp4")
    assert "no picture matches" in several[1] and "facereg batch" in several[1]


@pytest.mark.slow
def test_overwrite_replaces(face_clip: Path, bad: dict[str, Path], run: Run) -> None:
    assert run(face_clip, "-o", bad["exists"], "--overwrite") == (0, "")
    assert clips.probe(bad["exists"]).frames == 10


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(
    face_clip: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    code, error = run(face_clip, "-o", tmp_path / "shut" / "o.mp4")
    assert (code, "shut" in error) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_finishes_every_file(sound_clip: Path, tmp_path: Path, number: int) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip(f"these tests run where {number.name} is ignored, as under nohup")
    clip = tmp_path / "long.mp4"
    clips.write_clip(clip, clips.still(400), audio="aac")
    out, masks = tmp_path / "out.mp4", tmp_path / "m"
    command = [sys.executable, "-m", "facereg", "run", str(clip), "-o", str(out), "-m", str(masks)]
    process = subprocess.Popen([*command, "--quiet"], stderr=subprocess.PIPE, text=True)
    lines = masks / "frames.jsonl"
    while not (lines.exists() and lines.read_text().count("\n") > 20):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)
    process.send_signal(number)
    _, error = process.communicate()
    assert process.returncode == 130
    assert error == ""
    found = clips.probe(out)
    assert 20 < found.frames < 400
    assert found.audio_codec == "aac"
    assert len(facereg.open_masks(masks).frames) == found.frames
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long.mp4", "m", "out.mp4"]


@pytest.mark.slow
def test_after_ctrl_c_the_same_command_resumes(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "long.mp4", clips.still(500))
    out, masks, stats = tmp_path / "o.mp4", tmp_path / "m", tmp_path / "s.csv"
    command = [sys.executable, "-m", "facereg", "run", str(clip), "-o", str(out), "-m", str(masks)]
    command += ["--stats", str(stats), "--quiet", "--json"]
    command += ["--sink", f"stats:path={tmp_path / 's.jsonl'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not (masks / ".state").exists():  # what the next run goes on from
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert out.exists() and stats.exists()

    stats.write_text("mine now")  # what is not the interrupted run's is not replaced
    refused = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "s.csv exists; --overwrite replaces it" in refused.stderr
    stats.unlink()
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True)

    totals = json.loads(done.stdout)
    assert totals["frames"] == clips.probe(out).frames == 500
    assert totals["cached"] > 10
    assert len(stats.read_text().splitlines()) == 501
    assert (tmp_path / "s.jsonl").read_text().count("\n") == 500
    assert sorted(p.name for p in masks.iterdir() if p.name.startswith(".")) == []


@pytest.mark.slow
def test_a_second_ctrl_c_ends_a_run_whose_detector_hangs(face_clip: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "hangs.py"
    hung = tmp_path / "hung"
    action = f"import time; open({str(hung)!r}, 'w').close(); time.sleep(10**6)"
    plugin.write_text(BROKEN.replace('raise ValueError("never")', action))
    command = [sys.executable, "-m", "facereg", "run", str(face_clip), "--stats"]
    command += [str(tmp_path / "s.csv"), "--plugin", str(plugin), "-d", "broken", "--quiet"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not hung.exists():
            assert process.poll() is None
            time.sleep(0.02)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(1)
        assert process.wait() == 130
        assert process.stderr and process.stderr.read() == ""


@pytest.mark.slow
def test_python_yields_the_same_faces(face_clip: Path) -> None:
    results = list(facereg.process(face_clip, max_faces=1, duration=0.2))
    assert [r.frame.index for r in results] == [0, 1, 2, 3, 4]
    assert all(r.faces[0].regions.area("eyes") > 20 for r in results if r.faces[0].regions)
    assert {r.faces[0].id for r in results} == {1}


@pytest.mark.slow
def test_python_may_leave_smoothing_out(face_clip: Path) -> None:
    one, other = (facereg.process(face_clip, smooth=how, duration=0.4) for how in (True, False))
    pairs = [(a.labels(), b.labels()) for a, b in zip(one, other, strict=True)]
    assert len(pairs) == 10
    assert any((a != b).any() for a, b in pairs)


@pytest.mark.slow
def test_a_run_leaves_nothing_in_the_home_folder(face_clip: Path, tmp_path: Path) -> None:
    """ONNX Runtime would keep a device id and a store of events there."""
    home = tmp_path / "home"
    home.mkdir()
    dropped = ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED", "CI")
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    command = [sys.executable, "-m", "facereg", "run", str(face_clip), "--quiet"]

    subprocess.run(
        [*command, "-o", str(tmp_path / "o.mp4")], env={**env, "HOME": str(home)}, check=True
    )

    assert list(home.rglob("*")) == []


def test_a_second_opencv_is_one_line_with_both_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = {"opencv-python": "4.14.0.94", "opencv-python-headless": "4.10.0.84"}
    monkeypatch.setattr("facereg.commands.run.installed_opencvs", lambda: versions)

    assert main(["run", str(tmp_path / "none.mp4"), "--stats", str(tmp_path / "s.csv")]) == 1

    line, error = capsys.readouterr().err.splitlines()
    assert line.startswith("facereg: warning: opencv-python 4.14.0.94 and opencv-python-headless 4")
    assert line.endswith("'opencv-python==4.14.0.94' 'opencv-python-headless==4.14.0.94'")
    assert "none.mp4" in error


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
def test_a_terminal_shows_how_far_the_run_is(face_clip: Path, tmp_path: Path) -> None:
    master, slave = os.openpty()
    command = [sys.executable, "-m", "facereg", "run", str(face_clip), "-o", tmp_path / "o.mp4"]
    subprocess.run(command, stderr=slave, check=True)
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(master, 65536):
            shown += part
    os.close(master)

    lines = shown.decode().split("\r\x1b[K")
    bar, summary = lines[-1].splitlines()[:2]
    assert re.fullmatch(r"█{20} 10/10 frames  [\d.]+/s  0:00:00 left  face\.mp4", bar)
    assert summary.startswith("10 frames, 10 faces in")


@pytest.mark.slow
def test_a_person_who_is_never_there_is_reported_at_the_end_and_nobody_is_unhidden(
    run: Run, face_clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    view = ["--view", "fill:face,except=9,color=#ff00ff"]

    code, said = run(face_clip, "-o", out, *view, "--duration", "0.2", "--detect-every", "1")

    assert code == 1
    assert "there was no face 9; the overlay and --stats show the ids; written: " in said
    for picture in clips.decoded(out):
        assert (np.abs(picture.astype(int) - (255, 0, 255)).max(axis=2) < 40).mean() > 0.02
