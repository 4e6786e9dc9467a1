"""A dataset for ``facereg train`` from the pictures that a format's reader yields."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import UsageError, nearest
from ..regions import CLASSES, COLORS, IDS
from .labelled import Picture

log = logging.getLogger(__name__)

#: Label of a pixel whose class is unknown; training skips it.
UNKNOWN = 255

#: What other label sets call facereg's classes: CelebAMask-HQ and LaPa. They name sides as facereg
#: does, by the person's own.
OTHER_NAMES: Mapping[str, str] = {
    "l_brow": "left_eyebrow", "r_brow": "right_eyebrow", "l_eye": "left_eye", "r_eye": "right_eye",
    "l_ear": "left_ear", "r_ear": "right_ear", "ear_r": "earring", "neck_l": "necklace",
    "u_lip": "upper_lip", "l_lip": "lower_lip", "mouth": "mouth_interior",
    "inner_mouth": "mouth_interior", "eye_g": "glasses", "hat": "head_covering",
    "cloth": "clothing", "face": "skin",
}  # fmt: skip

#: Every so many-th part of the pictures, the last of them, is for measuring.
VAL_PART = 10


def class_table(names: Sequence[str], given: Mapping[str, str]) -> np.ndarray:
    """Return the class id, or `UNKNOWN`, for each of a format's labels: (256,) uint8.

    Args:
        names: of the labels, by their value.
        given: what the user maps: a label's name to a class's.

    Raises:
        UsageError: a name is none of the labels, or none of the classes.
    """
    for label, target in given.items():
        if label not in names:
            raise UsageError(f"--map {label}={target}: no label {label!r}: {nearest(label, names)}")
        if target not in (*CLASSES, "unknown"):
            raise UsageError(
                f"--map {label}={target}: no class {target!r}: {nearest(target, CLASSES)}"
            )
    table = np.full(256, UNKNOWN, np.uint8)
    unknown = []
    for value, name in enumerate(names[:UNKNOWN]):
        plain = re.sub(r"\W+", "_", name.strip().lower())
        target = given.get(name, plain if plain in IDS else OTHER_NAMES.get(plain, ""))
        if target in IDS:
            table[value] = IDS[target]
        elif not name.isdigit():
            unknown.append(name)
    if unknown:
        log.warning(
            "labels without a class are left out of training: %s; --map LABEL=CLASS says which "
            "they are", ", ".join(unknown),
        )  # fmt: skip
    return table


def write(folder: Path, pictures: Iterable[Picture], table: np.ndarray) -> int:
    """Write images, label maps and splits into a new folder; return the number of pictures.

    Pictures whose image is not known have only a label map, which is reported.
    """
    for part in ("images", "labels"):
        (folder / part).mkdir()
    colors = np.full((256, 3), 255, np.uint8)
    colors[: len(COLORS)] = COLORS
    names, missing = [], 0
    for picture in pictures:
        labels = Image.fromarray(table[picture.labels])
        labels.putpalette(colors.ravel().tolist())
        labels.save(folder / "labels" / f"{picture.name}.png")
        names.append(picture.name)
        if picture.image is None:
            missing += 1
        else:
            suffix = picture.image.suffix.lower()
            shutil.copyfile(picture.image, folder / "images" / f"{picture.name}{suffix}")
    first = len(names) - len(names) // VAL_PART
    for split, chosen in (("train", names[:first]), ("val", names[first:])):
        text = "".join(f"{name}\n" for name in chosen)
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")
    if missing:
        log.warning(
            "the images of %d of %d label maps were not found; put them into images/ under the "
            "same names, or say where they are with --images", missing, len(names),
        )  # fmt: skip
    return len(names)
