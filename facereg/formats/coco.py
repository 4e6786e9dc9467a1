"""COCO: ``annotations/instances_default.json``, a compressed mask for each region of each face."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SourceError
from .labelled import NOBODY, Category, Picture, coco_masks, encode_coco, regions

FILE = Path("annotations") / "instances_default.json"


def write(folder: Path, pictures: Iterable[Picture], categories: Sequence[Category]) -> None:
    """Write one file; ``attributes.face_id`` has the face's id."""
    path = folder / FILE
    path.parent.mkdir(parents=True)
    images, number = [], 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"annotations": [')
        for count, picture in enumerate(pictures, 1):
            height, width = picture.labels.shape
            name = picture.image.name if picture.image else f"{picture.name}.png"
            images.append({"id": count, "file_name": name, "height": height, "width": width})
            for region in regions(picture, categories):
                number += 1
                rle = encode_coco(region.mask)
                area, box = coco_masks().area(rle), coco_masks().toBbox(rle)
                annotation: dict[str, Any] = {
                    "id": number, "image_id": count, "category_id": region.category.id,
                    "segmentation": rle, "area": int(area), "bbox": box.tolist(), "iscrowd": 0,
                }  # fmt: skip
                if region.person != NOBODY:
                    annotation["attributes"] = {"face_id": region.person}
                file.write(",\n" * (number > 1) + json.dumps(annotation))
        known = [{"id": c.id, "name": c.name, "supercategory": "face"} for c in categories]
        file.write(f'],\n"images": {json.dumps(images)},\n"categories": {json.dumps(known)}}}\n')


def read(path: Path) -> tuple[Sequence[str], Iterator[Picture]]:
    """Read a ``.json`` file, or the first one of the folder ``annotations``."""
    file = _find(path)
    data = json.loads(file.read_text(encoding="utf-8"))
    ids = {c["id"]: i for i, c in enumerate(data["categories"], 1)}
    names = ["background", *(c["name"] for c in data["categories"])]
    by_image = defaultdict(list)
    for annotation in data["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    folders = [file.parent, file.parent.parent, *file.parent.parent.glob("images/**/")]

    def pictures() -> Iterator[Picture]:
        for index, image in enumerate(data["images"]):
            labels = np.zeros((image["height"], image["width"]), np.uint8)
            for annotation in by_image[image["id"]]:
                labels[_decode(annotation, labels.shape)] = ids[annotation["category_id"]]
            name = Path(image["file_name"]).name
            where = next((f / name for f in folders if (f / name).is_file()), None)
            yield Picture(index, Path(name).stem, labels, image=where)

    return names, pictures()


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted((path / "annotations").glob("*.json"))
    if not found:
        raise SourceError(f"{path}: no annotations/*.json in it")
    return found[0]


def _decode(annotation: dict[str, Any], shape: tuple[int, int]) -> Any:
    tools, shown = coco_masks(), annotation["segmentation"]
    if isinstance(shown, list):  # polygons
        shown = tools.merge(tools.frPyObjects(shown, *shape))
    elif isinstance(shown["counts"], list):
        shown = tools.frPyObjects(shown, *shape)
    mask = tools.decode(shown).astype(bool)
    if mask.shape != shape:
        raise ValueError(f"a mask of {mask.shape} in a picture of {shape}")
    return mask
