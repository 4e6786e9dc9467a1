"""KITTI MOTS: people, not regions. ``instances/0000/`` as PNGs, ``instances_txt/0000.txt``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .labelled import Category, Picture, encode_coco

#: A pixel of the PNGs is a thousand times the class, which MOTS calls pedestrian, plus the object.
PEDESTRIAN, BASE = 2, 1000
SEQUENCE = "0000"


def write(
    folder: Path,
    pictures: Iterable[Picture],
    categories: Sequence[Category],  # noqa: ARG001  (people have none)
) -> None:
    """Write whole people, whatever their regions are; frames count from 0 without gaps."""
    maps, texts = folder / "instances" / SEQUENCE, folder / "instances_txt"
    maps.mkdir(parents=True)
    texts.mkdir()
    count = 0
    with (texts / f"{SEQUENCE}.txt").open("w", encoding="utf-8") as file:
        for picture in pictures:
            people = np.zeros(picture.labels.shape, np.uint16)
            if picture.people is not None:
                seen = (picture.labels > 0) & (picture.people > 0)
                people[seen] = PEDESTRIAN * BASE + picture.people[seen] % BASE
            Image.fromarray(people).save(maps / f"{count:06d}.png")
            height, width = picture.labels.shape
            for number in np.unique(people[people > 0]).tolist():
                rle = encode_coco(people == number)["counts"]
                file.write(f"{count} {number} {PEDESTRIAN} {height} {width} {rle}\n")
            count += 1
