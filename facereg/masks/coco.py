"""Write a mask dump in the format of the COCO data set, with run-length encoded masks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import output
from ..errors import SinkError, missing_extra
from ..types import Labels
from .lines import Line


class ReadableDump(Protocol):
    """The part of `facereg.masks.dump.MaskDump` that an export reads."""

    path: Path
    manifest: dict[str, Any]

    @property
    def frames(self) -> Sequence[Line]:
        """The lines of ``frames.jsonl``."""

    def __getitem__(self, index: int) -> Labels:
        """Read the label map of a frame, (H, W) uint8."""

    def instances(self, index: int) -> NDArray[np.int32]:
        """Read the face id of each pixel, (H, W) int32, -1 for none."""


def export(dump: ReadableDump, path: Path) -> None:
    """Write an annotation for each class in each frame, for each face separately if possible.

    An annotation has COCO's fields (``segmentation`` as compressed RLE, ``area``, ``bbox``,
    ``iscrowd``, ``category_id``: the class id, ``image_id``: the frame's index in the source). It
    has a ``face_id`` if the dump was made with ``instances=yes`` or the frame has only one face.

    Raises:
        FaceregError: pycocotools is not installed.
        SinkError: the file exists or cannot be written.
        SourceError: a map is damaged.
    """
    try:
        from pycocotools import mask as rle
    except ImportError:
        raise missing_extra("pycocotools", "formats", "COCO export") from None
    output.check_file(path, (".json",), overwrite=False)
    try:
        with output.AtomicFile(path) as target, target.open("w", encoding="utf-8") as file:
            for piece in _document(dump, rle):
                file.write(piece)
    except OSError as e:
        raise SinkError(f"{path}: {e.strerror or e}") from e


def _document(dump: ReadableDump, rle: Any) -> Iterator[str]:
    """Yield the JSON text in pieces: the annotations of hours do not fit in memory."""
    images = []
    yield '{"annotations": ['
    number = 0
    for line in dump.frames:
        labels = dump[line["index"]]
        images.append(_image(line, labels))
        for annotation in _annotations(dump, line, labels, rle):
            number += 1
            yield (",\n" if number > 1 else "\n") + json.dumps({"id": number, **annotation})
    categories = [
        {"id": c["id"], "name": c["name"], "supercategory": "face"}
        for c in dump.manifest["classes"]
        if c["id"]
    ]
    info = {"description": f"facereg {dump.manifest['facereg_version']}, {dump.path.name}"}
    yield f'\n], "images": {json.dumps(images)}, "categories": {json.dumps(categories)}, '
    yield f'"info": {json.dumps(info)}}}\n'


def _image(line: Line, labels: Labels) -> dict[str, Any]:
    name = line.get("name") or f"{line['index']:06d}.png"
    height, width = labels.shape
    return {"id": line["index"], "file_name": name, "width": width, "height": height}


def _annotations(
    dump: ReadableDump, line: Line, labels: Labels, rle: Any
) -> Iterator[dict[str, Any]]:
    for face, own in _by_face(dump, line, labels):
        for category in np.unique(own):
            if category:
                code = rle.encode(np.asfortranarray(own == category, np.uint8))
                yield {
                    "image_id": line["index"],
                    "category_id": int(category),
                    **({} if face is None else {"face_id": face}),
                    "segmentation": {"size": code["size"], "counts": code["counts"].decode()},
                    "area": int(rle.area(code)),
                    "bbox": [float(x) for x in rle.toBbox(code)],
                    "iscrowd": 0,
                }


def _by_face(
    dump: ReadableDump, line: Line, labels: Labels
) -> Iterator[tuple[int | None, NDArray[np.uint8]]]:
    """Yield (face id, that face's label map), or (None, the label map) if faces are not known."""
    faces = line["faces"]
    if len(faces) <= 1 or not dump.manifest.get("instances"):
        yield (faces[0]["id"] if len(faces) == 1 else None), labels
        return
    owners = dump.instances(line["index"])
    for face in faces:
        yield face["id"], np.where(owners == face["id"], labels, np.uint8(0))
