"""A dump is read back to the last pixel, in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import facereg
from facereg.errors import SourceError
from tests.masks.dumps import FORMATS, RESULTS, dump
from tests.sinks.results import info, result


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("instances", [False, True])
def test_every_pixel_is_read_back_in_any_order(tmp_path: Path, kind: str, instances: bool):
    sink = dump(tmp_path / "masks", format=kind, instances=instances)
    assert sink.outputs == (str(tmp_path / "masks"),)
    assert sink.report["frames"] == len(RESULTS)
    with facereg.open_masks(str(tmp_path / "masks")) as masks:
        assert len(masks) == len(RESULTS)
        assert masks.complete
        for one, labels in zip(RESULTS, masks, strict=True):
            assert labels.dtype == np.uint8
            assert np.array_equal(labels, one.labels())
        for index in (69, 3, 41, 42, 0, 7, 6, 66):
            assert np.array_equal(masks[index], RESULTS[index].labels())
            if instances:
                owners = masks.instances(index)
                assert owners.dtype == np.int32
                assert np.array_equal(owners, RESULTS[index].instances())
        if not instances:
            with pytest.raises(SourceError, match=r"instances=yes"):
                masks.instances(0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(161, 121), (2, 2), (1, 1), (63, 500)])
def test_every_size_is_read_back(tmp_path: Path, kind: str, size: tuple[int, int]):
    pictures = [result(i, size=size, faces=0) for i in range(3)]
    dump(tmp_path / "masks", pictures, info(*size), format=kind, instances=True)
    with facereg.open_masks(tmp_path / "masks") as masks:
        assert [labels.shape for labels in masks] == [size[::-1]] * 3


@pytest.mark.parametrize("kind", FORMATS)
def test_frames_are_found_by_their_index_in_the_source(tmp_path: Path, kind: str):
    dump(tmp_path / "masks", [result(i) for i in (30, 31, 35)], format=kind)
    with facereg.open_masks(tmp_path / "masks") as masks:
        assert np.array_equal(masks[35], result(35).labels())
        assert (35 in masks, 32 in masks) == (True, False)
        for index in (32, 0, -1, 36):
            with pytest.raises(IndexError, match=f"no frame {index}; it has 30 to 35"):
                masks[index]


def test_a_folder_that_is_no_dump_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match=r"does not exist"):
        facereg.open_masks(tmp_path / "masks")
    with pytest.raises(SourceError, match=r"has no manifest.json"):
        facereg.open_masks(tmp_path)
