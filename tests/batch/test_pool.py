"""A process that fails, dies or hangs is its own job's failure, and nobody else's."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path

import pytest

from facereg.batch.plan import Figures, Fingerprint, Job
from facereg.batch.pool import Pool

pytestmark = pytest.mark.slow

TALK = """
import json, os, signal, sys, time
def say(event, **values): print(json.dumps({"event": event, **values}), flush=True)
"""

WELL = """
say("opened", total=3); say("progress", frames=2)
say("result", totals={"frames": 3, "faces": 2, "seconds": 1.5}, duration=0.12)
"""


class Observer:
    """Notes what happens, and may do something when a job has begun."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.ticks = 0

    def started(self, job: Job) -> None:
        self.events.append((job.name, "started"))

    def ended(self, job: Job) -> None:
        self.events.append((job.name, job.state))

    def tick(self) -> None:
        self.ticks += 1


def run(codes: dict[str, str], **settings: float) -> tuple[dict[str, Job], Observer]:
    """Run a process of some code for each job."""
    jobs = {name: Job(name, Path(f"{name}.mp4"), False, {}, Fingerprint(1, 1, 1)) for name in codes}
    observer = Observer()
    pool = Pool(
        list(jobs.values()),
        lambda job: [sys.executable, "-c", TALK + codes[job.name]],
        observer,
        **{"at_once": 2, **settings},
    )
    pool.run()
    return jobs, observer


def test_jobs_say_how_far_they_are_and_what_came_of_it() -> None:
    jobs, observer = run({"a": WELL, "b": WELL})

    assert [job.state for job in jobs.values()] == ["done", "done"]
    assert (jobs["a"].frames, jobs["a"].total) == (3, 3)
    assert jobs["a"].figures == Figures(3, 2, 1.5, 0.12)
    assert sorted(observer.events) == [
        ("a", "done"), ("a", "started"), ("b", "done"), ("b", "started"),
    ]  # fmt: skip
    assert observer.ticks


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other there")
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ('say("error", text="no picture", own_fault=True); sys.exit(1)', "no picture"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("os.abort()", "ended by SIGABRT"),
        ("sys.exit('out of luck')", "ended with exit code 1: out of luck"),
        ("print('\\xff not JSON'); print('[]'); print('{}'); sys.exit(3)", "exit code 3"),
        ("print('\\033[2J', file=sys.stderr); sys.exit(3)", r"exit code 3: \x1b[2J"),
    ],
)
def test_a_failure_is_its_own(code: str, error: str) -> None:
    jobs, _ = run({"bad": code, "good": WELL}, at_once=1)

    assert [job.state for job in jobs.values()] == ["failed", "done"]
    assert error in str(jobs["bad"].error)
    assert jobs["bad"].own_fault


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are other there")
def test_a_process_that_hangs_is_killed_with_its_own(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    code = (
        "import subprocess; child = subprocess.Popen(['sleep', '1000'])\n"
        f"open({str(started)!r}, 'w').write(str(child.pid))\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(1000)"
    )
    jobs, _ = run({"bad": code, "good": WELL}, at_once=1, max_silent_seconds=5)

    assert [job.state for job in jobs.values()] == ["failed", "done"]
    assert jobs["bad"].error == "killed: it hung, with no frame for 5 s"
    stat = Path(f"/proc/{started.read_text()}/stat")
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_a_failure_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tried = str(tmp_path / "tried")
    code = (
        f"open({tried!r}, 'a').write('x')\n"
        f"if len(open({tried!r}).read()) < 3:\n"
        "    say('error', text='busy', own_fault=False); sys.exit(1)\n"
        f"{WELL}"
    )
    with caplog.at_level(logging.WARNING, logger="facereg"):
        jobs, observer = run({"a": code, "b": "sys.exit(1)"}, retries=2)

    assert [job.state for job in jobs.values()] == ["done", "failed"]
    assert (jobs["a"].attempts, jobs["b"].attempts, jobs["a"].error) == (3, 3, None)
    assert "a.mp4: busy; trying again" in caplog.messages
    assert [event for event in observer.events if event[0] == "a"] == [
        ("a", "started"), ("a", "started"), ("a", "started"), ("a", "done"),
    ]  # fmt: skip


def test_warnings_are_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="facereg"):
        run({"a": 'say("warning", text="the sound is left out")' + WELL})

    assert caplog.messages == ["a.mp4: the sound is left out"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other there")
@pytest.mark.parametrize("times", [1, 3])
def test_an_interrupt_ends_what_runs_and_begins_no_more(times: int) -> None:
    ignores = "signal.signal(signal.SIGINT, signal.SIG_IGN);" if times == 3 else ""
    code = f'{ignores}say("progress", frames=1); time.sleep(1000)'
    jobs = [Job(name, Path(name), False, {}, Fingerprint(1, 1, 1)) for name in "ab"]

    class Interrupter(Observer):
        def tick(self) -> None:
            if jobs[0].frames and not pool.interrupted:
                pool.interrupt(times)

    command = [sys.executable, "-c", TALK + code]
    pool = Pool(jobs, lambda _: command, Interrupter(), at_once=1)
    pool.run()

    assert [job.state for job in jobs] == ["interrupted", "waiting"]


def test_a_pool_leaves_no_thread_and_no_zombie() -> None:
    before = threading.active_count()
    jobs, _ = run(dict.fromkeys("abcd", WELL))

    assert all(job.state == "done" for job in jobs.values())
    assert threading.active_count() == before
    assert json.dumps([job.as_json() for job in jobs.values()])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
