"""Pascal VOC: ``SegmentationClass/NAME.png`` in the colours that ``labelmap.txt`` lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import SourceError
from .labelled import Category, Picture, palette, regions

CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"


def write(folder: Path, pictures: Iterable[Picture], categories: Sequence[Category]) -> None:
    """Write paletted PNGs: classes by colour, and regions of faces by number."""
    for part in (CLASSES, OBJECTS, Path("ImageSets") / "Segmentation"):
        (folder / part).mkdir(parents=True)
    rows = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    rows += [f"{c.name}:{','.join(map(str, c.color))}::" for c in categories]
    (folder / "labelmap.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    names = []
    for picture in pictures:
        names.append(picture.name)
        image = Image.fromarray(picture.labels)
        image.putpalette(palette(categories))
        image.save(folder / CLASSES / f"{picture.name}.png")
        numbers = np.zeros_like(picture.labels)
        for number, region in enumerate(regions(picture, categories)):
            numbers[region.mask] = number % 254 + 1
        objects = Image.fromarray(numbers)
        objects.putpalette(_distinct_colors())
        objects.save(folder / OBJECTS / f"{picture.name}.png")
    text = "".join(f"{name}\n" for name in names)
    (folder / "ImageSets" / "Segmentation" / "default.txt").write_text(text, encoding="utf-8")


def _distinct_colors() -> list[int]:
    """Return VOC's own palette, in which neighbours differ most."""
    colors = np.zeros((256, 3), int)
    for i in range(256):
        for bit in range(8):
            for channel in range(3):
                colors[i, channel] |= (i >> (3 * bit + channel) & 1) << (7 - bit)
    values: list[int] = colors.ravel().tolist()
    return values


def read(path: Path) -> tuple[Sequence[str], Iterator[Picture]]:
    """Read the classes of a folder by the colours of its ``labelmap.txt``."""
    if not (path / "labelmap.txt").is_file():
        raise SourceError(f"{path}: no labelmap.txt in it")
    names, colors = [], []
    for row in (path / "labelmap.txt").read_text(encoding="utf-8").splitlines():
        if row.strip() and not row.startswith("#"):
            name, color = row.split(":")[:2]
            names.append(name)
            colors.append([int(value) for value in color.split(",")])
    order = sorted(range(len(names)), key=lambda i: names[i] != "background")

    def pictures() -> Iterator[Picture]:
        for index, file in enumerate(sorted((path / CLASSES).glob("*.png"))):
            rgb = np.asarray(Image.open(file).convert("RGB"))
            labels = np.full(rgb.shape[:2], 255, np.uint8)
            for i, position in enumerate(order):
                labels[(rgb == colors[position]).all(axis=2)] = i
            found = sorted((path / "JPEGImages").glob(f"{file.stem}.*"))
            yield Picture(index, file.stem, labels, image=found[0] if found else None)

    return [names[i] for i in order], pictures()
