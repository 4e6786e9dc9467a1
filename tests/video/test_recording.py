"""What is left of a recording when something goes wrong: always something that plays."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from facereg import output
from facereg.components import Run
from facereg.errors import SinkError
from facereg.sinks.mp4 import Mp4Sink
from tests import clips
from tests.sinks.results import feed, info, picture, result

pytestmark = pytest.mark.slow

#: Feeds a sink from another process: 75 numbered frames, 3 seconds, then waits to be killed.
VICTIM = """
import sys, time
from pathlib import Path
from facereg.components import Run
from facereg.sinks.mp4 import Mp4Sink
from tests import clips
from tests.sinks.results import info, picture
sink = Mp4Sink(path=Path(sys.argv[1]), view="raw")
sink.open(info(), Run())
for i, image in enumerate(clips.numbered(75)):
    sink.write(picture(image, i, i / 25))
print(sink._recording.encoder_pid, flush=True)
time.sleep(60)
"""


class Victim(NamedTuple):
    process: subprocess.Popen[str]
    encoder: int


def start(out: Path) -> Victim:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(out)], stdout=subprocess.PIPE, text=True,
        env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    encoder = int(process.stdout.readline())
    time.sleep(0.4)  # for what was sent to get through the encoder
    return Victim(process, encoder)


def end(victim: Victim, number: signal.Signals) -> None:
    victim.process.send_signal(number)
    victim.process.communicate()


def wait_for(pid: int) -> None:
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
            return
        time.sleep(0.02)


def write_until_it_fails(sink: Mp4Sink) -> None:
    for i in range(60, 400):
        sink.write(result(i, faces=0))


def write_for_ever(sink: Mp4Sink, image: NDArray[np.uint8]) -> None:
    for i in count(3):
        sink.write(picture(image, i, i / 25))


def numbers(path: Path) -> list[int]:
    return [clips.number(image) for image in clips.decoded(path)]


def test_when_everything_is_killed_at_most_a_second_is_lost(tmp_path: Path):
    victim = start(tmp_path / "out.mp4")
    os.kill(victim.encoder, signal.SIGKILL)
    end(victim, signal.SIGKILL)
    assert [p.name for p in tmp_path.iterdir()] == [".out.part.mp4"]
    kept = numbers(tmp_path / ".out.part.mp4")
    assert kept[:50] == list(range(50))
    assert kept == sorted(kept)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="waits for the encoder in /proc")
def test_what_a_killed_run_recorded_is_whole_and_the_next_run_says_where_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    victim = start(tmp_path / "out.mp4")
    end(victim, signal.SIGKILL)
    wait_for(victim.encoder)
    left = tmp_path / ".out.part.mp4"
    before = left.read_bytes()
    assert numbers(left) == list(range(75))

    feed(Mp4Sink(path=tmp_path / "out.mp4"), info(), [result(i) for i in range(4)])
    assert str(left) in caplog.text
    assert left.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".out.part.mp4", "out.mp4"]


def test_ctrl_c_in_a_terminal_does_not_reach_the_encoder(tmp_path: Path):
    sink = Mp4Sink(path=tmp_path / "out.mp4")
    sink.open(info(), Run())
    sink.write(result(0))
    assert os.getpgid(sink._recording.encoder_pid) != os.getpgid(0)
    sink.close()


def test_ctrl_c_in_the_middle_of_a_frame_still_gives_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # 30 MB a frame fill the pipe at once, so that the signal comes while a picture is written.
    size = (4096, 2560)
    image = result(0, size=size, faces=0).frame.image
    sink = Mp4Sink(path=tmp_path / "out.mp4", view="raw", preset="ultrafast", crf=51)
    sink.open(info(*size), Run())
    for i in range(3):
        sink.write(picture(image, i, i / 25))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(KeyboardInterrupt):
            write_for_ever(sink, image)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    sink.close()
    assert clips.probe(tmp_path / "out.mp4").frames == sink.report["frames"] >= 3


def test_an_encoder_that_dies_is_an_error_that_names_what_is_left(tmp_path: Path):
    sink = Mp4Sink(path=tmp_path / "out.mp4", view="raw", preset="ultrafast")
    sink.open(info(), Run())
    for i in range(60):
        sink.write(result(i, faces=0))
    time.sleep(0.3)
    os.kill(sink._recording.encoder_pid, signal.SIGKILL)
    with pytest.raises(SinkError, match=r"the encoder failed: .*what was recorded is in .*\.part"):
        write_until_it_fails(sink)
    sink.close()
    assert [p.name for p in tmp_path.iterdir()] == [".out.part.mp4"]
    assert clips.probe(tmp_path / ".out.part.mp4").frames > 30


def test_an_encoder_that_dies_at_once_leaves_nothing(tmp_path: Path):
    sink = Mp4Sink(path=tmp_path / "out.mp4", view="raw")
    sink.open(info(), Run())
    sink.write(result(0))
    os.kill(sink._recording.encoder_pid, signal.SIGKILL)
    with pytest.raises(SinkError, match="the encoder failed"):
        write_until_it_fails(sink)
    sink.close()
    assert list(tmp_path.iterdir()) == []


# Disks


def test_too_little_room_is_said_before_anything_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = shutil.disk_usage(tmp_path)._replace(free=20_000_000)
    monkeypatch.setattr(output.shutil, "disk_usage", lambda _: usage)
    sink = Mp4Sink(path=tmp_path / "long.mp4")
    sink.open(info(1920, 1080, duration=7200.0), Run())
    with pytest.raises(SinkError, match=r"its first minute needs about .* 20.0 MB free"):
        sink.write(result(0, size=(1920, 1080)))
    sink.close()
    assert list(tmp_path.iterdir()) == []
    sink = Mp4Sink(path=tmp_path / "short.mp4", preset="ultrafast")
    feed(sink, info(1920, 1080, duration=0.2), [result(0, size=(1920, 1080))])


#: Records noise, which needs much room, until the disk or a limit says no.
FILLER = """
import resource, sys
from pathlib import Path
limit = int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from facereg.components import Run
from facereg.errors import SinkError
from facereg.sinks.mp4 import Mp4Sink
from tests.sinks.results import info, result
sink = Mp4Sink(path=Path(sys.argv[1]), view="raw", preset="ultrafast", crf=8)
sink.open(info(320, 240, duration=0.2), Run())
try:
    for i in range(int(sys.argv[3])):
        sink.write(result(i, size=(320, 240), faces=0))
    sink.close()
except SinkError as e:
    sink.close()
    sys.exit(str(e))
"""


def fill(out: Path, *, limit: int = 0, frames: int = 500) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(out), str(limit), str(frames)],
        capture_output=True, text=True, check=False, env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return done.stderr.strip()


def assert_playable_part(out: Path, said: str) -> None:
    part = out.with_name(".out.part.mp4")
    assert len(said.splitlines()) == 1
    assert f"what was recorded is in {part}" in said
    assert not out.exists()
    assert clips.probe(part).frames >= 18


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a file-size limit")
def test_a_file_that_grows_too_large_ends_with_a_playable_part(tmp_path: Path):
    said = fill(tmp_path / "out.mp4", limit=3_000_000)
    assert "File too large" in said
    assert_playable_part(tmp_path / "out.mp4", said)


@pytest.mark.parametrize("frames", [500, 18], ids=["while recording", "while finishing"])
def test_a_disk_that_fills_up_ends_with_a_playable_part(tmp_path: Path, frames: int):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        (disk / "other.txt").write_text("precious")
        said = fill(disk / "out.mp4", frames=frames)
        assert "No space left on device" in said
        assert_playable_part(disk / "out.mp4", said)
        assert (disk / "other.txt").read_text() == "precious"
    finally:
        subprocess.run(["umount", str(disk)], check=True)
