"""Reading the maps of a dump, one by one, in any order."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from facereg.masks.dump import MaskDump
from facereg.sinks.masks import MasksSink
from tests.sinks.results import feed, info, result

NAMES = ["a:b", "http:c", "-i", "%04d", "ein Gruß"]
if sys.platform == "linux":
    NAMES.append(os.fsdecode(b"not-utf8-\xff"))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_video_of_maps_is_read_from_a_folder_of_any_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = [result(i) for i in range(6)]
    feed(MasksSink(path=Path(name), format="ffv1"), info(), results)
    with MaskDump(Path(name)) as dump:
        for i in (3, 0, 5):
            assert np.array_equal(dump[i], results[i].labels())
