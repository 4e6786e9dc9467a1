"""A dump is right at any moment, whatever fails."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

import facereg
from facereg import output
from facereg.components import Run
from facereg.errors import SinkError
from facereg.sinks.masks import MasksSink
from tests.masks.dumps import RESULTS
from tests.sinks.results import info, result


@pytest.mark.parametrize("kind", ["png", "npz"])
def test_a_full_disk_is_an_error_and_what_is_there_is_whole(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "masks"
    sink = MasksSink(path=folder, format=kind)
    sink.open(info(), Run())
    for one in RESULTS[:66]:
        sink.write(one)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(output.os, "replace", full)
        with pytest.raises(SinkError, match=r"No space left"):
            feed_on(sink)
    sink.close()
    assert sink.outputs == ()
    with facereg.open_masks(folder) as masks:
        assert not masks.complete
        assert len(masks) == (66 if kind == "png" else 64)
        for labels, one in zip(masks, RESULTS, strict=False):
            assert np.array_equal(labels, one.labels())


def feed_on(sink: MasksSink) -> None:
    for i in range(66, 140):
        sink.write(result(i))
