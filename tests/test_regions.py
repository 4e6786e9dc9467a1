from __future__ import annotations

from facereg.regions import CLASSES, COLORS, GROUPS, IDS, MIRRORED, class_ids
from facereg.sinks.display.keys import NUMBER_KEYS


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
