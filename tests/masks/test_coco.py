"""COCO's own tool reads what is exported."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import facereg
from facereg.errors import FaceregError
from facereg.regions import CLASSES
from tests.masks.dumps import RESULTS, dump


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_is_read_back_by_its_own_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    coco = pytest.importorskip("pycocotools.coco")
    dump(tmp_path / "masks", RESULTS[:8], instances=True)
    with facereg.open_masks(tmp_path / "masks") as masks:
        masks.to_coco(tmp_path / "masks.json")
    data = coco.COCO(str(tmp_path / "masks.json"))
    assert len(data.imgs) == 8
    assert {c["name"] for c in data.cats.values()} == set(CLASSES[1:])
    for one in RESULTS[:8]:
        rebuilt = np.zeros((120, 160), np.uint8)
        faces = set()
        for annotation in data.loadAnns(data.getAnnIds(imgIds=[one.frame.index])):
            mask = data.annToMask(annotation).astype(bool)
            assert mask.sum() == annotation["area"]
            rebuilt[mask] = annotation["category_id"]
            faces.add(annotation["face_id"])
            assert (one.instances()[mask] == annotation["face_id"]).all()
        assert np.array_equal(rebuilt, one.labels())
        assert faces == {f.id for f in one.faces}


def test_coco_without_its_tool_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dump(tmp_path / "masks", RESULTS[:2])
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with (
        facereg.open_masks(tmp_path / "masks") as masks,
        pytest.raises(FaceregError, match=r"pip install .facereg\[formats\]"),
    ):
        masks.to_coco(tmp_path / "masks.json")
    assert not (tmp_path / "masks.json").exists()
