"""The journal knows what is finished, whatever became of the batch that wrote it."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from facereg.batch.journal import JOURNAL, Event, Journal, read_entries
from facereg.batch.plan import Figures, Fingerprint, Job, OutputKind, Shard
from facereg.errors import SinkError


def job(folder: Path, name: str = "a") -> Job:
    outputs: dict[OutputKind, Path] = {"-o": folder / f"{name}.mp4"}
    return Job(name, folder / f"{name}.mkv", False, outputs, Fingerprint(5, 7, 11))


def note(folder: Path, event: Event, written: bytes | None = b"film", **options: object) -> None:
    """Write one line, as a batch does that ends there."""
    if written is not None:
        (folder / "a.mp4").write_bytes(written)
    with closing(Journal(folder, options)) as journal:
        journal.write(job(folder), event)


def decision(
    folder: Path,
    changed: Job | None = None,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
    **options: object,
) -> Job:
    again = changed or job(folder)
    with closing(Journal(folder, options)) as journal:
        journal.decide(again, overwrite=overwrite, retry_failed=retry_failed)
    return again


def test_what_is_done_is_skipped(tmp_path: Path) -> None:
    note(tmp_path, "done", start=1.5)

    assert decision(tmp_path, start=1.5).state == "skipped"
    assert decision(tmp_path, start=1.5, overwrite=True).state == "skipped"


@pytest.mark.parametrize("event", ["started", "failed", "interrupted"])
def test_what_a_job_left_that_was_not_done_is_replaced(tmp_path: Path, event: Event) -> None:
    note(tmp_path, event)

    again = decision(tmp_path)
    assert (again.state, again.replaces, again.resumes) == ("waiting", True, True)
    other = decision(tmp_path, start=2.5)
    assert (other.state, other.replaces, other.resumes) == ("waiting", True, False)


def test_what_is_missing_is_done_again(tmp_path: Path) -> None:
    note(tmp_path, "done")
    (tmp_path / "a.mp4").unlink()

    again = decision(tmp_path)
    assert (again.state, again.replaces) == ("waiting", False)


@pytest.mark.parametrize("fingerprint", [(6, 7, 11), (5, 8, 11), (5, 7, 12)])
def test_what_has_changed_is_done_again(tmp_path: Path, fingerprint: tuple[int, int, int]) -> None:
    note(tmp_path, "done")
    changed = job(tmp_path)
    changed.fingerprint = Fingerprint(*fingerprint)

    again = decision(tmp_path, changed)
    assert (again.state, again.replaces, again.resumes) == ("waiting", True, False)


def test_what_was_made_with_other_options_is_not_replaced_unasked(tmp_path: Path) -> None:
    note(tmp_path, "done", start=1.5)

    refused = decision(tmp_path, start=2.5)
    assert refused.state == "failed"
    assert "with other options; --overwrite replaces it" in str(refused.error)
    assert decision(tmp_path, start=2.5, overwrite=True).replaces


def test_what_somebody_changed_is_not_replaced_unasked(tmp_path: Path) -> None:
    note(tmp_path, "done")
    (tmp_path / "a.mp4").write_bytes(b"cut by hand")

    assert "changed since facereg batch made it" in str(decision(tmp_path).error)
    assert decision(tmp_path, overwrite=True).replaces


def test_what_failed_by_itself_is_tried_again_on_request(tmp_path: Path) -> None:
    bad = job(tmp_path)
    bad.fail("no video stream")
    bad.own_fault = True
    with closing(Journal(tmp_path, {})) as journal:
        journal.write(bad, "failed")

    again = decision(tmp_path)
    assert (again.state, str(again.error)[:15]) == ("failed", "no video stream")
    assert "--retry-failed" in str(again.error)
    assert decision(tmp_path, retry_failed=True).state == "waiting"
    assert decision(tmp_path, start=1).state == "waiting"  # another command
    changed = job(tmp_path)
    changed.fingerprint = Fingerprint(6, 7, 11)
    assert decision(tmp_path, changed).state == "waiting"


def test_figures_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    done = job(tmp_path)
    done.figures = Figures(10, 9, 1.5, 0.4)
    with closing(Journal(tmp_path, {})) as journal:
        journal.write(done, "done")

    assert decision(tmp_path).figures == done.figures


def test_somebody_elses_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"precious")

    assert "not by facereg batch" in str(decision(tmp_path).error)


def test_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    note(tmp_path, "done")
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'[]\n{"name": "b", "sta\xff')

    assert decision(tmp_path).state == "skipped"
    note(tmp_path, "failed")
    assert decision(tmp_path).state == "waiting"


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_not_utf_8_is_noted(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / f"{name}.mp4").write_bytes(b"film")
    with closing(Journal(tmp_path, {})) as journal:
        journal.write(job(tmp_path, name), "done")

    again = job(tmp_path, name)
    with closing(Journal(tmp_path, {})) as journal:
        journal.decide(again, overwrite=False)
    assert again.state == "skipped"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_a_second_batch_is_told(tmp_path: Path) -> None:
    with (
        closing(Journal(tmp_path, {})),
        pytest.raises(SinkError, match="another facereg batch is writing into it"),
    ):
        Journal(tmp_path, {})

    Journal(tmp_path, {}).close()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_shards_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    with closing(Journal(tmp_path, {}, Shard(1, 2))) as first:
        with closing(Journal(tmp_path, {}, Shard(2, 2))) as second:
            first.write(job(tmp_path), "done")
            second.write(job(tmp_path, "b"), "started")
        with pytest.raises(SinkError, match="the same shard 1/2, is writing into it"):
            Journal(tmp_path, {}, Shard(1, 2))
        with pytest.raises(SinkError, match="another facereg batch is writing into it"):
            Journal(tmp_path, {})

    assert decision(tmp_path).state == "skipped"  # the common journal's batch reads them all
    assert read_entries(tmp_path)["b"]["state"] == "started"
    note(tmp_path, "failed")
    assert read_entries(tmp_path)["a"]["state"] == "failed"  # the latest line counts
    with closing(Journal(tmp_path, {})), pytest.raises(SinkError, match="another facereg batch"):
        Journal(tmp_path, {}, Shard(2, 2))
