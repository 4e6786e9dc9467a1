from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from facereg.regions import IDS
from facereg.training import occlusion
from facereg.training.augment import Augment
from facereg.training.config import Recipe
from facereg.training.dataset import OCCLUDED, FaceDataset
from facereg.training.loader import Batches, Data
from facereg.training.losses import distillation_loss, segmentation_loss
from facereg.training.occlusion import KIND_PROBABILITIES, Occlusion, WornMask, describe_worn_mask
from tests.training.faces import SIDE, drawn_face

NONE = torch.zeros(21, dtype=torch.bool)  # no class is partly labelled


def masked_face() -> WornMask:
    """The drawn face with a blue mask from the nose to the chin."""
    image, labels = drawn_face()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[68:108, 36:92] = True
    image[mask] = (230, 180, 120)
    labels[mask] = OCCLUDED
    worn = describe_worn_mask(image, labels, mask)
    assert worn is not None
    return worn


def occluder(worn: bool = True) -> Occlusion:
    image, labels = drawn_face()
    return Occlusion([image], [labels], [masked_face()] if worn else [])


def only(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occlusion, "KIND_PROBABILITIES", {kind: 1.0})
    monkeypatch.setattr(occlusion, "ANOTHER_PROBABILITY", 0.0)


@pytest.mark.parametrize("kind", list(KIND_PROBABILITIES))
def test_what_is_pasted_is_no_part_of_the_face(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only(kind, monkeypatch)
    image, labels = drawn_face()
    changed = 0
    for seed in range(10):
        picture, truth = occluder()(image, labels, np.random.default_rng(seed))
        assert picture.shape == image.shape
        assert picture.dtype == truth.dtype == np.uint8
        pasted = truth != labels
        assert set(np.unique(truth[pasted])) <= {OCCLUDED, IDS["hair"]}
        face = np.isin(labels, [1, 4, 5, 6, 7, 9])
        assert pasted[face].mean() <= 0.8
        changed += bool(pasted.any())
    assert changed >= 5


def test_a_mask_is_worn_over_the_mouth_below_the_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    only("worn_mask", monkeypatch)
    image, labels = drawn_face()
    for seed in range(10):
        _, truth = occluder()(image, labels, np.random.default_rng(seed))
        pasted = truth == OCCLUDED
        assert pasted[labels == IDS["lower_lip"]].mean() > 0.9
        assert not pasted[np.isin(labels, [IDS["left_eye"], IDS["right_eye"]])].any()


def test_without_masks_to_paste_one_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    only("worn_mask", monkeypatch)
    image, labels = drawn_face()
    _, truth = occluder(worn=False)(image, labels, np.random.default_rng(1))
    assert (truth == OCCLUDED)[labels == IDS["lower_lip"]].mean() > 0.9


def test_a_picture_without_a_face_stays_as_it_is() -> None:
    image, labels = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    same = occluder()(image, labels, np.random.default_rng(0))
    assert same[0] is image
    assert same[1] is labels


def test_a_mask_is_recoloured_and_nothing_else() -> None:
    worn = masked_face()
    colors = []
    for seed in range(6):
        image = occluder().recolor(worn.image, worn.mask, np.random.default_rng(seed))
        far = np.ones_like(worn.mask)
        far[62:114, 30:98] = False
        np.testing.assert_array_equal(image[far], worn.image[far])
        colors.append(image[worn.mask].mean(0))
    assert np.std(colors, axis=0).min() > 10


def test_a_mask_without_eyes_above_it_cannot_be_placed() -> None:
    image, labels = drawn_face()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[40:108, 30:98] = True
    labels[mask] = OCCLUDED
    assert describe_worn_mask(image, labels, mask) is None


def test_an_occluded_pixel_is_background_and_not_taught() -> None:
    labels = torch.full((1, 96, 96), 1)
    labels[:, :48] = OCCLUDED
    right = torch.zeros(1, 21, 24, 24)
    right[:, 0, :12] = right[:, 1, 12:] = 20.0
    assert segmentation_loss(right, labels, Recipe(steps=1, smoothing=0.0), NONE) < 0.1
    taught = torch.zeros(1, 21, 24, 24)
    taught[:, 1] = 1.0  # a teacher that takes the object for skin
    assert float(distillation_loss(taught, right, labels)) == pytest.approx(0, abs=1e-4)


def marked_dataset(folder: Path) -> FaceDataset:
    """Write one picture whose object is marked."""
    worn, (_, labels) = masked_face(), drawn_face()
    for part in ("images", "labels", "region"):
        (folder / part).mkdir()
    Picture.fromarray(worn.image[..., ::-1]).save(folder / "images" / "a.png")
    Picture.fromarray(np.where(worn.mask, 0, labels).astype(np.uint8)).save(
        folder / "labels" / "a.png"
    )
    region = np.where(worn.mask, 2, 1).astype(np.uint8)
    Picture.fromarray(region).save(folder / "region" / "a.png")
    return FaceDataset(folder)


def test_marked_objects_are_recoloured_and_pasted_onto_others(
    dataset: Path, tmp_path: Path
) -> None:
    marked = marked_dataset(tmp_path)
    objects = marked.objects(0)
    assert objects is not None
    assert objects.sum() == 40 * 56
    assert FaceDataset(dataset).objects(0) is None
    data = Data(FaceDataset(dataset, "train"), [marked], extra_share=0.5, occlude=1.0)
    images, labels, clear = Batches(data, Augment(96, 1.0), 12, 0).at(0)
    assert (labels == OCCLUDED).any((1, 2)).mean() > 0.7
    pasted = [i for i in range(12) if (images[i] != clear[i]).any()]
    assert len(pasted) >= 4
    for i in pasted:  # the same view, but for what is pasted
        assert (images[i] == clear[i]).all(-1)[:8].mean() > 0.3


def test_the_same_step_gives_the_same_occluded_batch(dataset: Path) -> None:
    data = Data(FaceDataset(dataset, "train"), occlude=0.7)
    first, again = (Batches(data, Augment(96), 4, 3).at(5) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
