"""Whose folder it is, and when an old dump is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

import facereg
from facereg.components import Run, Status
from facereg.errors import SinkError
from facereg.plugins.replay import ReplayDetector
from facereg.sinks.masks import MasksSink
from tests.masks.dumps import FORMATS, RESULTS, RUN, dump, files
from tests.sinks.results import feed, info


def test_a_folder_that_is_in_use_is_kept(tmp_path: Path):
    dump(tmp_path / "masks", RESULTS[:5])
    before = files(tmp_path / "masks")
    with pytest.raises(SinkError, match=r"is not empty; --overwrite"):
        dump(tmp_path / "masks")
    assert files(tmp_path / "masks") == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_overwriting_removes_the_old_dump_and_nothing_else(tmp_path: Path, kind: str):
    for old in FORMATS:
        folder = tmp_path / f"{old}-{kind}"
        dump(folder, RESULTS[:9], format=old, instances=True)
        (folder / "notes.txt").write_text("precious")
        dump(folder, RESULTS[:3], format=kind, overwrite=True)
        (folder / "notes.txt").unlink()
        dump(tmp_path / f"new-{old}-{kind}", RESULTS[:3], format=kind)
        assert files(folder) == files(tmp_path / f"new-{old}-{kind}")


def test_overwriting_spares_a_folder_that_is_no_dump(tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "000000.png").write_text("a photo")
    for option in ("overwrite", "resume"):
        with pytest.raises(SinkError, match=r"is not a mask dump"):
            dump(photos, **{option: True})
    assert files(photos) == {"000000.png": b"a photo"}


@pytest.mark.parametrize(
    ("name", "message"), [("no/masks", "does not exist; create it"), ("file", "is a file; name a")]
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, message: str):
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=message):
        dump(tmp_path / name)


def test_with_both_options_a_finished_dump_is_replaced_and_an_unfinished_one_resumed(
    tmp_path: Path,
):
    for unfinished in (True, False):
        folder = tmp_path / str(unfinished)
        sink = MasksSink(path=folder)
        sink.open(info(), failing(9) if unfinished else RUN)
        for one in RESULTS[:9]:
            sink.write(one)
        sink.close()
        sink = dump(folder, RESULTS[:12], resume=True, overwrite=True)
        assert sink.report["resumed"] == (9 if unfinished else 0)


# An old dump stays until the new one is complete


def failing(frames: int) -> Run:
    """A run that an error ends after so many frames."""
    return Run(RUN.provenance, lambda: Status(frames=frames, failed=True))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_run_that_fails_before_its_first_frame_changes_nothing(tmp_path: Path, kind: str):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:9], format=kind)
    before = files(folder)
    sink = MasksSink(path=folder, format=kind, overwrite=True)
    sink.open(info(), failing(0))
    sink.close()
    assert files(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_a_resumption_that_ends_before_its_first_frame_changes_nothing(tmp_path: Path, kind: str):
    folder = tmp_path / "masks"
    dump(folder, format=kind, instances=True)
    before = files(folder)
    for run in (failing(0), Run(RUN.provenance, lambda: Status(stopping=True))):
        sink = MasksSink(path=folder, format=kind, instances=True, resume=True)
        sink.open(info(), run)
        sink.close()
        assert files(folder) == before


def test_a_new_folder_of_a_run_that_fails_before_its_first_frame_is_removed(tmp_path: Path):
    sink = MasksSink(path=tmp_path / "masks")
    sink.open(info(), failing(0))
    sink.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_a_run_that_fails_half_way_keeps_the_old_dump_and_can_be_resumed(tmp_path: Path, kind: str):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:5])
    (folder / "notes.txt").write_text("precious")
    before = files(folder)
    sink = MasksSink(path=folder, format=kind, overwrite=True)
    sink.open(info(), failing(66))
    for one in RESULTS[:66]:
        sink.write(one)
    sink.close()
    assert files(folder) == before
    assert sink.outputs == (str(tmp_path / ".masks.part"),)
    sink = dump(folder, format=kind, resume=True)
    assert sink.report["resumed"] == (64 if kind == "npz" else 66)
    assert (folder / "notes.txt").read_text() == "precious"
    (folder / "notes.txt").unlink()
    dump(tmp_path / "whole", format=kind)
    assert files(folder) == files(tmp_path / "whole")
    assert not (tmp_path / ".masks.part").exists()


def test_overwriting_again_starts_again(tmp_path: Path):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:5])
    sink = MasksSink(path=folder, overwrite=True)
    sink.open(info(), failing(3))
    for one in RESULTS[:3]:
        sink.write(one)
    sink.close()
    sink = dump(folder, RESULTS[:2], overwrite=True)
    assert sink.report == {"path": str(folder), "format": "png", "frames": 2, "resumed": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


@pytest.mark.parametrize("moment", ["between the renames", "before the removal"])
def test_a_run_that_is_killed_as_it_replaces_a_dump_loses_neither(tmp_path: Path, moment: str):
    folder, replaced = tmp_path / "masks", tmp_path / ".masks.old"
    dump(tmp_path / "old", RESULTS[:5])
    (tmp_path / "old" / "notes.txt").write_text("precious")
    dump(tmp_path / "new", RESULTS[:9])
    (tmp_path / "old").rename(replaced)
    between = moment == "between the renames"
    (tmp_path / "new").rename(tmp_path / ".masks.part" if between else folder)
    dump(folder, RESULTS[:9], resume=True)
    assert (folder / "notes.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]
    with facereg.open_masks(folder) as masks:
        assert len(masks) == 9


def test_a_dump_that_is_a_link_stays_one(tmp_path: Path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "masks").symlink_to(tmp_path / "disk", target_is_directory=True)
    for frames in (3, 5):
        dump(tmp_path / "masks", RESULTS[:frames], overwrite=True)
    assert (tmp_path / "masks").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "masks"]
    with facereg.open_masks(tmp_path / "disk") as masks:
        assert len(masks) == 5


def test_a_long_name_is_no_problem(tmp_path: Path):
    folder = tmp_path / ("m" * 250)
    for frames in (3, 5):
        dump(folder, RESULTS[:frames], overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


# Somebody else's


def test_links_that_somebody_planted_are_not_written_through(tmp_path: Path):
    folder, victim = tmp_path / "masks", tmp_path / "victim"
    victim.write_text("precious")
    dump(folder, RESULTS[:3], instances=True)
    names = ["frames.jsonl", "000001.png", ".000003.part.png", ".000004.instances.part.png",
             ".frames.part.jsonl", ".manifest.part.json", ".faces.jsonl", ".state"]  # fmt: skip
    for name in names:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
    dump(folder, RESULTS[:6], instances=True, resume=True)
    assert victim.read_text() == "precious"
    with facereg.open_masks(folder) as masks:
        assert len(masks) == 6


@pytest.mark.slow
@pytest.mark.parametrize("name", [".masks.mkv.part", ".instances.mkv.part", ".masks.mkv.old"])
def test_links_to_videos_are_not_written_through(tmp_path: Path, name: str):
    folder, victim = tmp_path / "masks", tmp_path / "victim"
    victim.write_text("precious")
    dump(folder, RESULTS[:3], format="ffv1", instances=True)
    (folder / name).symlink_to(victim)
    dump(folder, RESULTS[:6], format="ffv1", instances=True, overwrite=True)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("kind", ["link", "folder of others", "file"])
def test_what_is_in_the_way_of_the_new_dump_stays(tmp_path: Path, kind: str):
    dump(tmp_path / "masks", RESULTS[:3])
    (tmp_path / "elsewhere").mkdir()
    beside = tmp_path / ".masks.part"
    if kind == "link":
        dump(tmp_path / "elsewhere", RESULTS[:4])
        beside.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    elif kind == "file":
        beside.write_text("precious")
    else:
        beside.mkdir()
        (beside / "notes.txt").write_text("precious")
    with pytest.raises(SinkError, match=r"\.masks\.part (is in the way|has files of others)"):
        dump(tmp_path / "masks", RESULTS[:6], overwrite=True)
    with facereg.open_masks(tmp_path / "masks") as masks:
        assert len(masks) == 3
    if kind == "link":
        assert len(facereg.open_masks(tmp_path / "elsewhere")) == 4


# One run at a time


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_a_second_run_into_a_dump_is_refused_at_once(tmp_path: Path, options: dict[str, bool]):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:3])
    for first in ({"overwrite": True}, {"resume": True}):
        sink = MasksSink(path=folder, **first)
        sink.open(info(), RUN)
        with pytest.raises(SinkError, match=r"masks: another run, or another part of this one"):
            dump(folder, RESULTS[:9], **options)
        for one in RESULTS[:5]:
            sink.write(one)
        sink.close()
        with facereg.open_masks(folder) as masks:
            assert len(masks) == 5


def test_a_dump_is_not_replaced_while_it_is_replayed(tmp_path: Path):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:3])
    before = files(folder)
    replay = ReplayDetector(path=folder)
    for options in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(SinkError, match=r"another part of this one, is using it"):
            dump(folder, RESULTS[:9], **options)
    assert files(folder) == before
    replay.close()
    dump(folder, RESULTS[:9], overwrite=True)


def test_a_dump_with_the_source_in_it_is_refused(tmp_path: Path):
    folder = tmp_path / "masks"
    dump(folder, RESULTS[:3], format="ffv1")
    before = files(folder)
    with pytest.raises(SinkError, match=r"masks has the source in it; name another folder"):
        dump(folder, RESULTS, info(media=str(folder / "masks.mkv")), overwrite=True)
    assert files(folder) == before


def test_a_source_replaced_by_another_of_its_name_and_size_is_noticed(tmp_path: Path):
    folder, clip = tmp_path / "masks", tmp_path / "clip.mp4"
    clip.write_bytes(b"one film")
    dump(folder, RESULTS[:3], info(media=str(clip)))
    dump(folder, RESULTS[:5], info(media=str(clip)), resume=True)
    clip.write_bytes(b"another!")
    with pytest.raises(SinkError, match=r"its source clip.mp4 is another, or was changed; --over"):
        dump(folder, RESULTS[:7], info(media=str(clip)), resume=True)


def test_a_picture_replaced_by_another_of_its_name_and_size_is_noticed(tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "abc":
        (photos / name).write_bytes(name.encode() * 99)

    def run(frames: int) -> None:
        sink = MasksSink(path=tmp_path / "masks", resume=True)
        sink.note_files(photos, [])
        feed(sink, info(), RESULTS[:frames], RUN)

    run(2)
    run(3)
    (photos / "b").write_bytes(b"x" * 99)
    with pytest.raises(SinkError, match=r"its source clip.mp4 is another, or was changed"):
        run(4)
