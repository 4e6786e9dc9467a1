"""A file appears when it is complete; nothing else is touched, whoever else is there."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from facereg import output
from facereg.errors import FaceregError, SinkError
from facereg.output import AtomicFile, FolderLock, checksum_heads, temporary_name, write_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Complete or not at all


def test_a_file_has_its_name_when_it_is_complete(tmp_path: Path):
    path = tmp_path / "out.mp4"
    file = AtomicFile(path)
    with file.open() as stream:
        stream.write(b"half")
    assert names(tmp_path) == [".out.part.mp4"]
    file.commit()
    assert names(tmp_path) == ["out.mp4"]
    assert path.read_bytes() == b"half"


def test_overwriting_keeps_the_old_file_until_the_new_one_is_complete(tmp_path: Path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with AtomicFile(path, overwrite=True) as file:
        file.part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), AtomicFile(path, overwrite=True) as file:
        file.part.write_bytes((tmp_path / "nowhere").read_bytes())
    assert names(tmp_path) == ["out.txt"]
    assert path.read_text() == "old"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path):
    path = tmp_path / "out.txt"
    file = AtomicFile(path)
    file.part.write_text("ours")
    path.write_text("theirs")
    with pytest.raises(SinkError, match=r"appeared in the meantime; what was written is in .*part"):
        file.commit()
    assert path.read_text() == "theirs"
    assert (tmp_path / ".out.part.txt").read_text() == "ours"


def test_a_second_step_makes_the_final_file_from_the_first(tmp_path: Path):
    file = AtomicFile(tmp_path / "out.mp4")
    file.part.write_text("picture")
    second = file.another()
    second.write_text(file.part.read_text() + " and sound")
    file.commit(second)
    assert names(tmp_path) == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "picture and sound"


def test_what_was_written_can_be_kept_after_a_failure(tmp_path: Path):
    file = AtomicFile(tmp_path / "out.csv", leftovers="keep")
    file.part.write_text("rows")
    file.another()
    assert file.keep() == tmp_path / ".out.part.csv"
    assert names(tmp_path) == [".out.part.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.json").write_text("old")
    real = os.open

    def full(path: str, flags: int, mode: int = 0o777) -> int:
        made = real(path, flags, mode)
        os.close(made)
        return real("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(output, "_has_name", lambda *_: True)
    monkeypatch.setattr(output.os, "open", full)
    with pytest.raises(SinkError, match=r"a.json: No space left on device"):
        write_file(tmp_path / "a.json", b"new")
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


# Nobody else's file


@pytest.mark.parametrize("name", ["out.mp4", "manifest.json", ".state"])
def test_a_planted_link_is_not_written_through(tmp_path: Path, name: str):
    victim, path = tmp_path / "victim", tmp_path / name
    victim.write_text("precious")
    for number in (1, 2):
        (tmp_path / temporary_name(name, number)).symlink_to(victim)
    with AtomicFile(path) as file:
        file.part.write_text("new")
    write_file(path, b"newer")
    assert victim.read_text() == "precious"
    assert path.read_text() == "newer"
    assert not path.is_symlink()


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling", "loop"])
def test_whatever_has_the_temporary_name_stays(tmp_path: Path, kind: str):
    part = tmp_path / ".out.part.txt"
    if kind == "folder":
        part.mkdir()
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        part.symlink_to(part if kind == "loop" else tmp_path / "nowhere")
    before = part.lstat()
    write_file(tmp_path / "out.txt", b"new")
    with AtomicFile(tmp_path / "out.txt", overwrite=True) as file:
        assert file.part.name == ".out.part2.txt"
    assert os.path.samestat(before, part.lstat())
    assert not (tmp_path / "nowhere").exists()


def test_a_link_of_the_final_name_is_replaced_and_its_target_stays(tmp_path: Path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "out.txt").symlink_to(tmp_path / "victim")
    with AtomicFile(tmp_path / "out.txt", overwrite=True) as file:
        file.part.write_text("new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "out.txt").read_text() == "new"


def test_what_a_killed_recording_left_is_kept_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / ".out.part.mp4").write_text("an hour")
    with AtomicFile(tmp_path / "out.mp4", leftovers="keep") as file:
        file.part.write_text("new")
        assert file.another().name == ".out.part3.mp4"
    assert caplog.text.count("was left") == 1
    assert names(tmp_path) == [".out.part.mp4", "out.mp4"]
    assert ".out.part.mp4 was left by an earlier run that was cut off" in caplog.text


def test_what_a_killed_run_left_of_other_files_is_removed(tmp_path: Path):
    for left in (".out.part.json", ".empty.part.mp4"):
        (tmp_path / left).touch()
    (tmp_path / ".out.part.json").write_text("half")
    write_file(tmp_path / "out.json", b"new")
    AtomicFile(tmp_path / "empty.mp4", leftovers="keep").discard()
    assert names(tmp_path) == ["out.json"]


# Names


@pytest.mark.parametrize(
    "name",
    ["a" * 250, "ä" * 125, "日" * 83 + ".mp4", "a" * 246 + ".mp4", "x." + "y" * 248, "\udcff" * 249,
     "a" * 40 + ".json", "." + "a" * 100],
)  # fmt: skip
def test_a_temporary_name_is_no_longer_than_the_final_one(tmp_path: Path, name: str):
    for number in (1, 2, 99):
        made = temporary_name(name, number)
        assert made.startswith(".")
        assert len(os.fsencode(made)) <= len(os.fsencode(name))
    if sys.platform == "linux":
        write_file(tmp_path / name, b"data")
        assert names(tmp_path) == [name]


def test_long_names_with_a_common_start_have_different_temporary_names():
    made = {temporary_name("a" * 240 + end) for end in ("b.mp4", "c.mp4", "b.mkv")}
    assert len(made) == 3


# One run an output


def test_a_second_run_of_an_output_is_refused_at_once(tmp_path: Path):
    path = tmp_path / "out.csv"
    first = AtomicFile(path, leftovers="keep")
    for again in (lambda: AtomicFile(path, leftovers="keep"), lambda: write_file(path, b"")):
        with pytest.raises(SinkError, match=r"out.csv: another run or sink is writing it"):
            again()
    first.commit()
    AtomicFile(path, overwrite=True).commit()


def test_a_run_that_is_killed_releases_its_output(tmp_path: Path):
    path = tmp_path / "out.csv"
    code = (
        "import sys, time; from pathlib import Path; from facereg.output import AtomicFile\n"
        "file = AtomicFile(Path(sys.argv[1])); file.part.write_text('half')\n"
        "print('.', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as child:
        child.stdout.read(1)
        with pytest.raises(SinkError, match=r"another run or sink is writing it"):
            AtomicFile(path)
        child.send_signal(signal.SIGKILL)
    AtomicFile(path).commit()
    assert names(tmp_path) == ["out.csv"]


def write_often(path: Path, letter: str) -> None:
    for _ in range(200):
        try:
            write_file(path, letter.encode() * 50_000)
        except SinkError as e:
            assert "another run or sink is writing it" in str(e)  # noqa: PT017


@pytest.mark.slow
def test_two_writers_never_mix_their_files(tmp_path: Path):
    path = tmp_path / "out.txt"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(path, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            assert path.read_bytes() in (b"a" * 50_000, b"b" * 50_000)
    for writer in writers:
        writer.join()
        assert not writer.exitcode
    assert names(tmp_path) == ["out.txt"]


def test_a_folder_is_written_by_one_run_and_not_while_it_is_read(tmp_path: Path):
    write = FolderLock(tmp_path)
    for kind in ("read", "write"):
        with pytest.raises(SinkError, match=r"another run, or another part of this one"):
            FolderLock(tmp_path, kind)
    write.release()
    readers = [FolderLock(tmp_path, "read"), FolderLock(tmp_path, "read")]
    with pytest.raises(SinkError, match=r"another run"):
        FolderLock(tmp_path)
    for reader in readers:
        reader.release()
    FolderLock(tmp_path).release()
    assert names(tmp_path) == []


# May it be written


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.txt", r"must end in \.csv"), ("old.csv", r"exists; --overwrite replaces it"),
     ("no/a.csv", r"does not exist; create it first"), ("old.csv/a.csv", r"is not a folder"),
     ("folder.csv", r"is a folder; name a file in it"), ("pipe.csv", r"is a device or a pipe")],
)  # fmt: skip
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, message: str):
    (tmp_path / "old.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(FaceregError, match=message):
        output.check_file(tmp_path / name, (".csv",), overwrite=False)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path):
    with pytest.raises(SinkError, match=r"a.csv: cannot write there: No such file or directory"):
        AtomicFile(tmp_path / "no" / "a.csv")


def test_a_disk_without_room_is_named(tmp_path: Path):
    with pytest.raises(SinkError, match=r"the film needs about 10+\.0 GB, and .* free"):
        output.check_room(tmp_path / "a.mp4", 1e20, "the film")


def test_a_file_system_without_hard_links_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def link(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(output.os, "link", link)
    path = tmp_path / "out.txt"
    with AtomicFile(path) as file:
        file.part.write_text("ours")
    assert path.read_text() == "ours"
    file = AtomicFile(path)
    with pytest.raises(SinkError, match=r"appeared in the meantime"):
        file.commit()
    assert path.read_text() == "ours"


def test_a_file_system_without_locks_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    FolderLock(tmp_path).release()
    write_file(tmp_path / "out.txt", b"ours")
    assert names(tmp_path) == ["out.txt"]


def test_a_failed_run_replaces_no_file_that_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "old.csv").write_text("precious")
    for name, place in (("old.csv", ".old.part.csv"), ("new.csv", "new.csv")):
        file = AtomicFile(tmp_path / name, overwrite=True)
        file.part.write_text("half")
        assert file.finish(failed=True) == tmp_path / place
    assert (tmp_path / "old.csv").read_text() == "precious"
    assert "old.csv is as it was; what the failed run wrote is in" in caplog.text


# What a file is


def test_a_file_is_told_from_another_of_its_name_and_size(tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        (photos / name).write_bytes(name.encode() * 100)
    before = checksum_heads(photos), checksum_heads(photos / "a.png")
    (photos / "a.png").rename(photos / "c.png")
    assert checksum_heads(photos) != before[0], "another name"
    (photos / "c.png").rename(photos / "a.png")
    assert checksum_heads(photos) == before[0]
    (photos / "a.png").write_bytes(b"b.png" * 100)
    assert checksum_heads(photos) != before[0], "another content"
    assert checksum_heads(photos / "a.png") != before[1]
    assert checksum_heads(tmp_path / "nowhere") is None
