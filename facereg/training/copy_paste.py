"""Copy rare things between labelled images, and change the texture of clothes and walls.

A few hundred hats and pairs of glasses are soon memorised. Pasted onto other faces they appear in
thousands of combinations (Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method
for Instance Segmentation", CVPR 2021). With other colours and patterns, only their position and
shape identify them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..regions import GROUPS, IDS
from ..types import Image, Labels
from .augment import mirror
from .textures import cut_texture


@dataclass(frozen=True)
class PastedThing:
    """A class that is copied from an image that shows it into one that does not.

    Attributes:
        name: its class.
        probability: that it is pasted into an image without it.
        min_share: minimum share of the donor image; less is a scrap at the edge.
        covers: classes that it may cover; all if empty.
    """

    name: str
    probability: float
    min_share: float = 0.0
    covers: tuple[str, ...] = ()


PASTED_THINGS = (
    PastedThing("glasses", 0.12),
    PastedThing("head_covering", 0.1, min_share=0.06),
    PastedThing(
        "earring", 0.08, covers=("neck", "hair", "left_ear", "right_ear", "clothing", "background")
    ),
    PastedThing("necklace", 0.12, covers=("skin", "neck", "clothing")),
)

#: Probability that a class gets another texture.
RETEXTURE_PROBABILITIES = {"background": 0.2, "clothing": 0.25, "head_covering": 0.3}

#: Donors that are compared to find one whose head is turned the same way.
DONOR_CANDIDATES = 6


def _is_one_of(names: Iterable[str]) -> NDArray[np.bool_]:
    """Return whether each label is one of these classes, (256,)."""
    table = np.zeros(256, bool)
    table[[IDS[name] for name in names]] = True
    return table


class CopyPaste:
    """Copies between the images of one dataset, whose faces are aligned alike.

    Args:
        images: (H, W, 3) uint8 BGR each.
        labels: (H, W) uint8 each.
    """

    def __init__(self, images: list[Image], labels: list[Labels]) -> None:
        self._images, self._labels = images, labels
        self._noses = np.array([_center(m == IDS["nose"]) for m in labels])
        self._donors = [self._find_donors(thing) for thing in PASTED_THINGS]

    def __call__(
        self, image: Image, labels: Labels, rng: np.random.Generator
    ) -> tuple[Image, Labels]:
        """Return a changed copy of an image, or the image itself."""
        for thing, donors in zip(PASTED_THINGS, self._donors, strict=True):
            wanted = rng.random() < thing.probability and len(donors)
            if wanted and not (labels == IDS[thing.name]).any():
                source, source_labels = self._aligned_donor(labels, donors, rng)
                image, labels = _paste(thing, source, source_labels, image, labels)
        for name, probability in RETEXTURE_PROBABILITIES.items():
            mask = labels == IDS[name]
            if rng.random() < probability and mask.mean() > 0.01:
                image = self._retexture(image, mask, rng)
        return image, labels

    def _find_donors(self, thing: PastedThing) -> NDArray[np.int64]:
        """List the images that show enough of a thing."""
        shares = np.array([np.mean(m == IDS[thing.name]) for m in self._labels])
        return np.flatnonzero(shares > thing.min_share)

    def _aligned_donor(
        self, labels: Labels, donors: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Image, Labels]:
        """Choose an image whose nose points the same way, and rotate and shift it a little."""
        candidates = rng.choice(donors, DONOR_CANDIDATES)
        mirrored = rng.random(DONOR_CANDIDATES) < 0.5
        noses = self._noses[candidates]
        noses[mirrored, 0] = 1 - noses[mirrored, 0]
        best = int(np.argmin(np.abs(noses - _center(labels == IDS["nose"])).sum(1)))
        source, source_labels = self._images[candidates[best]], self._labels[candidates[best]]
        if mirrored[best]:
            source, source_labels = mirror(source, source_labels)
        height, width = labels.shape
        zoom = width / source_labels.shape[1] * math.exp(rng.normal(0, 0.03))
        middle = np.array(source_labels.shape[::-1]) / 2
        matrix = cv2.getRotationMatrix2D(middle.tolist(), rng.normal(0, 2), zoom)
        shift = (width / 2, height / 2) - middle + rng.normal(0, 0.01 * width, 2)
        matrix[:, 2] = matrix[:, 2] + shift
        size = (width, height)
        source = cv2.warpAffine(source, matrix, size, borderMode=cv2.BORDER_REFLECT_101)
        source_labels = cv2.warpAffine(source_labels, matrix, size, flags=cv2.INTER_NEAREST)
        return np.asarray(source, np.uint8), np.asarray(source_labels, np.uint8)

    def _retexture(self, image: Image, mask: NDArray[np.bool_], rng: np.random.Generator) -> Image:
        """Change the colours within a mask, or lay a texture there that keeps its shading."""
        use_texture = rng.random() < 0.5
        texture = cut_texture(self._images, self._labels, rng) if use_texture else None
        if texture is None:
            gains = np.exp(rng.normal(0, 0.5, 3)) * np.exp(rng.normal(0, 0.3))
            table = 255 * np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.5)) * gains
            return _blend(image, _look_up(image[..., rng.permutation(3)], table), mask)
        cloth = cv2.resize(texture, (image.shape[1], image.shape[0]))
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        shade = np.clip(gray / max(float(gray[mask].mean()), 16.0), 0.3, 1.8)
        shade = np.asarray(shade ** rng.uniform(0.3, 1), np.float32)
        shaded = cv2.multiply(cloth, cv2.merge([shade] * 3), dtype=cv2.CV_8U)
        return _blend(image, np.asarray(shaded, np.uint8), mask)


def _center(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean (x, y) of a mask as shares of width and height; the middle if it is empty."""
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    if not moments["m00"]:
        return np.array([0.5, 0.5])
    center = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    return np.asarray((center + 0.5) / mask.shape[::-1], np.float64)


def _paste(
    thing: PastedThing, source: Image, source_labels: Labels, image: Image, labels: Labels
) -> tuple[Image, Labels]:
    """Lay a thing of another image over one, and its labels over its labels."""
    mask = source_labels == IDS[thing.name]
    if thing.name == "glasses":
        mask = _add_lenses(mask, source_labels)
        source = _match_skin_tone(source, source_labels, image, labels)
    if thing.name == "head_covering":  # the receiver's hair must not stick out above it
        below = np.maximum.accumulate(mask[::-1], axis=0)[::-1]
        mask = mask | (below & (source_labels == IDS["background"]))
    if thing.covers:
        mask = mask & _is_one_of(thing.covers)[labels]
    return _blend(image, source, mask), np.where(mask, source_labels, labels)


def _add_lenses(glasses: NDArray[np.bool_], labels: Labels) -> NDArray[np.bool_]:
    """Add the eyes and eyebrows that are seen through a pair of glasses."""
    outlines = cv2.findContours(
        glasses.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )[0]
    filled = cv2.drawContours(np.zeros(labels.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0
    seen = _is_one_of((*GROUPS["eyes"], *GROUPS["eyelids"], *GROUPS["eyebrows"]))[labels]
    return glasses | (filled & seen)


def _match_skin_tone(source: Image, source_labels: Labels, image: Image, labels: Labels) -> Image:
    """Give an image the skin tone of another, if eyes are seen through its glasses."""
    source_skin, skin = source_labels == IDS["skin"], labels == IDS["skin"]
    if not _is_one_of(GROUPS["eyes"])[source_labels].any():
        return source
    if not source_skin.any() or not skin.any():
        return source
    gains = (image[skin].mean(0) + 1) / (source[source_skin].mean(0) + 1)
    return _look_up(source, np.arange(256)[:, None] * np.clip(gains, 0.4, 2.5))


def _look_up(image: Image, table: NDArray[np.float64]) -> Image:
    """Map each channel through its own column of a table, (256, 3)."""
    entries = np.clip(table, 0, 255).astype(np.uint8)[:, None]
    return np.asarray(cv2.LUT(image, entries), np.uint8)


def _blend(image: Image, other: Image, mask: NDArray[np.bool_]) -> Image:
    """Lay an image over another within a mask whose edge is soft by about a pixel."""
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)
    return np.asarray(cv2.blendLinear(other, image, share, 1 - share), np.uint8)
