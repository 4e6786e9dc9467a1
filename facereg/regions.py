"""The 21 classes of a label map, their colours, and the groups that users name.

Left and right are the person's own sides. Ids 0 to 16 are those of the upstream project's label
list.
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

#: RGB colour of each class, by id. Any two differ by a CIEDE2000 of more than 15, for people with
#: protanopia and deuteranopia, too; a test computes it. Skin is blue, so that it shows on skin.
COLORS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),  # background
    (55, 99, 131),  # skin
    (127, 69, 2),  # left_eyebrow
    (178, 110, 0),  # right_eyebrow
    (50, 122, 253),  # left_eye
    (3, 188, 255),  # right_eye
    (186, 183, 175),  # nose
    (83, 19, 0),  # lower_lip
    (9, 0, 48),  # mouth_interior
    (202, 125, 174),  # upper_lip
    (59, 4, 135),  # hair
    (194, 226, 157),  # left_eyelid
    (116, 154, 108),  # right_eyelid
    (49, 35, 251),  # left_ear
    (92, 120, 117),  # right_ear
    (91, 80, 68),  # head_covering
    (255, 250, 1),  # glasses
    (185, 222, 238),  # neck
    (28, 56, 64),  # clothing
    (253, 254, 241),  # earring
    (184, 184, 15),  # necklace
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
