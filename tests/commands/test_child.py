"""The process of a job speaks JSON lines and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from facereg.commands.batch import CHILD_CODE
from facereg.commands.python_process import python_command

pytestmark = pytest.mark.slow

CHATTY = """
import sys, logging, facereg
print("stray words of a plugin")


class Chatty(facereg.Detector):
    name = "chatty"

    def detect(self, frame):
        print("more of them", flush=True)
        logging.getLogger("facereg.chatty").warning("frame %d is dark", frame.index)
        return []


@facereg.hookimpl
def register_detectors():
    return [Chatty]
"""


def records(*arguments: str | Path) -> tuple[int, list[dict], str]:
    """Run a job's process; return its exit code, its records and its stderr."""
    command = python_command(CHILD_CODE, "run", *map(str, arguments), "--quiet")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_run_that_ends_well(face_clip: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "chatty.py"
    plugin.write_text(CHATTY)
    output = ("--stats", tmp_path / "s.csv", "--plugin", plugin, "-d", "chatty")

    code, said, stderr = records(face_clip, *output, "--duration", "0.2")

    assert code == 0
    assert said[0] == {"event": "opened", "total": 5}
    assert {"event": "warning", "text": "frame 0 is dark"} in said
    # The detector looks ahead, so it may warn of a frame after the last one at any moment.
    others = [record for record in said if record["event"] != "warning"]
    assert others[-2] == {"event": "finishing"}
    assert others[-1]["event"] == "result"
    assert others[-1]["totals"]["frames"] == 5
    assert "stray words" in stderr
    assert "more of them" in stderr


def test_a_run_that_fails_says_why_without_the_name_of_its_source(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")

    code, said, stderr = records(bad, "--stats", tmp_path / "s.csv")

    assert code == 1
    assert [record["event"] for record in said] == ["error"]
    assert said[0]["text"]
    assert "bad.mp4" not in said[0]["text"]
    assert "Traceback" in stderr


def test_a_run_whose_batch_is_gone_ends(face_clip: Path, tmp_path: Path) -> None:
    command = python_command(
        CHILD_CODE, "run", str(face_clip), "--stats", str(tmp_path / "s.csv"), "--quiet"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.close()

        assert process.wait() == 1

    assert not (tmp_path / "s.csv").exists()
