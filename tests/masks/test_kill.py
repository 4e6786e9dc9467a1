"""A run with every kind of file, killed at random moments, is resumed to the same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facereg.masks.repair import OUTPUTS
from tests.masks.dumps import FORMATS, files
from tests.sinks import ending

pytestmark = pytest.mark.slow

ROOT, PLUGIN = Path(__file__).parents[2], Path(ending.__file__)

#: Kills of each format of masks.
KILLS = 4


def start(clip: Path, out: Path, kind: str, *more: str) -> subprocess.Popen[bytes]:
    """Begin a run of drawn people that writes a video, pictures, masks and three tables."""
    command = [sys.executable, "-m", "facereg", "run", str(clip), "--plugin", str(PLUGIN)]
    command += ["-d", "crossing", "-s", "remembers", "--quiet", "-o", f"{out}.mp4"]
    command += ["-m", str(out), "--masks-format", kind, "--stats", f"{out}.csv"]
    command += ["--sink", f"stats:path={out}.jsonl", "--sink", f"stats:path={out}.parquet"]
    command += ["--sink", f"images:path={out}-pictures", *more]
    calls = out.with_suffix(".txt")
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    variables = {"CALLS": str(calls), "END": "", "OFTEN": "yes", "PYTHONPATH": path}
    return subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()


def has_ended(out: Path) -> bool:
    """Whether a run came to its end before it was killed: all is in place, and nothing is noted."""
    there = all(path.exists() for path in (out, out.with_suffix(".mp4"), out.with_suffix(".csv")))
    return there and not (out / OUTPUTS).exists()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("replaced", [False, True], ids=["new", "replaces another"])
def test_a_run_killed_at_random_moments_is_resumed_to_the_same_bytes(
    tmp_path: Path, pan_clip: Path, kind: str, replaced: bool
) -> None:
    chance = random.Random(f"{kind} {replaced}")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    began = time.monotonic()
    finish(start(pan_clip, whole, kind))
    seconds = time.monotonic() - began
    more = ["--overwrite"] if replaced else []
    if replaced:
        finish(start(pan_clip, cut, kind, "--duration", "0.3"))
        (cut / "notes.txt").write_text("precious")
        before = {path.name: path.read_bytes() for path in cut.iterdir()}
    for number in range(KILLS):
        process = start(pan_clip, cut, kind, *more, *(["--resume"] if number else []))
        time.sleep(chance.uniform(0.2, 0.95) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if not process.returncode or (not replaced and has_ended(cut)):
            break
        if replaced:
            manifest = json.loads((cut / "manifest.json").read_text())
            is_new = (manifest["complete"], manifest["frames"]) == (True, 30)
            assert is_new or files(cut) == before, "the old dump stays until the new is complete"
    else:
        finish(start(pan_clip, cut, kind, *more, "--resume"))
    if replaced:
        assert (cut / "notes.txt").read_text() == "precious"
        (cut / "notes.txt").unlink()
    assert files(cut) == files(whole)
    for ending_of_name in (".csv", ".jsonl", ".parquet", ".mp4"):
        one, other = (out.with_suffix(ending_of_name).read_bytes() for out in (cut, whole))
        assert one == other, ending_of_name
    assert files(tmp_path / "cut-pictures") == files(tmp_path / "whole-pictures")
    assert not list(tmp_path.glob(".cut.part")) + list(tmp_path.glob(".cut.old"))
