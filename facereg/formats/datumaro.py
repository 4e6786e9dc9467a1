"""Datumaro: ``annotations/default.json``, a compressed mask for each region of each face."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SourceError
from .labelled import NOBODY, Category, Picture, coco_masks, encode_coco, regions

FILE = Path("annotations") / "default.json"


def write(folder: Path, pictures: Iterable[Picture], categories: Sequence[Category]) -> None:
    """Write one file, item by item."""
    path = folder / FILE
    path.parent.mkdir(parents=True)
    names = ["background", *(c.name for c in categories)]
    position = {c.id: i for i, c in enumerate(categories, 1)}
    labels = [{"name": name, "parent": "", "attributes": []} for name in names]
    colors = [dict(zip("rgb", c.color, strict=True)) for c in categories]
    colormap = [{"label_id": 0, "r": 0, "g": 0, "b": 0}]
    colormap += [{"label_id": i, **color} for i, color in enumerate(colors, 1)]
    head = {
        "label": {"labels": labels, "attributes": ["face_id"]},
        "mask": {"colormap": colormap},
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"info": {{}}, "categories": {json.dumps(head)}, "items": [')
        for count, picture in enumerate(pictures):
            annotations = [
                {
                    "id": i, "type": "mask", "group": max(0, region.person), "z_order": 0,
                    "label_id": position[region.category.id], "rle": encode_coco(region.mask),
                    "attributes": {} if region.person == NOBODY else {"face_id": region.person},
                }
                for i, region in enumerate(regions(picture, categories), 1)
            ]  # fmt: skip
            size = [int(side) for side in picture.labels.shape]
            item = {
                "id": picture.name,
                "annotations": annotations,
                "attr": {"frame": picture.index},
                "image": {"path": f"{picture.name}.png", "size": size},
            }
            file.write(",\n" * (count > 0) + json.dumps(item))
        file.write("]}\n")


def read(path: Path) -> tuple[Sequence[str], Iterator[Picture]]:
    """Read the first file of the folder ``annotations``."""
    files = [path] if path.is_file() else sorted((path / "annotations").glob("*.json"))
    if not files:
        raise SourceError(f"{path}: no annotations/*.json in it")
    data = json.loads(files[0].read_text(encoding="utf-8"))
    own = [label["name"] for label in data["categories"]["label"]["labels"]]
    names = ["background", *(name for name in own if name != "background")]
    position = {i: names.index(name) for i, name in enumerate(own)}

    def pictures() -> Iterator[Picture]:
        for index, item in enumerate(data["items"]):
            image = item.get("image") or item.get("media") or {}
            labels = _paint(item, position, image.get("size"))
            found = sorted(
                (files[0].parent.parent / "images").glob(f"**/{Path(item['id']).name}.*")
            )
            name = item["id"].replace("/", "_")
            yield Picture(index, name, labels, image=found[0] if found else None)

    return names, pictures()


def _paint(item: dict[str, Any], position: dict[int, int], size: list[int] | None) -> Any:
    masks = [a for a in item["annotations"] if a["type"] == "mask"]
    if size is None and masks:
        size = masks[0]["rle"]["size"]
    if size is None:
        raise ValueError(f"{item['id']}: neither a size nor a mask")
    labels = np.zeros(size, np.uint8)
    for annotation in sorted(masks, key=lambda a: a.get("z_order", 0)):
        mask = coco_masks().decode(annotation["rle"]).astype(bool)
        labels[mask] = position[annotation["label_id"]]
    return labels
