"""The 21 classes of a label map, their colours, and the groups that users name.

Left and right are the person's own sides. Ids 0 to 16 are those of the upstream project's label
list; colours are those of the training data.
"""

from __future__ import annotations

from collections.abc import Iterable

from .errors import UsageError, nearest

#: Class names; the index in this tuple is the class id, the value of a pixel in a label map.
CLASSES: tuple[str, ...] = (
    "background",
    "skin",
    "left_eyebrow",
    "right_eyebrow",
    "left_eye",
    "right_eye",
    "nose",
    "lower_lip",
    "mouth_interior",
    "upper_lip",
    "hair",
    "left_eyelid",
    "right_eyelid",
    "left_ear",
    "right_ear",
    "head_covering",
    "glasses",
    "neck",
    "clothing",
    "earring",
    "necklace",
)

#: Class id of each name.
IDS: dict[str, int] = {name: i for i, name in enumerate(CLASSES)}

#: RGB colour of each class, by id.
COLORS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (255, 205, 148),
    (120, 72, 24),
    (170, 110, 50),
    (30, 110, 255),
    (0, 180, 255),
    (240, 140, 60),
    (200, 30, 70),
    (110, 0, 30),
    (235, 80, 110),
    (90, 50, 160),
    (160, 220, 90),
    (90, 190, 60),
    (255, 120, 190),
    (225, 90, 230),
    (140, 140, 140),
    (255, 230, 0),
    (215, 170, 120),
    (60, 120, 120),
    (255, 255, 255),
    (190, 190, 0),
)

#: Named groups of classes.
GROUPS: dict[str, tuple[str, ...]] = {
    "eyebrows": ("left_eyebrow", "right_eyebrow"),
    "eyes": ("left_eye", "right_eye"),
    "eyelids": ("left_eyelid", "right_eyelid"),
    "lips": ("lower_lip", "upper_lip"),
    "ears": ("left_ear", "right_ear"),
    "mouth": ("lower_lip", "mouth_interior", "upper_lip"),
    "jewellery": ("earring", "necklace"),
}
GROUPS["face"] = (
    "skin",
    *GROUPS["eyebrows"],
    *GROUPS["eyes"],
    *GROUPS["eyelids"],
    "nose",
    *GROUPS["mouth"],
)
GROUPS["head"] = (*GROUPS["face"], "hair", *GROUPS["ears"], "head_covering", "glasses")


def _mirrored(name: str) -> str:
    side, _, part = name.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, name)


#: The class that each class becomes in a mirror, by id.
MIRRORED: tuple[int, ...] = tuple(IDS[_mirrored(name)] for name in CLASSES)


def class_ids(names: Iterable[str]) -> tuple[int, ...]:
    """Resolve class and group names to sorted class ids.

    Raises:
        UsageError: a name is neither a class nor a group; the message suggests the nearest ones.

    >>> class_ids(["eyes", "nose"])
    (4, 5, 6)
    """
    ids: set[int] = set()
    for name in names:
        if name in GROUPS:
            ids.update(IDS[member] for member in GROUPS[name])
        elif name in IDS:
            ids.add(IDS[name])
        else:
            raise UsageError(f"unknown region {name!r}: {nearest(name, (*CLASSES, *GROUPS))}")
    return tuple(sorted(ids))
