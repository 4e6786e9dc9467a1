"""What the user names becomes a job for each recording, and nothing is left out without a word."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from facereg.batch.plan import Fingerprint, Job, Shard, make_plan, take_shard
from facereg.errors import UsageError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder of videos, pictures and other things."""
    for name in (
        "videos/b.mkv", "videos/a.mp4", "videos/notes.txt", "videos/.hidden.mp4",
        "videos/day 1/c.mp4", "videos/day 1/deep/d.mp4", "photos/1.jpg", "photos/2.png",
        "mixed/e.mp4", "mixed/3.jpg", "texts/x.txt", "one.mp4", "[1].mp4",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*inputs: str) -> list[str]:
    return [job.outputs["-o"].relative_to("out").as_posix() for job in make_plan(inputs, OUT)]


def problems(*inputs: str) -> list[str | None]:
    return [job.error for job in make_plan(inputs, OUT)]


OUT = Path("out")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (["one.mp4"], ["one.mp4"]),
        (["videos"], ["a.mp4", "b.mp4"]),
        (["videos/"], ["a.mp4", "b.mp4"]),
        (["photos"], ["photos"]),
        (["mixed"], ["e.mp4", "mixed"]),
        (["videos/*.mp4"], ["a.mp4"]),
        (["[1].mp4"], ["[1].mp4"]),
        (["videos/**"], ["a.mp4", "b.mp4", "day 1/c.mp4", "day 1/deep/d.mp4"]),
        (["videos/**/*.mp4"], ["a.mp4", "day 1/c.mp4", "day 1/deep/d.mp4"]),
        (["p*"], ["photos"]),
        (["one.mp4", "./one.mp4", "on*.mp4"], ["one.mp4"]),
    ],
    ids=str,
)
def test_inputs_and_the_names_of_their_outputs(inputs: list[str], outputs: list[str]) -> None:
    assert names(*inputs) == outputs


def test_a_list_names_inputs(here: Path) -> None:
    (here / "list.txt").write_text("# today's\none.mp4\n\nvideos\n")

    assert names("@list.txt") == ["one.mp4", "a.mp4", "b.mp4"]
    (here / "list.txt").write_bytes(b"\xef\xbb\xbfone.mp4\r\n@list.txt\r\n")
    assert problems("@list.txt") == [None, "no such file or folder"]
    (here / "list.txt").write_text(f"videos/day 1/c.mp4\nvideos/../one.mp4\n{here}/mixed/e.mp4")
    assert names("@list.txt") == ["videos/day 1/c.mp4", "one.mp4", "e.mp4"]
    with pytest.raises(UsageError, match=r"none\.txt"):
        make_plan(["@none.txt"], OUT)


@pytest.mark.usefixtures("here")
def test_what_is_no_recording_fails_by_itself() -> None:
    assert problems("one.mp4", "none.mp4", "texts", "no*.mkv", "rtsp://me:1234@host/1") == [
        None,
        "no such file or folder",
        "no video or picture in it",
        "nothing matches",
        "is no file; facereg run takes a stream",
    ]
    (job,) = make_plan(["rtsp://me:1234@host/1"], OUT)
    assert "1234" not in str(job.source)


@pytest.mark.usefixtures("here")
def test_what_is_skipped_in_a_folder_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="facereg"):
        make_plan(["videos"], OUT)

    assert [record.getMessage() for record in caplog.records] == [
        "videos: skipped, as no video or picture: notes.txt",
        f"videos: its folders are skipped: day 1; '{Path('videos/**')}' takes them, too",
    ]


@pytest.mark.usefixtures("here")
def test_outputs_are_named_after_their_recording() -> None:
    (alone,) = make_plan(["one.mp4"], OUT, ["--stats"])
    assert dict(alone.outputs) == {"--stats": OUT / "one.csv"}
    (job,) = make_plan(["one.mp4"], OUT, ["-o", "-m", "--stats"])

    assert dict(job.outputs) == {
        "-o": OUT / "one.mp4",
        "-m": OUT / "one.masks",
        "--stats": OUT / "one.csv",
    }


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("inputs", "folder", "message"),
    [
        (["videos/a.mp4", "videos/**"], "videos", "is an input; choose another folder"),
        (["videos/day 1/c.mp4", "videos/a.mp4", "mixed/e.mp4", "C.MP4"], "out", "both be written"),
    ],
)
def test_outputs_that_would_collide_are_refused(
    inputs: list[str], folder: str, message: str
) -> None:
    Path("C.MP4").touch()
    with pytest.raises(UsageError, match=message):
        make_plan(inputs, Path(folder))


@pytest.mark.usefixtures("here")
def test_no_recording_takes_the_place_of_the_summary() -> None:
    Path("summary.mkv").touch()

    assert [job.name for job in make_plan(["summary.mkv"], OUT)] == ["summary"]
    with pytest.raises(UsageError, match=r"of the batch and summary\.mkv would both"):
        make_plan(["summary.mkv"], OUT, ["--stats"])


@pytest.mark.usefixtures("here")
def test_a_recording_has_a_fingerprint() -> None:
    (before,) = make_plan(["one.mp4"], OUT)
    assert before.fingerprint is not None
    assert (before.size, before.fingerprint.time) == (4, Path("one.mp4").stat().st_mtime_ns)
    Path("one.mp4").write_bytes(b"date")
    os.utime("one.mp4", ns=(before.fingerprint.time, before.fingerprint.time))

    (after,) = make_plan(["one.mp4"], OUT)
    assert after.fingerprint != before.fingerprint


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_not_utf_8_is_a_name(here: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    (here / name).touch()

    assert names("caf*.mp4") == names(name) == [name]


def test_a_job_as_json_lists_what_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    outputs = {"-o": tmp_path / "a.mp4", "--stats": tmp_path / "a.csv"}
    job = Job("a", Path("in/a.mkv"), False, outputs, None, state="done")

    assert job.as_json() == {
        "source": str(Path("in/a.mkv")),
        "state": "done",
        "outputs": [str(tmp_path / "a.mp4")],
        "error": None,
        "totals": None,
    }


def sized(*sizes: int) -> list[Job]:
    return [
        Job(f"{i}", Path(f"{i}.mp4"), False, {}, Fingerprint(size, 0, 0))
        for i, size in enumerate(sizes)
    ]


def test_shards_have_every_job_once_and_about_as_many_bytes() -> None:
    jobs = sized(*(1 + (i * 7919) % 1000 for i in range(200)))
    shards = [take_shard(jobs, Shard(i, 7)) for i in range(1, 8)]

    assert sorted(int(job.name) for shard in shards for job in shard) == list(range(200))
    loads = [sum(job.size for job in shard) for shard in shards]
    assert max(loads) - min(loads) < 0.01 * sum(loads)
    assert all(shard == sorted(shard, key=lambda job: int(job.name)) for shard in shards)


def test_shards_do_not_depend_on_the_order_of_inputs() -> None:
    jobs = sized(5, 5, 5, 9, 1, 1)
    for number in (1, 2, 3):
        mixed = take_shard(jobs[::-1], Shard(number, 3))
        assert mixed == take_shard(jobs, Shard(number, 3))[::-1]
    assert [len(take_shard(sized(1, 1), Shard(i, 3))) for i in (1, 2, 3)] == [1, 1, 0]
    assert [len(take_shard(sized(*[0] * 6), Shard(i, 3))) for i in (1, 2, 3)] == [2, 2, 2]
