"""Measure whether objects in front of faces are taken for parts of the face.

    python -m benchmarks.occlusion DATASET [--split val] [-s pspnet:tta=off]

DATASET has ``images/NAME.jpg`` and ``region/NAME.png`` (0 other, 1 visible face, 2 the object in
front of it), and may have ``SPLIT.txt``. Printed are the share of the object's pixels that are
called a part of the face (skin, eyebrows, eyes, eyelids, nose, lips or the inside of the mouth),
pooled over all pictures and in the median one, and how well the visible face is found: F1 of face
against everything else, in which glasses, ears and hair on the outlined face do not count.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.regions import GROUPS, IDS
from facereg.registry.registry import Registry

FACE, OBJECT = 1, 2

IS_FACE = np.isin(np.arange(256), [IDS[name] for name in GROUPS["face"]])
#: Classes that the outline of a face encloses, though they are no part of it.
IS_ON_FACE = np.isin(
    np.arange(256), [IDS[n] for n in ("glasses", "hair", "head_covering", *GROUPS["ears"])]
)


def names(folder: Path, split: str | None) -> list[str]:
    """List the pictures of a folder, or of a split of it."""
    if split is None:
        return sorted(path.stem for path in (folder / "region").glob("*.png"))
    return (folder / f"{split}.txt").read_text(encoding="utf-8").split()


def read(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read a picture, (H, W, 3) BGR, and its regions, (H, W)."""
    image = cv2.imread(str(next((folder / "images").glob(f"{name}.*"))), cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8), np.array(Image.open(folder / "region" / f"{name}.png"))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split")
    parser.add_argument("-s", "--segmenter", default="pspnet")
    args = parser.parse_args()
    segmenter = Registry().build("segmenter", args.segmenter)
    if not isinstance(segmenter, PSPNetSegmenter):
        parser.error(f"{args.segmenter}: does not parse whole crops")
    shares, hits, called, visible = [], 0, 0, 0
    taken = objects = 0
    listed = names(args.dataset, args.split)
    for name in listed:
        image, region = read(args.dataset, name)
        labels = segmenter.parse_crop(image, (region.shape[0], region.shape[1]))
        face, thing = IS_FACE[labels], region == OBJECT
        counted = ~((region == FACE) & IS_ON_FACE[labels])
        outlined = (region == FACE) & counted
        shares.append(float(face[thing].mean()) if thing.any() else 0.0)
        taken, objects = taken + int(face[thing].sum()), objects + int(thing.sum())
        hits += int((face & outlined).sum())
        called += int((face & counted).sum())
        visible += int(outlined.sum())
    print(
        json.dumps(
            {
                "images": len(listed),
                "object_called_face": round(taken / max(1, objects), 4),
                "object_called_face_median": round(float(np.median(shares)), 4),
                "object_called_face_worst": round(float(np.max(shares)), 4),
                "visible_face_f1": round(2 * hits / max(1, called + visible), 4),
            }
        )
    )


if __name__ == "__main__":
    main()
