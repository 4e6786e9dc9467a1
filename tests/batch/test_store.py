"""Recordings and outputs in an object store: a real server of S3 on this machine."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

import facereg
from facereg.batch.plan import find_recordings, make_plan
from facereg.batch.store import Transfers, is_url, open_path
from facereg.cli import main
from tests import clips

pytest.importorskip("s3fs")
pytest.importorskip("upath")
moto_server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.slow

RUN = ["-m", "--stats", "-d", "haar", "--quiet"]


class Busy:
    """The store, which first answers 503 as often as it is told to."""

    refusals = 0
    refused = 0

    def __init__(self) -> None:
        self._store = moto_server.DomainDispatcherApplication(moto_server.create_backend_app)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if Busy.refused < Busy.refusals:
            Busy.refused += 1
            start_response("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        return self._store(environ, start_response)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    store = make_server("127.0.0.1", 0, Busy(), threaded=True)
    threading.Thread(target=store.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{store.server_port}"
    store.shutdown()


@pytest.fixture
def bucket(
    server: str, tmp_path: Path, face_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A bucket with two videos, a picture and a text; credentials as users give them."""
    import s3fs

    for key, value in {
        "AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    Busy.refusals = Busy.refused = 0
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem(use_listings_cache=False)
    name = f"bucket-{tmp_path.name.strip('_').replace('_', '-').lower()}"[:60].strip("-")
    store.mkdir(name)
    store.put_file(str(face_clip), f"{name}/in/a.mp4")
    store.put_file(str(face_clip), f"{name}/in/day 2/b.mp4")
    clips.ffmpeg("-i", face_clip, "-frames:v", "1", tmp_path / "p.png")
    store.put_file(str(tmp_path / "p.png"), f"{name}/in/photos/p.png")
    store.pipe_file(f"{name}/in/notes.txt", b"hello")
    store.bucket = name
    yield store
    s3fs.S3FileSystem.clear_instance_cache()


def test_what_is_a_url_of_a_store() -> None:
    assert is_url("s3://bucket/x") and is_url("gs://bucket/x")
    assert not is_url("https://example.org/x.mp4")
    assert open_path("file:///a/b%20c.mp4") == Path("/a/b c.mp4")


def test_files_folders_and_globs(bucket: Any) -> None:
    def names(text: str) -> dict[str, str]:
        found = find_recordings([f"s3://{bucket.bucket}/{text}"])
        return {r.name: r.problem or Path(str(r.path)).name for r in found}

    assert names("in/a.mp4") == {"a": "a.mp4"}
    assert names("in") == {"a": "a.mp4"}
    assert names("in/**") == {"a": "a.mp4", "day 2/b": "b.mp4", "photos": "photos"}
    assert names("in/*/*.mp4") == {"day 2/b": "b.mp4"}
    assert names("gone.mp4") == {"": "no such file or folder"}


def test_a_batch_from_store_to_store_is_a_local_one(bucket: Any, tmp_path: Path) -> None:
    local, scratch = tmp_path / "local", tmp_path / "scratch"
    scratch.mkdir()
    bucket.get(f"{bucket.bucket}/in", str(tmp_path / "in"), recursive=True)
    assert main(["batch", f"{tmp_path}/in/**", "-o", str(local), *RUN]) == 0

    url = f"s3://{bucket.bucket}"
    command = ["batch", f"{url}/in/**", "-o", f"{url}/out", "--scratch", str(scratch), *RUN]
    assert main(command) == 0
    bucket.get(f"{bucket.bucket}/out", str(tmp_path / "made"), recursive=True)
    names = [p.relative_to(local) for p in sorted(local.rglob("*")) if p.is_file()]
    assert len(names) > 15
    for name in names:
        if name.name in ("summary.csv", ".facereg-batch.jsonl"):
            assert (tmp_path / "made" / name).exists()
        elif name.name == "manifest.json":  # it names the source as the user did
            one, two = (json.loads((d / name).read_text()) for d in (local, tmp_path / "made"))
            assert one["classes"] == two["classes"] and one["frames"] == two["frames"]
        else:
            assert (local / name).read_bytes() == (tmp_path / "made" / name).read_bytes(), name
    with (tmp_path / "made/summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["error"] for row in rows] == ["", "", ""]
    assert rows[0]["path"].startswith(f"{url}/in/")
    assert not list(scratch.rglob("*.mp4")) and not list(scratch.rglob("jobs-*"))


def test_what_is_done_is_skipped_and_what_has_changed_is_done_again(
    bucket: Any, tmp_path: Path, no_face_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"s3://{bucket.bucket}"
    command = ["batch", f"{url}/in/a.mp4", f"{url}/in/day 2/b.mp4", "-o", f"{url}/out", "--stats"]
    command += ["--no-video", "-d", "haar", "--json"]

    def states(scratch: str) -> list[str]:
        assert main([*command, "--scratch", str(tmp_path / scratch)]) == 0
        return [job["state"] for job in json.loads(capsys.readouterr().out)["inputs"]]

    assert states("one") == ["done", "done"]
    assert states("two") == ["skipped", "skipped"]  # as on another machine: by the store's journal
    bucket.put_file(str(no_face_clip), f"{bucket.bucket}/in/a.mp4")
    assert states("one") == ["done", "skipped"]
    bucket.rm_file(f"{bucket.bucket}/out/b.csv")
    assert states("two") == ["skipped", "done"]


def test_a_store_that_is_busy_for_a_while_costs_nothing(bucket: Any, tmp_path: Path) -> None:
    Busy.refusals = 12
    command = ["batch", f"s3://{bucket.bucket}/in/a.mp4", "-o", f"s3://{bucket.bucket}/busy"]
    assert main([*command, "--scratch", str(tmp_path / "scratch"), *RUN]) == 0
    assert Busy.refused == 12
    assert bucket.exists(f"{bucket.bucket}/busy/a.csv")


def test_after_a_kill_the_same_command_goes_on_and_nothing_is_left(
    bucket: Any, tmp_path: Path
) -> None:
    url, scratch = f"s3://{bucket.bucket}", tmp_path / "scratch"
    command = [sys.executable, "-m", "facereg", "batch", f"{url}/in/**", "-o", f"{url}/killed"]
    command += ["--jobs", "1", "--scratch", str(scratch), *RUN]
    path = str(Path(facereg.__file__).parents[1])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    while process.poll() is None and not bucket.exists(f"{bucket.bucket}/killed/a.csv"):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert main(command[3:]) == 0
    for name in ("a.csv", "day 2/b.csv", "photos.csv"):
        assert bucket.exists(f"{bucket.bucket}/killed/{name}")
    assert not [path for path in scratch.rglob("*") if path.suffix == ".mp4"]


def test_what_cannot_be_done_is_one_line_without_secrets(
    bucket: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scratch = ["--scratch", str(tmp_path / "scratch")]
    url = f"s3://{bucket.bucket}"
    missing = ["batch", f"{url}/in/a.mp4", f"{url}/none.mp4", "-o", f"{url}/out", *RUN, *scratch]
    assert main(missing) == 1
    shown = capsys.readouterr().err
    assert "none.mp4: no such file" in shown and "s3cret" not in shown
    assert bucket.exists(f"{bucket.bucket}/out/a.csv")
    assert main(["batch", "s3://no-such-bucket-here/**", "-o", str(tmp_path / "o"), *RUN]) == 1
    assert main(["batch", f"{url}/in/a.mp4", "-o", f"{url}/x", "--scratch", "/proc/x", *RUN]) == 1
    assert "--scratch" in capsys.readouterr().err


def test_outputs_that_two_inputs_would_share(bucket: Any) -> None:
    bucket.copy(f"{bucket.bucket}/in/a.mp4", f"{bucket.bucket}/other/a.mp4")
    inputs = [f"s3://{bucket.bucket}/{folder}/a.mp4" for folder in ("in", "other")]
    with pytest.raises(facereg.errors.UsageError, match="would both be written to"):
        make_plan(inputs, open_path("/out"))


def test_transfers_go_through_a_command_line() -> None:
    one = Transfers("/scratch/0", "s3://b/a b.mp4", "/scratch/0/in/a b.mp4", {"/x": "s3://b/x"})
    assert Transfers.of_argument(one.as_argument()) == one
