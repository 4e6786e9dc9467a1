"""Classes, groups and colours: ids that files depend on, and colours that everybody tells apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from facereg.regions import CLASSES, COLORS, GROUPS, IDS, MIRRORED, class_ids
from facereg.sinks.display.keys import NUMBER_KEYS
from facereg.views import STRENGTH

#: What linear RGB becomes for somebody without one kind of cone: Machado, Oliveira and Fernandes
#: (2009), severity 1, and Vienot, Brettel and Mollon (1999).
VISIONS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia, Machado": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia, Machado": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "protanopia, Vienot": (
        (0.11238, 0.88762, 0),
        (0.11238, 0.88762, 0),
        (0.00401, -0.00401, 1),
    ),
    "deuteranopia, Vienot": (
        (0.29275, 0.70725, 0),
        (0.29275, 0.70725, 0),
        (-0.02234, 0.02234, 1),
    ),
}

#: Skin from light to dark, RGB.
SKINS = ((255, 224, 196), (224, 172, 150), (198, 134, 105), (141, 85, 60), (90, 56, 40))


def test_class_ids_are_the_contract() -> None:
    assert CLASSES[:5] == ("background", "skin", "left_eyebrow", "right_eyebrow", "left_eye")
    assert [IDS[n] for n in ("lower_lip", "hair", "glasses", "necklace")] == [7, 10, 16, 20]
    assert len(CLASSES) == len(COLORS) == len(set(COLORS)) == 21


def test_groups_hold_what_the_design_says() -> None:
    assert class_ids(["eyes"]) == (4, 5)
    assert class_ids(["mouth"]) == (7, 8, 9)
    assert class_ids(["face"]) == (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12)
    assert set(class_ids(["head"])) == {*class_ids(["face"]), 10, 13, 14, 15, 16}
    assert class_ids(["jewellery"]) == (19, 20)
    assert not set(GROUPS) & set(CLASSES)


def test_number_keys_are_regions() -> None:
    assert sorted(NUMBER_KEYS) == list("0123456789")
    assert all(class_ids([region]) for region in NUMBER_KEYS.values())


def test_mirroring_swaps_the_four_pairs() -> None:
    moved = {i: other for i, other in enumerate(MIRRORED) if i != other}
    assert moved == {2: 3, 3: 2, 4: 5, 5: 4, 11: 12, 12: 11, 13: 14, 14: 13}


def seen(colors: Any, vision: str) -> NDArray[np.float64]:
    """Turn sRGB colours of 0 to 255 into CIELAB, as somebody sees them."""
    rgb = np.asarray(colors, np.float64) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(rgb2lab(srgb))


@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_colours_can_be_told_apart(vision: str) -> None:
    lab = seen(COLORS, vision)
    difference = deltaE_ciede2000(lab[:, None], lab[None])
    np.fill_diagonal(difference, np.inf)
    one, other = np.unravel_index(difference.argmin(), difference.shape)
    assert difference.min() > 15, f"{CLASSES[one]} and {CLASSES[other]}"


@pytest.mark.parametrize("vision", VISIONS)
def test_coloured_skin_shows_on_skin_of_any_colour(vision: str) -> None:
    skins = np.array(SKINS, np.float64)
    colored = STRENGTH * np.array(COLORS[IDS["skin"]]) + (1 - STRENGTH) * skins
    assert deltaE_ciede2000(seen(colored, vision), seen(skins, vision)).min() > 15
