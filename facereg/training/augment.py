"""Random augmentation of labelled face crops, as cameras, light and detectors vary them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from ..regions import MIRRORED
from .dataset import IGNORE

Image = NDArray[np.uint8]
Labels = NDArray[np.uint8]

#: The label that each label becomes in a mirrored image.
MIRRORED_LABELS = np.arange(256, dtype=np.uint8)
MIRRORED_LABELS[: len(MIRRORED)] = MIRRORED


def mirror(image: Image, labels: Labels) -> tuple[Image, Labels]:
    """Mirror an image and its labels; the person's left and right are swapped."""
    return np.asarray(cv2.flip(image, 1), np.uint8), MIRRORED_LABELS[labels[:, ::-1]]


class Augment:
    """Makes random views of labelled crops.

    Args:
        size: side of the square view, pixels.
        unaugmented: share of the views that are only resized, or resized and mirrored.
    """

    def __init__(self, size: int, unaugmented: float = 0.0) -> None:
        self.size, self.unaugmented = size, unaugmented
        count = max(1 << 21, 4 * size * size * 3)
        self._noise = np.random.default_rng(0).normal(0, 1, count).astype(np.float32)

    def __call__(
        self, image: Image, labels: Labels, rng: np.random.Generator
    ) -> tuple[Image, Labels]:
        """Return a view, (S, S, 3) and (S, S) uint8; outside the image the label is `IGNORE`."""
        if rng.random() < 0.5:
            image, labels = mirror(image, labels)
        if self.unaugmented and rng.random() < self.unaugmented:
            return self._resize(image, labels)
        image, labels = self._warp(image, labels, rng)
        view = self._add_noise(self._change_light(self._lower_resolution(image, rng), rng), rng)
        return view, labels

    def _resize(self, image: Image, labels: Labels) -> tuple[Image, Labels]:
        size = (self.size, self.size)
        view = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        truth = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(view, np.uint8), np.asarray(truth, np.uint8)

    def _warp(self, image: Image, labels: Labels, rng: np.random.Generator) -> tuple[Image, Labels]:
        """Rotate, scale and shift: usually as a detector errs, sometimes much further."""
        far = rng.random() < 0.2
        angle = rng.uniform(-50, 50) if far else float(rng.normal(0, 10))
        log_scale = rng.uniform(-0.5, 0.5) if far else float(rng.normal(0, 0.12))
        shift = rng.normal(0, 0.10 if far else 0.05, 2)
        stretch = math.exp(rng.normal(0, 0.05))
        height, width = labels.shape
        side = max(height, width)
        zoom = self.size / side * math.exp(log_scale)
        turn = math.radians(angle)
        cos, sin = math.cos(turn) * zoom, math.sin(turn) * zoom
        matrix = np.array([[cos * stretch, -sin, 0.0], [sin * stretch, cos, 0.0]])
        centre = np.array([width / 2 + shift[0] * side, height / 2 + shift[1] * side])
        matrix[:, 2] = self.size / 2 - matrix[:, :2] @ centre
        out = (self.size, self.size)
        border = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101)
        fill = rng.integers(0, 256, 3).tolist() if rng.random() < 0.5 else (0, 0, 0)
        view = cv2.warpAffine(
            image,
            matrix,
            out,
            flags=cv2.INTER_LINEAR,
            borderMode=border[rng.integers(3)],
            borderValue=fill,
        )
        truth = cv2.warpAffine(labels, matrix, out, flags=cv2.INTER_NEAREST, borderValue=IGNORE)
        return np.asarray(view, np.uint8), np.asarray(truth, np.uint8)

    def _lower_resolution(self, image: MatLike, rng: np.random.Generator) -> MatLike:
        """Remove detail, as distance, blur and motion do."""
        if rng.random() < 0.3:
            small = max(24, int(self.size / rng.uniform(1.3, 6.0)))
            how = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
            image = cv2.resize(image, (small, small), interpolation=how)
            how = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
            image = cv2.resize(image, (self.size, self.size), interpolation=how)
        if rng.random() < 0.1:
            length = int(rng.integers(3, max(4, self.size // 24)))
            kernel: MatLike = np.zeros((length, length), np.float32)
            kernel[length // 2] = 1 / length
            turn = cv2.getRotationMatrix2D((length / 2 - 0.5,) * 2, rng.uniform(0, 180), 1)
            kernel = cv2.warpAffine(kernel, turn, (length, length))
            kernel = np.asarray(kernel, np.float32)
            image = cv2.filter2D(image, -1, kernel / np.float32(max(float(kernel.sum()), 1e-3)))
        return image

    def _change_light(self, image: MatLike, rng: np.random.Generator) -> MatLike:
        """Change exposure, contrast, white balance and saturation."""
        dark = rng.random() < 0.12
        gamma = math.exp(rng.uniform(0.5, 1.1) if dark else rng.normal(0, 0.25))
        contrast = math.exp(rng.normal(0, 0.2))
        ramp = np.linspace(0, 1, 256)[:, None] ** gamma
        gains = np.exp(rng.normal(0, 0.12, 3)) * math.exp(rng.normal(0, 0.15))
        table = ((ramp - 0.5) * contrast + 0.5 + rng.normal(0, 0.08)) * gains * 255
        image = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[:, None, :])
        if rng.random() < 0.4:
            gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
            keep = 0.0 if rng.random() < 0.35 else float(rng.uniform(0.2, 1.6))
            image = cv2.addWeighted(image, keep, gray, 1 - keep, 0)
        if rng.random() < 0.15:  # light from one side
            x = np.linspace(-1, 1, self.size, dtype=np.float32)
            turn = rng.uniform(0, 2 * math.pi)
            slope = rng.uniform(0.2, 0.7)
            shade = 1 + slope * (math.cos(turn) * x[None, :] + math.sin(turn) * x[:, None])
            image = cv2.multiply(image, cv2.merge([shade] * 3), dtype=cv2.CV_8U)
        return image

    def _add_noise(self, image: MatLike, rng: np.random.Generator) -> Image:
        """Add sensor noise and JPEG artefacts."""
        if rng.random() < 0.2:
            count = image.size
            start = int(rng.integers(0, len(self._noise) - count))
            noise = self._noise[start : start + count].reshape(image.shape)
            image = cv2.add(image, noise * rng.uniform(2, 18), dtype=cv2.CV_8U)
        if rng.random() < 0.15:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 60))]
            packed = cv2.imencode(".jpg", image, quality)[1]
            image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
        return np.asarray(image, np.uint8)
