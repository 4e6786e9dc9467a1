from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facereg.regions import CLASSES, IDS
from facereg.training.augment import IGNORE, Augment
from facereg.training.dataset import FaceDataset
from facereg.training.loader import NONE_OF_PARTIAL, Batches, Data, repeat_factors


def test_the_same_step_gives_the_same_batch(dataset: Path) -> None:
    data = Data(FaceDataset(dataset, "train"))
    one, two = (Batches(data, Augment(96), 4, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.at(7)[0], two.at(7)[0])
    assert (one.at(7)[0] != one.at(8)[0]).any()
    assert (one.at(7)[0] != Batches(data, Augment(96), 4, seed=4).at(7)[0]).any()


def test_images_with_a_rare_class_come_more_often() -> None:
    present = np.zeros((100, 3), bool)
    present[:, 0] = True
    present[:3, 2] = True
    factors = repeat_factors(present)
    assert (factors[3:] == 1).all()
    np.testing.assert_allclose(factors[:3], np.sqrt(0.3 / 0.03))


def test_every_kind_of_data_gets_its_share(dataset: Path, tmp_path: Path) -> None:
    for part in ("images", "labels"):
        shutil.copytree(dataset / part, tmp_path / part)
    for path in (tmp_path / "labels").iterdir():  # a folder that knows hair alone
        labels = np.array(Image.open(path))
        Image.fromarray(np.where(labels == IDS["hair"], labels, 0).astype(np.uint8)).save(path)
    main = FaceDataset(dataset, "train")
    data = Data(main, [FaceDataset(dataset, "val")], FaceDataset(tmp_path), extra_share=0.4)
    batches = Batches(data, Augment(96), 10, seed=1)
    assert [CLASSES[i] for i in np.flatnonzero(batches.partial_classes)] == ["hair"]
    seen = [np.unique(labels) for step in range(20) for labels in batches.at(step)[1]]
    partial = np.mean([NONE_OF_PARTIAL in values for values in seen])
    # 6 of the 7 further pictures are partial, so they are 6/7 of 0.4 of all that is drawn
    assert partial == pytest.approx(0.343, abs=0.03)
    for values in seen:
        assert NONE_OF_PARTIAL not in values or set(values) <= {
            IDS["hair"],
            NONE_OF_PARTIAL,
            IGNORE,
        }


def test_a_share_of_the_main_pictures_is_mixed(dataset: Path) -> None:
    def views(share: float) -> list[bytes]:
        data = Data(FaceDataset(dataset, "train"), copy_paste=share)
        batches = Batches(data, Augment(96, unaugmented=1.0), 4, seed=1)
        return [view.tobytes() for step in range(6) for view in batches.at(step)[0]]

    plain, every = views(0.0), views(1.0)
    assert views(1.0) == every
    assert sum(a != b for a, b in zip(plain, every, strict=True)) > 0
