from __future__ import annotations

from pathlib import Path

import pytest

from facereg.video.damage import (
    BROKEN,
    CUT_OFF,
    Damage,
    describe_damage,
    find_structural_damage,
    is_cut_off,
)
from tests import clips


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".webm", ".ts", ".m2ts"])
def test_a_cut_off_file_is_known_by_its_structure(tmp_path: Path, suffix: str) -> None:
    args = ["-c:v", "libvpx-vp9", "-cpu-used", "8"] if suffix == ".webm" else []
    clip = clips.write_clip(tmp_path / f"whole{suffix}", clips.still(5, 64, 48), args=args)
    assert not find_structural_damage(clip)
    data = clip.read_bytes()
    for share in (0.3, 0.5, 0.99):
        clip.write_bytes(data[: int(len(data) * share) // 188 * 188 + 7])
        assert is_cut_off(clip), share


def test_a_matroska_file_without_sizes_is_whole(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "live.mkv", clips.still(5, 64, 48), args=["-live", "1"])
    assert not find_structural_damage(clip)


def test_a_destroyed_part_of_a_matroska_file_is_found(tmp_path: Path) -> None:
    clip = clips.write_clip(tmp_path / "whole.mkv", clips.still(50, 64, 48), audio="aac")
    data = clip.read_bytes()
    middle = len(data) // 2
    clip.write_bytes(data[:middle] + bytes(600) + data[middle + 600 :])
    assert find_structural_damage(clip) == BROKEN
    clip.write_bytes(data[:middle] + b"x" + data[middle:])
    assert find_structural_damage(clip) == BROKEN


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\x1aE\xdf\xa3", b"G" * 400, b"text" * 100])
def test_odd_bytes_are_no_reason_to_fail(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd"
    path.write_bytes(data)
    is_cut_off(path)


def test_what_is_lost_is_said_in_numbers() -> None:
    damage = Damage(leading=3, lost=1, unreadable="Invalid data")
    assert describe_damage(damage, 40, None, CUT_OFF) == (
        "40 frames could be read; 3 packets before its first key frame cannot be decoded; "
        "1 packet could not be decoded; the rest is unreadable (invalid data)"
    )
    assert describe_damage(Damage(), 40, 50, CUT_OFF) == (
        "40 of its 50 frames could be read; its end is missing"
    )
    assert describe_damage(Damage(), 40, 50) == "", "50 may be a guess"
