from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facereg import SourceError, UsageError
from facereg.training.dataset import FaceDataset


def test_a_split_lists_its_pairs(dataset: Path) -> None:
    data = FaceDataset(dataset, "train")
    assert data.names == [f"view{i}" for i in range(5)]
    assert len(FaceDataset(dataset)) == 6
    assert data.image(0).shape == (192, 192, 3)
    assert data.labels(0).dtype == np.uint8


def test_a_split_may_list_names_with_spaces(dataset: Path, tmp_path: Path) -> None:
    for part, ending in (("images", "jpg"), ("labels", "png")):
        (tmp_path / part).mkdir()
        Image.new("L", (4, 4)).save(tmp_path / part / f"my face.{ending}")
    (tmp_path / "val.txt").write_text("my face\n\n")
    assert FaceDataset(tmp_path, "val").names == ["my face"]


def test_labels_are_read_as_indices_not_colours(dataset: Path, tmp_path: Path) -> None:
    paletted = Image.fromarray(np.full((4, 4), 7, np.uint8), "P")
    paletted.putpalette([200] * 768)
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    paletted.save(tmp_path / "labels" / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "a.jpg")
    assert (FaceDataset(tmp_path).labels(0) == 7).all()


def test_an_unknown_split_names_those_there_are(dataset: Path) -> None:
    with pytest.raises(UsageError, match="no split 'trian': did you mean train"):
        FaceDataset(dataset, "trian")


def test_a_folder_that_is_no_dataset_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no folder 'images'; a dataset has images/NAME\.jpg"):
        FaceDataset(tmp_path)


def test_an_image_without_labels_is_named(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "lonely.png")
    with pytest.raises(SourceError, match=r"lonely has no image, or no labels/lonely\.png"):
        FaceDataset(tmp_path)


def test_a_colour_picture_is_no_label_map(dataset: Path, tmp_path: Path) -> None:
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
        Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / part / "a.png")
    with pytest.raises(SourceError, match="not a label map"):
        FaceDataset(tmp_path).labels(0)
