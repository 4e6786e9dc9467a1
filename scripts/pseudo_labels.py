"""Label photographs of faces by two networks, and keep the pixels on which they agree.

    python -m scripts.pseudo_labels PHOTOS PEER.tflite OUTPUT

The best face of each photograph is cropped as ``facereg run`` crops it. The shipped model and the
peer network of benchmarks/peer_accuracy.py parse the crop and its mirror image. A pixel gets the
label that the peer gives it in both, if the shipped model considers it likely too
(`MIN_LIKELY`): the peer was trained on many more photographs, so it decides if the shipped model is
unsure. All other pixels, and those outside the photograph, are 255, which training skips. Head
coverings are also 255 if the shipped model is unsure (`MIN_SURE`) or if they are small
(`MIN_HAT_SHARE`): both networks see one in hair that the edge of the photograph cuts off. OUTPUT
becomes a dataset for ``facereg train --also``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.peer_accuracy import OURS, peer
from facereg.models import find_model
from facereg.plugins.pspnet.crops import crop_matrix, cut
from facereg.plugins.pspnet.engines import Compute, build_engine
from facereg.regions import IDS
from facereg.registry.registry import Registry
from facereg.training.augment import MIRRORED_LABELS
from facereg.training.dataset import IGNORE
from facereg.training.evaluate import Predict
from facereg.types import Frame

#: Minimum probability that the shipped model gives the peer's region.
MIN_LIKELY = 0.3
#: Minimum probability of a head covering, and of a class within its region, such as a side.
MIN_SURE = 0.6
#: Minimum share of the kept pixels in a head covering; a smaller one is probably hair.
MIN_HAT_SHARE = 0.07


class Labeller:
    """Finds a face and labels it by two networks."""

    def __init__(self, peer_path: Path) -> None:
        model = find_model("base")
        self._size, self._scale = int(model.card["input_size"]), float(model.card["crop_scale"])
        self._engine = build_engine(model, self._size, Compute("auto", "auto", 0, "cpu"))
        self._peer: Predict = peer(peer_path)
        self._detector = Registry().build("detector", "mtcnn")

    def crop(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
        """Cut out the best face, (S, S, 3), and mark the pixels inside the photograph, (S, S)."""
        faces = self._detector.detect(Frame(image, 0, 0.0))
        if not faces:
            return None
        face = max(faces, key=lambda face: face.score * face.box.area)
        matrix = crop_matrix(face, self._scale, self._size)
        inside = cut(np.full(image.shape, 255, np.uint8), matrix, self._size)[..., 0] == 255
        return cut(image, matrix, self._size), inside

    def labels(self, crop: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Label a crop, (S, S) class ids, 255 if unsure or outside the photograph."""
        logits = self._engine.logits(np.stack([crop, crop[:, ::-1]]))
        shares = [_probabilities(planes, self._size) for planes in logits]
        mean = (shares[0] + shares[1][MIRRORED_LABELS[: len(shares[1])]][..., ::-1]) / 2
        peer_labels = self._peer(crop, inside.shape)
        mirrored = self._peer(np.ascontiguousarray(crop[:, ::-1]), inside.shape)[:, ::-1]
        allowed = mean * (OURS[: len(mean), None, None] == peer_labels)
        labels = np.asarray(allowed.argmax(0), np.uint8)
        likely, best = allowed.sum(0), allowed.max(0)
        kept = (
            inside & (peer_labels == mirrored) & (likely > MIN_LIKELY) & (best > MIN_SURE * likely)
        )
        hat = kept & (labels == IDS["head_covering"])
        kept &= ~hat | (best > MIN_SURE)
        if hat.sum() < MIN_HAT_SHARE * kept.sum():
            kept &= ~hat
        return np.asarray(np.where(kept, labels, IGNORE), np.uint8)


def _probabilities(logits: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    planes = np.stack([cv2.resize(plane, (size, size)) for plane in logits])
    powers = np.exp(planes - planes.max(0))
    return np.asarray(powers / powers.sum(0), np.float32)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("peer", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    labeller = Labeller(args.peer)
    for part in ("images", "labels"):
        (args.output / part).mkdir(parents=True, exist_ok=True)
    photos, kept = sorted(args.photos.glob("*.jpg")), 0
    for path in photos:
        found = labeller.crop(np.asarray(cv2.imread(str(path)), np.uint8))
        if found is None:
            continue
        crop, inside = found
        labels = labeller.labels(crop, inside)
        cv2.imwrite(str(args.output / "images" / path.name), crop, [cv2.IMWRITE_JPEG_QUALITY, 95])
        Image.fromarray(labels).save(args.output / "labels" / f"{path.stem}.png")
        kept += 1
        if kept % 200 == 0:
            print(f"{kept} of {len(photos)}", flush=True)
    print(f"{kept} faces in {len(photos)} photographs")


if __name__ == "__main__":
    main()
