"""Compare a model with a public face-parsing network, on labelled images and on agreement.

    python benchmarks/peer_accuracy.py PEER.tflite DATASET --split val
    python benchmarks/peer_accuracy.py PEER.tflite --agreement FOLDER_OF_CROPS

The peer is BiSeNetV2 for CelebAMask-HQ (19 classes, 448 x 448, 8 bit), run by ai-edge-litert. It
has no eyelids and does not separate left from right, so both networks are scored on merged classes
(eyebrows, eyes, ears); eyelids count as skin, as in the peer's training data.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facereg.regions import CLASSES, GROUPS
from facereg.registry.registry import Registry
from facereg.training.dataset import FaceDataset
from facereg.training.evaluate import Predict
from facereg.training.metrics import Confusion

#: The classes that both networks have.
NAMES = (
    *("background", "skin", "eyebrows", "eyes", "nose", "lower_lip", "mouth_interior"),
    *("upper_lip", "hair", "ears", "head_covering", "glasses", "neck", "clothing"),
    *("earring", "necklace"),
)
#: The peer's classes, in the order of its ids.
PEER = (
    *("background", "skin", "eyebrows", "eyebrows", "eyes", "eyes", "glasses", "ears", "ears"),
    *("earring", "nose", "mouth_interior", "upper_lip", "lower_lip", "neck", "necklace"),
    *("clothing", "hair", "head_covering"),
)


def _ours() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    groups = {member: group for group in ("eyebrows", "eyes", "ears") for member in GROUPS[group]}
    groups |= dict.fromkeys(GROUPS["eyelids"], "skin")
    for i, name in enumerate(CLASSES):
        table[i] = NAMES.index(groups.get(name, name))
    return table


OURS = _ours()
THEIRS = np.array([NAMES.index(name) for name in PEER], np.uint8)


def peer(path: Path) -> Predict:
    """Load the peer; it returns the shared classes."""
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(model_path=str(path), num_threads=2)
    network.allocate_tensors()
    source, target = network.get_input_details()[0], network.get_output_details()[0]

    def predict(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
        rgb = cv2.cvtColor(cv2.resize(image, (448, 448)), cv2.COLOR_BGR2RGB)
        network.set_tensor(source["index"], ((rgb.astype(np.float32) - 128) / 128)[None])
        network.invoke()
        labels = network.get_tensor(target["index"]).reshape(448, 448).astype(np.uint8)
        size = (shape[1], shape[0])
        return THEIRS[cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)]

    return predict


def accuracy(theirs: Predict, ours: Predict, data: FaceDataset) -> dict[str, object]:
    """Score both networks on the same images."""
    found = {"peer": Confusion(NAMES), "facereg": Confusion(NAMES)}
    for i in range(len(data)):
        image, truth = data.image(i), data.labels(i)
        shape = (truth.shape[0], truth.shape[1])
        found["peer"].add(OURS[truth], theirs(image, shape))
        found["facereg"].add(OURS[truth], OURS[ours(image, shape)])
    return {name: confusion.summary() for name, confusion in found.items()}


def agreement(theirs: Predict, ours: Predict, folder: Path) -> dict[str, object]:
    """Score facereg against the peer's maps, and list the images that differ most."""
    pooled, shares = Confusion(NAMES), {}
    for path in sorted(folder.glob("*.jpg")):
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        shape = (image.shape[0], image.shape[1])
        one, two = theirs(image, shape), OURS[ours(image, shape)]
        pooled.add(one, two)
        shares[path.name] = float((one == two).mean())
    worst = sorted(shares, key=lambda name: shares[name])[:20]
    mean = float(np.mean(list(shares.values())))
    return {"images": len(shares), "equal": mean, "worst": worst, **pooled.summary()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", type=Path)
    parser.add_argument("dataset", type=Path, nargs="?")
    parser.add_argument("--split")
    parser.add_argument("--agreement", type=Path)
    parser.add_argument("-s", "--segmenter", default="pspnet")
    args = parser.parse_args()
    theirs = peer(args.peer)
    ours = Registry().build("segmenter", args.segmenter).parse_crop
    results: dict[str, object] = {}
    if args.dataset:
        results["accuracy"] = accuracy(theirs, ours, FaceDataset(args.dataset, args.split))
    if args.agreement:
        results["agreement"] = agreement(theirs, ours, args.agreement)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
