"""DAVIS 2017: ``Annotations/480p/SEQUENCE/00000.png``, paletted; an object is a region's class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import SourceError
from .labelled import Category, Picture, palette

MAPS = Path("Annotations") / "480p"
SEQUENCE = "facereg"


def write(folder: Path, pictures: Iterable[Picture], categories: Sequence[Category]) -> None:
    """Write label maps and the list of sequences; ``classes.txt`` names the objects."""
    (folder / MAPS / SEQUENCE).mkdir(parents=True)
    for number, picture in enumerate(pictures):
        image = Image.fromarray(picture.labels)
        image.putpalette(palette(categories))
        image.save(folder / MAPS / SEQUENCE / f"{number:05d}.png")
    lists = folder / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text(f"{SEQUENCE}\n", encoding="utf-8")
    rows = [f"{category.id} {category.name}\n" for category in categories]
    (folder / "classes.txt").write_text("".join(rows), encoding="utf-8")


def read(path: Path) -> tuple[Sequence[str], Iterator[Picture]]:
    """Read every sequence; without ``classes.txt``, an object is called by its number."""
    files = sorted((path / MAPS).glob("*/*.png"))
    if not files:
        raise SourceError(f"{path}: no {MAPS}/SEQUENCE/*.png in it")
    names = ["background", *(str(i) for i in range(1, 256))]
    known = path / "classes.txt"
    for row in known.read_text(encoding="utf-8").splitlines() if known.is_file() else ():
        number, _, name = row.partition(" ")
        names[int(number)] = name

    def pictures() -> Iterator[Picture]:
        for index, file in enumerate(files):
            labels = np.array(Image.open(file), np.uint8)
            beside = path / "JPEGImages" / "480p" / file.parent.name / f"{file.stem}.jpg"
            name = f"{file.parent.name}_{file.stem}"
            yield Picture(index, name, labels, image=beside if beside.is_file() else None)

    return names, pictures()
