"""A run that is resumed replaces what it wrote itself, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from facereg.masks.outputs import forget_outputs, is_replaceable, plan_outputs, remember_outputs
from tests.masks.dumps import RESULTS, dump


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dump(tmp_path / "masks", RESULTS[:2])
    return tmp_path / "masks"


def test_what_a_killed_run_had_finished_is_replaced(folder: Path):
    out, other = folder.parent / "out.mp4", folder.parent / "other.mp4"
    plan_outputs(folder, [out])
    for path in (out, other):
        path.write_text("a video")
    assert is_replaceable(folder, out)
    assert not is_replaceable(folder, other)
    plan_outputs(folder, [out])  # by the run that resumes it, and is killed too
    assert is_replaceable(folder, out)


def test_an_older_file_of_that_name_is_not_replaced(folder: Path):
    out = folder.parent / "out.mp4"
    out.write_text("precious")
    os.utime(out, (1, 1))
    plan_outputs(folder, [out])
    assert not is_replaceable(folder, out)


def test_a_file_that_was_changed_after_the_run_is_not_replaced(folder: Path):
    out = folder.parent / "out.mp4"
    plan_outputs(folder, [out])
    out.write_text("a video")
    remember_outputs(folder, [folder, out])
    assert is_replaceable(folder, out)
    out.write_text("edited by hand")
    assert not is_replaceable(folder, out)


def test_nothing_is_replaced_when_the_run_has_come_to_its_end(folder: Path):
    out = folder.parent / "out.mp4"
    plan_outputs(folder, [out])
    out.write_text("a video")
    forget_outputs(folder)
    assert not is_replaceable(folder, out)


@pytest.mark.parametrize("text", ["", "[]", "[1]", "{", "3", "[" * 100_000])
def test_a_damaged_note_allows_nothing(folder: Path, text: str):
    (folder / ".outputs.json").write_text(text)
    (folder.parent / "out.mp4").write_text("precious")
    assert not is_replaceable(folder, folder.parent / "out.mp4")
