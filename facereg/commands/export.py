"""``facereg export``: write a model as ONNX, and compare it with torch."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..errors import SinkError, UsageError
from ..models import Model, find_model, load_card
from ..output import AtomicFile, check_file
from ..registry.registry import split_spec
from ..training.requirements import check_installed
from ..types import Image

#: Minimum share of equal labels; a file with fewer is not kept.
MIN_EQUAL_LABELS = 0.999

#: Crops to compare, and the frames of the clip between two of them.
CROPS, FRAME_STEP = 8, 6


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    path = Path(args.output)
    check_file(path, (".onnx",), args.overwrite)
    model = _model(args.segmenter)
    check_installed("facereg export")
    from ..plugins.pspnet.engines import load_network
    from ..training.deploy.export import compare, export_onnx

    network = load_network(model)
    crops = check_crops(int(model.card["input_size"]))
    with AtomicFile(path, overwrite=args.overwrite) as file:
        export_onnx(network, model.card, file.part)
        agreement = compare(network, model.card, file.part, crops)
        if agreement.equal < MIN_EQUAL_LABELS:
            raise SinkError(
                f"{path}: not written: only {agreement.equal:.2%} of its labels equal torch's"
            )
    found = {"path": str(path), "model": model.name, **asdict(agreement)}
    text = (
        f"{path}: model {model.name}; on {agreement.crops} crops logits differ by at most "
        f"{agreement.difference:.1e}, {agreement.equal:.2%} of labels are equal"
    )
    print(json.dumps(found) if args.json else text)
    return 0


def _model(spec: str) -> Model:
    name, _, options = split_spec(spec)
    if name != "pspnet" or set(options) - {"model", "weights"}:
        raise UsageError(f"segmenter {spec!r} cannot be exported: give pspnet:model= or weights=")
    if "weights" in options:
        return load_card(Path(options["weights"]))
    return find_model(options.get("model", "base"))


def check_crops(size: int) -> list[Image]:
    """Cut face crops, (S, S, 3) uint8 BGR, out of the clip that comes with facereg."""
    import cv2

    from ..models import example

    capture = cv2.VideoCapture(str(example()))
    crops: list[Image] = []
    try:
        while len(crops) < CROPS:
            ok, image = capture.read()
            if not ok:
                break
            side = min(image.shape[:2])
            crops.append(np.asarray(cv2.resize(image[:side, :side], (size, size)), np.uint8))
            for _ in range(FRAME_STEP - 1):
                capture.grab()
    finally:
        capture.release()
    return crops
