"""A tiny labelled dataset: views of the astronaut, labelled by the shipped model."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from tests import clips


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    for part in ("images", "labels"):
        (root / part).mkdir()
    x0, y0, x1, y1 = clips.FACE
    segmenter = PSPNetSegmenter()
    for i in range(6):
        side = 170 + 8 * i
        x, y = (x0 + x1) // 2 - side // 2, max(0, (y0 + y1) // 2 - side // 2 - 8)
        crop = cv2.resize(clips.astronaut()[y : y + side, x : x + side], (192, 192))
        crop = np.asarray(crop, np.uint8)
        cv2.imwrite(str(root / "images" / f"view{i}.png"), crop)
        labels = segmenter.parse_crop(crop, (192, 192))
        Image.fromarray(labels).save(root / "labels" / f"view{i}.png")
    (root / "train.txt").write_text("\n".join(f"view{i}" for i in range(5)))
    (root / "val.txt").write_text("view5\n")
    return root
