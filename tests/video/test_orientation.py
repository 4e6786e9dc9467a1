from __future__ import annotations

import struct

import numpy as np
import pytest

from facereg.video.orientation import Orientation, read_orientation

#: A picture whose corners differ, so that each of the eight orientations shows.
PICTURE = np.repeat(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., None], 3, -1)


def matrix(a: float, b: float, c: float, d: float) -> bytes:
    return struct.pack("=9i", *(round(65536 * v) for v in (a, b, 0, c, d, 0, 0, 0, 16384)))


@pytest.mark.parametrize(
    ("abcd", "rows"),
    [
        ((1, 0, 0, 1), [[1, 2, 3], [4, 5, 6]]),
        ((0, 1, -1, 0), [[4, 1], [5, 2], [6, 3]]),  # a quarter turn clockwise
        ((-1, 0, 0, -1), [[6, 5, 4], [3, 2, 1]]),
        ((0, -1, 1, 0), [[3, 6], [2, 5], [1, 4]]),
        ((-1, 0, 0, 1), [[3, 2, 1], [6, 5, 4]]),  # left and right exchanged
        ((1, 0, 0, -1), [[4, 5, 6], [1, 2, 3]]),  # upside down in a mirror
        ((0, 1, 1, 0), [[1, 4], [2, 5], [3, 6]]),
        ((0, -1, -1, 0), [[6, 3], [5, 2], [4, 1]]),
    ],
)
def test_all_eight_ways_to_show_a_picture(abcd: tuple[float, ...], rows: list[list[int]]) -> None:
    shown = read_orientation(matrix(*abcd)).apply(PICTURE)
    assert shown[..., 0].tolist() == rows
    assert shown.flags.c_contiguous


def test_no_matrix_and_a_broken_one_leave_it_as_it_is() -> None:
    for data in (None, b"", matrix(0, 0, 0, 0)):
        assert read_orientation(data) == Orientation()


def test_an_odd_angle_becomes_the_nearest_quarter_turn_and_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert read_orientation(matrix(0.17, 0.98, -0.98, 0.17)).degrees == 90
    assert "turned by 80 degrees: it is turned by 90" in caplog.text
