"""On a cluster of three nodes, every recording is done exactly once, whatever becomes of a node."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facereg.batch.cluster import RAY_ENVIRONMENT
from tests import clips

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are other there"),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of six clips, each of 30 to 80 frames."""
    folder = tmp_path_factory.mktemp("in")
    for i in range(6):
        clips.write_clip(folder / f"{i}.mp4", clips.still(30 + 10 * i))
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Run three nodes of a core each, in processes of their own."""
    pytest.importorskip("ray", reason="ray is not installed")
    os.environ.update(RAY_ENVIRONMENT)
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    made = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def local(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what a batch on this machine makes, each process with one thread."""
    out = tmp_path_factory.mktemp("local") / "out"
    command = batch_command(inputs, out, "--jobs", "2")
    subprocess.run(command, check=True, capture_output=True)
    return out


def batch_command(inputs: Path, out: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "facereg", "batch", str(inputs), "-o", str(out), "-m"]
    return [*command, "--stats", "-d", "haar", "-s", "pspnet:threads=1", "--json", *more]


def run_while(command: list[str], begun: Path, act: Callable[[subprocess.Popen[str]], None]) -> Any:
    """Run a batch, and do something to it when it has begun to publish."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not begun.exists() or '"done"' not in begun.read_text():
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.05)
        act(process)
        shown, errors = process.communicate()
    return process.returncode, shown, errors


def made(folder: Path) -> dict[str, bytes]:
    """Read every file of an output folder, but the journal and the table, which have times."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith((".facereg-batch", "summary"))
    }


def check_once(out: Path, local: Path) -> None:
    """Check that every recording is there, as it is made here, and was noted as done once."""
    assert made(out).keys() == made(local).keys()
    assert made(out) == made(local)
    lines = [json.loads(line) for line in (out / ".facereg-batch.jsonl").read_text().splitlines()]
    done = Counter(line["name"] for line in lines if line["state"] == "done")
    assert done == dict.fromkeys("012345", 1)
    with (out / "summary.csv").open(newline="") as table:
        assert {row["frames"] for row in csv.DictReader(table)} == {
            str(30 + 10 * i) for i in range(6)
        }
    assert not list(out.glob(".*.tries"))


def test_a_node_that_leaves_and_one_that_dies_cost_no_recording(
    cluster: Any, inputs: Path, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]

    def lose_two_nodes(_: object) -> None:
        raylet = nodes[0].all_processes["raylet"][0].process.pid
        os.kill(raylet, signal.SIGKILL)
        cluster.remove_node(nodes[1])

    command = batch_command(inputs, out, "--on", f"ray:{cluster.address}")
    code, shown, errors = run_while(command, out / ".facereg-batch.jsonl", lose_two_nodes)

    assert code == 0, errors
    assert json.loads(shown)["done"] == 6
    check_once(out, local)


def test_after_a_kill_of_the_batch_the_same_command_goes_on(
    cluster: Any, inputs: Path, local: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = batch_command(inputs, out, "--on", f"ray:{cluster.address}")
    run_while(command, out / ".facereg-batch.jsonl", lambda process: process.kill())
    assert (out / ".facereg-batch.tries").exists()

    again = subprocess.run(command, capture_output=True, text=True, check=False)

    assert again.returncode == 0, again.stderr
    totals = json.loads(again.stdout)
    assert totals["skipped"] >= 1
    assert totals["skipped"] + totals["done"] == 6
    check_once(out, local)


def test_ctrl_c_finishes_what_is_begun(cluster: Any, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = batch_command(inputs, out, "--on", f"ray:{cluster.address}")
    code, shown, _ = run_while(
        command, out / ".facereg-batch.jsonl", lambda process: process.send_signal(signal.SIGINT)
    )

    assert code == 130
    found = Counter(one["state"] for one in json.loads(shown)["inputs"])
    assert 1 <= found["done"] < 6
    assert sorted(found) in (["done", "interrupted"], ["done", "interrupted", "waiting"])
    assert len(list(out.glob("*.mp4"))) == found["done"]
    assert not list(out.glob(".*.tries"))


def test_a_bad_recording_spoils_no_other_and_nothing_is_written_elsewhere(
    inputs: Path, cluster: Any, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "home").mkdir()
    shutil.copy(inputs / "0.mp4", tmp_path / "in" / "good.mp4")
    (tmp_path / "in" / "bad.mp4").write_text("once upon a time\n" * 50)
    for name in ("cv2", "numpy", "facereg"):
        (tmp_path / f"{name}.py").write_text("open('RAN', 'w'); raise ImportError('mine')")
    command = batch_command(tmp_path / "in", tmp_path / "out", "--on", f"ray:{cluster.address}")
    command[1:3] = [
        "-c",
        "import sys; sys.path.remove(''); from facereg.cli import main; sys.exit(main())",
    ]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path / "home")},
    )  # fmt: skip

    assert ended.returncode == 1, ended.stderr
    assert ended.stdout, ended.stderr
    states = {Path(one["source"]).name: one["state"] for one in json.loads(ended.stdout)["inputs"]}
    assert states == {"good.mp4": "done", "bad.mp4": "failed"}
    assert not (tmp_path / "RAN").exists()
    assert not list((tmp_path / "home").rglob("*"))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("ray:127.0.0.1:1", "no cluster answers there: Connection refused"),
        ("ray:nowhere", "name HOST:PORT of the cluster"),
    ],
)
def test_a_cluster_that_cannot_be_reached(
    where: str, message: str, inputs: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    command = batch_command(inputs, tmp_path, "--on", where)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert message in ended.stderr.splitlines()[-1]
