"""CVAT for images 1.1: ``annotations.xml`` with a mask for each region of each face."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from .labelled import NOBODY, Category, Picture, regions

FILE = "annotations.xml"


def write(folder: Path, pictures: Iterable[Picture], categories: Sequence[Category]) -> None:
    """Write one file, picture by picture; ``group_id`` is the face's id."""
    with (folder / FILE).open("w", encoding="utf-8") as file:
        file.write(
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        )
        file.write("<meta><task><labels>\n")
        for category in categories:
            color = f"#{bytes(category.color).hex()}"
            file.write(
                f"<label><name>{category.name}</name><color>{color}</color><type>mask</type>"
                "<attributes></attributes></label>\n"
            )
        file.write("</labels></task></meta>\n")
        for count, picture in enumerate(pictures):
            height, width = picture.labels.shape
            name = picture.image.name if picture.image else f"{picture.name}.png"
            file.write(f'<image id="{count}" name={quoteattr(name)} ')
            file.write(f'width="{width}" height="{height}">\n')
            for region in regions(picture, categories):
                file.write(_mask(region.category.name, region.person, region.mask))
            file.write("</image>\n")
        file.write("</annotations>\n")


def _mask(name: str, person: int, mask: NDArray[np.bool_]) -> str:
    """Write a mask: runs of zeros and ones, in turn, row by row within its box."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], part.ravel()]).astype(np.int8)))
    runs = np.diff(np.concatenate([[0], edges, [part.size]])).tolist()
    group = "" if person == NOBODY else f' group_id="{person}"'
    return (
        f'<mask label={quoteattr(name)} source="auto" occluded="0" '
        f'rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" '
        f'width="{part.shape[1]}" height="{part.shape[0]}" z_order="0"{group}></mask>\n'
    )


def read(path: Path) -> tuple[Sequence[str], Iterator[Picture]]:
    """Read ``annotations.xml``, or a folder with it: masks, and polygons as they are drawn."""
    file = path if path.is_file() else path / FILE
    if not file.is_file():
        raise SourceError(f"{path}: no {FILE} in it")
    if b"<!DOCTYPE" in file.read_bytes()[:4096]:
        raise SourceError(f"{file}: has a document type, which annotations of CVAT have not")
    names = _names(file)

    def pictures() -> Iterator[Picture]:
        index = 0
        for _, element in ET.iterparse(file):  # noqa: S314  (likewise)
            if element.tag == "image":
                yield _picture(index, element, names, file.parent)
                index += 1
                element.clear()

    return names, pictures()


def _names(file: Path) -> list[str]:
    """List the labels of a file, declared or only used, after the background."""
    names = ["background"]
    for _, element in ET.iterparse(file):  # noqa: S314  (without a document type it cannot grow)
        if element.tag == "label":
            names.append(element.findtext("name", ""))
        elif element.tag == "image":
            for shape in element:
                if shape.get("label") not in (None, *names):
                    names.append(shape.get("label", ""))
            element.clear()
    return names


def _picture(index: int, element: ET.Element, names: Sequence[str], folder: Path) -> Picture:
    labels = np.zeros((int(element.attrib["height"]), int(element.attrib["width"])), np.uint8)
    for shape in sorted(element, key=lambda shape: int(shape.get("z_order", 0))):
        value = names.index(shape.get("label", ""))
        if shape.tag == "mask":
            left, top, width, height = (
                int(shape.attrib[key]) for key in ("left", "top", "width", "height")
            )
            runs = [int(run) for run in shape.attrib["rle"].split(",")]
            ones = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
            labels[top : top + height, left : left + width][ones.reshape(height, width)] = value
        elif shape.tag == "polygon":
            points = [p.split(",") for p in shape.attrib["points"].split(";")]
            cv2.fillPoly(labels, [np.round(np.array(points, np.float64)).astype(np.int32)], value)
    name = Path(element.attrib["name"]).name
    found = [folder / name, folder / "images" / name]
    where = next((image for image in found if image.is_file()), None)
    return Picture(index, Path(name).stem, labels, image=where)
