"""A dump whose run was ended, however it was, is completed to the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import facereg
from facereg.components import Run
from facereg.errors import SinkError
from facereg.sinks.masks import MasksSink
from tests.masks.dumps import FORMATS, RESULTS, dump, files
from tests.sinks.results import info

KILLED = """
import os, signal, sys
from pathlib import Path
from facereg.sinks.masks import MasksSink
from tests.masks.dumps import RESULTS, RUN, info
sink = MasksSink(path=Path(sys.argv[1]), format=sys.argv[2], instances=True)
sink.open(info(), RUN)
for one in RESULTS[:int(sys.argv[3])]:
    sink.write(one)
for pipe in getattr(sink._dump._container, "_pipes", {}).values():
    os.kill(pipe.pid, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dump everything in one go, in each format."""
    folder = tmp_path_factory.mktemp("whole")
    for kind in FORMATS:
        dump(folder / kind, format=kind, instances=True)
    return folder


def kill(folder: Path, kind: str, frames: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), kind, str(frames)], check=False,
        env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_a_killed_dump_says_so_and_is_resumed_to_the_same_bytes(
    tmp_path: Path, whole: Path, kind: str, caplog: pytest.LogCaptureFixture
):
    folder = tmp_path / "masks"
    kill(folder, kind, 67)
    assert json.loads((folder / "manifest.json").read_text())["complete"] is False
    with facereg.open_masks(folder) as masks:
        assert not masks.complete
        assert "was not finished" in caplog.text
        assert np.array_equal(masks[5], RESULTS[5].labels()) if len(masks) else kind == "ffv1"
    sink = dump(folder, format=kind, instances=True, resume=True)
    assert sink.report["resumed"] == len(sink.done)
    assert len(sink.done) > (0 if kind == "ffv1" else 60)
    assert files(folder) == files(whole / kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("frames", [0, 1, 40, 64, 70])
def test_a_dump_that_was_ended_is_resumed_to_the_same_bytes(
    tmp_path: Path, whole: Path, kind: str, frames: int
):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:frames], format=kind, instances=True)
    dump(folder, format=kind, instances=True, resume=True)
    assert files(folder) == files(whole / kind)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("frames.jsonl", -7), ("000066.png", 40), ("000066.png", 0), ("000066.png", -1),
        ("000066.instances.png", 30), ("000012.png", 50), ("000012.png", None),
    ],
)  # fmt: skip
def test_a_torn_line_or_file_is_made_again(
    tmp_path: Path, whole: Path, name: str, keep: int | None
):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:67], instances=True)
    if keep is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    sink = dump(folder, instances=True, resume=True)
    assert len(sink.done) == (12 if "12" in name else 66)
    assert files(folder) == files(whole / "png")


def test_a_torn_chunk_is_made_again(tmp_path: Path, whole: Path):
    folder = tmp_path / "masks"
    shutil.copytree(whole / "npz", folder)
    os.truncate(folder / "000000.npz", 3000)
    dump(folder, format="npz", instances=True, resume=True)
    assert files(folder) == files(whole / "npz")


def test_resuming_after_a_resumption_that_was_killed(tmp_path: Path, whole: Path):
    folder = tmp_path / "masks"
    shutil.copytree(whole / "ffv1", folder)
    for name in ("masks.mkv", "instances.mkv"):  # as while the frames are copied over
        os.replace(folder / name, folder / f".{name}.old")
        (folder / f".{name}.part").write_bytes(b"half")
    sink = dump(folder, format="ffv1", instances=True, resume=True)
    assert len(sink.done) == 70
    assert files(folder) == files(whole / "ffv1")


def test_another_kind_of_run_does_not_resume_a_dump(tmp_path: Path):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:9])
    before = files(folder)
    with pytest.raises(SinkError, match=r"its source is .*clip.mp4.*--overwrite starts again"):
        dump(folder, source=info(320, 240), resume=True)
    with pytest.raises(SinkError, match=r"its format is png, and that of this run npz"):
        dump(folder, format="npz", resume=True)
    sink = MasksSink(path=folder, resume=True)
    with pytest.raises(SinkError, match=r"its detector is mtcnn, and that of this run None"):
        sink.open(info(), Run())
    assert files(folder) == before


def test_resuming_where_nothing_is_yet_begins(tmp_path: Path, whole: Path):
    dump(tmp_path / "masks", instances=True, resume=True)
    assert files(tmp_path / "masks") == files(whole / "png")
