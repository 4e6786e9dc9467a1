"""Folders of labelled face crops: ``images/NAME.jpg|png`` beside ``labels/NAME.png``.

Labels come in three kinds:

- complete: every pixel is a class id, or 255 if it is unknown;
- machine-made: the same, with 255 wherever the labelling networks were unsure;
- partial: only some classes are labelled (Figaro's *hair*), and 0 means "none of these".

An optional folder ``region/NAME.png`` marks objects in front of the face.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import SourceError, UsageError, nearest
from ..regions import CLASSES

SUFFIXES = (".jpg", ".jpeg", ".png")

#: Label of a pixel whose class is unknown; losses and scores skip it.
IGNORE = 255

#: Label of a pixel of an object in front of a face: background, which teachers may not know yet.
OCCLUDED = 253

#: Value of such pixels in the files of the folder ``region/``.
OBJECT_REGION = 2


class FaceDataset:
    """Pairs of a face crop and its label map.

    Attributes:
        root: the dataset's folder.
        names: file names without their suffixes, in order.
    """

    def __init__(self, root: str | Path, split: str | None = None) -> None:
        """List the pairs of a folder, or those that ``SPLIT.txt`` names.

        Raises:
            UsageError: there is no such split.
            SourceError: a folder is missing or empty, or an image has no label map.
        """
        self.root = Path(root)
        for part in ("images", "labels"):
            if not (self.root / part).is_dir():
                raise SourceError(
                    f"{self.root}: no folder {part!r}; a dataset has images/NAME.jpg or .png and "
                    "labels/NAME.png"
                )
        self._images = {
            p.stem: p for p in (self.root / "images").iterdir() if p.suffix.lower() in SUFFIXES
        }
        self.names = self._list_names(split)
        for name in self.names:
            if name not in self._images or not self._label_path(name).is_file():
                raise SourceError(f"{self.root}: {name} has no image, or no labels/{name}.png")
        if not self.names:
            raise SourceError(f"{self.root}: no images")

    def _list_names(self, split: str | None) -> list[str]:
        if split is None:
            return sorted(self._images)
        path = self.root / f"{split}.txt"
        if not path.is_file():
            known = [p.stem for p in self.root.glob("*.txt")]
            raise UsageError(f"{self.root}: no split {split!r}: {nearest(split, known)}")
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Path(line.strip()).stem for line in lines if line.strip()]

    def _label_path(self, name: str) -> Path:
        return self.root / "labels" / f"{name}.png"

    def __len__(self) -> int:
        return len(self.names)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Read an image, (H, W, 3) uint8 BGR."""
        path = self._images[self.names[index]]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"{path}: not an image that can be read")
        return np.asarray(image, np.uint8)

    def objects(self, index: int) -> NDArray[np.bool_] | None:
        """Read which pixels show an object in front of the face, (H, W); None if not marked."""
        path = self.root / "region" / f"{self.names[index]}.png"
        if not path.is_file():
            return None
        return np.asarray(np.array(Image.open(path)) == OBJECT_REGION)

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Read a label map, (H, W) uint8 class ids, `IGNORE` where unknown.

        Raises:
            SourceError: the file is a colour picture, or holds a value that is not a class id.
        """
        path = self._label_path(self.names[index])
        labels = np.array(Image.open(path))
        known = labels[labels != IGNORE]
        if labels.ndim != 2 or (known >= len(CLASSES)).any():
            raise SourceError(
                f"{path}: not a label map; its pixels must be class ids 0 to {len(CLASSES) - 1}, "
                f"or {IGNORE} if unknown, as a paletted or gray PNG"
            )
        return labels.astype(np.uint8)
