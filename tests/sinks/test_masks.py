"""The sink that writes mask dumps."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

import facereg
from facereg.errors import SinkError
from facereg.masks.lines import checksum_line
from facereg.regions import CLASSES
from tests.masks.dumps import RESULTS, dump
from tests.sinks.results import face, info, result


def test_the_folder_is_as_documented(tmp_path: Path):
    dump(tmp_path / "masks", source=info(rate="30000/1001", frame_count=70))
    manifest = json.loads((tmp_path / "masks" / "manifest.json").read_text())
    assert manifest["format_version"] == 1
    assert manifest["facereg_version"] == facereg.__version__
    assert manifest["source"] == {
        "name": "clip.mp4", "width": 160, "height": 120, "fps": "30000/1001", "frame_count": 70,
    }  # fmt: skip
    assert [c["name"] for c in manifest["classes"]] == list(CLASSES)
    assert manifest["classes"][3] == {"id": 3, "name": "right_eyebrow", "color": [178, 110, 0]}
    assert (manifest["detector"], manifest["segmenter"]) == ("mtcnn", "pspnet")
    assert manifest["model"] == {"name": "face", "sha256": "0f" * 32}
    assert manifest["complete"] is True
    lines = [
        json.loads(row) for row in (tmp_path / "masks" / "frames.jsonl").read_text().splitlines()
    ]
    nothing = zlib.crc32(bytes(120 * 160))
    assert lines[0] == {
        "index": 0, "time": 0.0, "file": "000000.png", "faces": [], "labels_crc32": nothing,
        "line_crc32": checksum_line(lines[0]),
    }  # fmt: skip
    assert lines[2]["time"] == 0.08
    second = lines[2]["faces"][1]
    assert list(second) == ["id", "box", "score", "areas", "crop"]
    assert (second["id"], second["score"]) == (2, 0.9877)
    assert second["box"] == list(RESULTS[2].faces[1].detection.box)
    assert second["crop"] == list(RESULTS[2].faces[1].regions.box)
    assert second["areas"] == RESULTS[2].faces[1].regions.areas()


def test_a_face_id_that_cannot_be_stored_is_refused(tmp_path: Path):
    from dataclasses import replace

    one = result(1)
    wrong = replace(one, faces=(replace(face(70000, one.faces[0].detection.box)),))
    with pytest.raises(SinkError, match=r"face id 70000"):
        dump(tmp_path / "masks", [wrong], instances=True)
