"""What a dump's files are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facereg
from facereg.errors import SinkError
from facereg.regions import COLORS
from tests.masks.dumps import RESULTS, dump
from tests.sinks.results import info, result


def test_a_mask_is_a_paletted_picture_that_any_program_shows(tmp_path: Path):
    dump(tmp_path / "masks")
    with Image.open(tmp_path / "masks" / "000003.png") as image:
        assert (image.mode, image.size) == ("P", (160, 120))
        assert np.array_equal(np.array(image), RESULTS[3].labels())
        colors = np.array(image.convert("RGB"))
    assert np.array_equal(colors, np.array(COLORS, np.uint8)[RESULTS[3].labels()])
    with Image.open(tmp_path / "masks" / "000000.png") as image:
        assert not np.array(image).any(), "no face is a mask of background"


def test_a_video_of_masks_has_the_rate_of_the_source(tmp_path: Path):
    from tests import clips

    dump(tmp_path / "masks", source=info(rate="30000/1001"), format="ffv1")
    found = clips.probe(tmp_path / "masks" / "masks.mkv")
    assert (found.codec, found.frames) == ("ffv1", 70)
    assert float(found.rate) == pytest.approx(29.97, abs=0.02)


def test_an_image_source_has_its_names_and_sizes(tmp_path: Path):
    pictures = [
        result(0, name="a.jpg"),
        result(1, name="b.png", size=(200, 90)),
        result(2, name="c.jpg", size=(171, 131)),
    ]
    for kind in ("png", "npz"):
        dump(tmp_path / kind, pictures, info(sizes_vary=("b.png", 200, 90)), format=kind)
        with facereg.open_masks(tmp_path / kind) as masks:
            assert [line["name"] for line in masks.frames] == ["a.jpg", "b.png", "c.jpg"]
            for one, labels in zip(pictures, masks, strict=True):
                assert np.array_equal(labels, one.labels())
    with pytest.raises(SinkError, match=r"b.png is 200x90.*format=png takes mixed sizes"):
        dump(tmp_path / "ffv1", pictures, info(sizes_vary=("b.png", 200, 90)), format="ffv1")
