"""Measure a model on labelled images as a camera takes them in the dark.

    python benchmarks/low_light.py DATASET --split val [--every 3]

Each image is multiplied by the light, gets noise of deviation 2 of 255 and is compressed as JPEG.
The last two columns are without `crops.brighten`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np

from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.training.dataset import FaceDataset
from facereg.training.evaluate import Predict
from facereg.training.metrics import Confusion
from facereg.types import Image

LIGHTS = (1.0, 0.5, 0.3, 0.2, 0.12)
NOISE, QUALITY = 2.0, 80


def darken(light: float, image: Image, rng: np.random.Generator) -> Image:
    """Darken an image, and add noise and compression."""
    dark = image * light + rng.normal(0, NOISE, image.shape)
    pixels = np.clip(dark.round(), 0, 255).astype(np.uint8)
    packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def scores(data: FaceDataset, parse: Predict, light: float, every: int) -> tuple[str, str]:
    """Return the mean F1 in a light, and that without jewellery."""
    rng, confusion = np.random.default_rng(0), Confusion()
    for i in range(0, len(data), every):
        truth = data.labels(i)
        shape = (truth.shape[0], truth.shape[1])
        confusion.add(truth, parse(darken(light, data.image(i), rng), shape))
    summary = confusion.summary()
    return f"{summary['mean_f1']:.3f}", f"{summary['mean_f1_without_jewellery']:.3f}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--every", type=int, default=1, help="use every N-th image")
    args = parser.parse_args()
    data, parse = FaceDataset(args.dataset, args.split), PSPNetSegmenter().parse_crop
    print("| light | mean F1 | without jewellery | not brightened | without jewellery |")
    print("|---|---|---|---|---|")
    for light in LIGHTS:
        lit = scores(data, parse, light, args.every)
        with patch("facereg.plugins.pspnet.crops.brighten", lambda crop: crop):
            plain = scores(data, parse, light, args.every)
        print(f"| {light:g} | {' | '.join([*lit, *plain])} |", flush=True)


if __name__ == "__main__":
    main()
