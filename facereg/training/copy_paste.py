"""Mix labelled pictures: paste what is rare into others, and give cloth and walls other textures.

A few hundred hats and glasses are soon known by heart. Pasted onto other faces they are seen with
thousands (Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance
Segmentation", CVPR 2021), and with other colours and patterns on them it is their place and their
shape that tell what they are.
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


@dataclass(frozen=True)
class Pasted:
    """A thing that is pasted from one picture into another that has none.

    Attributes:
        name: its class.
        often: share of the mixed pictures that it is pasted into, if they have none.
        least: smallest share of a picture that is worth pasting; less is a scrap at the edge.
        covers: classes that it may hide; all of them if none is named.
    """

    name: str
    often: float
    least: float = 0.0
    covers: tuple[str, ...] = ()


PASTED = (
    Pasted("glasses", 0.12),
    Pasted("head_covering", 0.1, least=0.06),
    Pasted(
        "earring", 0.08, covers=("neck", "hair", "left_ear", "right_ear", "clothing", "background")
    ),
    Pasted("necklace", 0.12, covers=("skin", "neck", "clothing")),
)
#: What is given another texture, and how often.
PAINTED = (("background", 0.2), ("clothing", 0.25), ("head_covering", 0.3))
#: What a texture is taken from.
TEXTURED = ("background", "clothing", "head_covering")
#: Donors that are compared for one whose head is turned alike.
TRIED = 6


def _table(names: Iterable[str]) -> NDArray[np.bool_]:
    """Whether each label is of these classes, (256,)."""
    table = np.zeros(256, bool)
    table[[IDS[name] for name in names]] = True
    return table


class Mixing:
    """Mix pictures of one dataset, whose faces are aligned alike.

    Args:
        images: (H, W, 3) uint8 BGR each.
        labels: (H, W) uint8 each.
    """

    def __init__(self, images: list[Image], labels: list[Labels]) -> None:
        self._images, self._labels = images, labels
        self._noses = np.array([_centre(m == IDS["nose"]) for m in labels])
        self._donors = [self._with(thing) for thing in PASTED]

    def __call__(
        self, image: Image, labels: Labels, rng: np.random.Generator
    ) -> tuple[Image, Labels]:
        """Return a mixed copy of a picture, or the picture itself."""
        for thing, donors in zip(PASTED, self._donors, strict=True):
            wanted = rng.random() < thing.often and len(donors)
            if wanted and not (labels == IDS[thing.name]).any():
                source, theirs = self._donor(labels, donors, rng)
                image, labels = _paste(thing, source, theirs, image, labels)
        for name, often in PAINTED:
            there = labels == IDS[name]
            if rng.random() < often and there.mean() > 0.01:
                image = self._paint(image, there, rng)
        return image, labels

    def _with(self, thing: Pasted) -> NDArray[np.int64]:
        """List the pictures that show enough of a thing."""
        shares = np.array([np.mean(m == IDS[thing.name]) for m in self._labels])
        return np.flatnonzero(shares > thing.least)

    def _donor(
        self, labels: Labels, donors: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Image, Labels]:
        """Choose a picture whose nose points alike, turned and shifted a little."""
        tried = rng.choice(donors, TRIED)
        mirrored = rng.random(TRIED) < 0.5
        noses = self._noses[tried]
        noses[mirrored, 0] = 1 - noses[mirrored, 0]
        best = int(np.argmin(np.abs(noses - _centre(labels == IDS["nose"])).sum(1)))
        source, theirs = self._images[tried[best]], self._labels[tried[best]]
        if mirrored[best]:
            source, theirs = mirror(source, theirs)
        height, width = labels.shape
        zoom = width / theirs.shape[1] * math.exp(rng.normal(0, 0.03))
        middle = np.array(theirs.shape[::-1]) / 2
        turn = cv2.getRotationMatrix2D(middle.tolist(), rng.normal(0, 2), zoom)
        turn[:, 2] = turn[:, 2] + (width / 2, height / 2) - middle + rng.normal(0, 0.01 * width, 2)
        size = (width, height)
        source = cv2.warpAffine(source, turn, size, borderMode=cv2.BORDER_REFLECT_101)
        theirs = cv2.warpAffine(theirs, turn, size, flags=cv2.INTER_NEAREST)
        return np.asarray(source, np.uint8), np.asarray(theirs, np.uint8)

    def _paint(self, image: Image, there: NDArray[np.bool_], rng: np.random.Generator) -> Image:
        """Change the colours within a mask, or lay a texture there that keeps its shading."""
        texture = self._texture(rng) if rng.random() < 0.5 else None
        if texture is None:
            gains = np.exp(rng.normal(0, 0.5, 3)) * np.exp(rng.normal(0, 0.3))
            table = 255 * np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.5)) * gains
            return _blend(image, _looked_up(image[..., rng.permutation(3)], table), there)
        cloth = cv2.resize(texture, (image.shape[1], image.shape[0]))
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        shade = np.clip(gray / max(float(gray[there].mean()), 16.0), 0.3, 1.8)
        shade = np.asarray(shade ** rng.uniform(0.3, 1), np.float32)
        painted = cv2.multiply(cloth, cv2.merge([shade] * 3), dtype=cv2.CV_8U)
        return _blend(image, np.asarray(painted, np.uint8), there)

    def _texture(self, rng: np.random.Generator) -> Image | None:
        """Cut a square of nothing but cloth or wall out of some picture."""
        for _ in range(8):
            index = int(rng.integers(len(self._images)))
            labels = self._labels[index]
            side = int(rng.integers(labels.shape[0] // 6, labels.shape[0] // 2))
            y, x = (int(v) for v in rng.integers(0, labels.shape[0] - side, 2))
            if _table(TEXTURED)[labels[y : y + side : 4, x : x + side : 4]].all():
                return self._images[index][y : y + side, x : x + side]
        return None


def _centre(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give the mean (x, y) of a mask as shares of width and height; the middle if it is empty."""
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    if not moments["m00"]:
        return np.array([0.5, 0.5])
    centre = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    return np.asarray((centre + 0.5) / mask.shape[::-1], np.float64)


def _paste(
    thing: Pasted, source: Image, theirs: Labels, image: Image, labels: Labels
) -> tuple[Image, Labels]:
    """Lay a thing of another picture over one, and its labels over its labels."""
    mask = theirs == IDS[thing.name]
    if thing.name == "glasses":
        mask = _with_lenses(mask, theirs)
        source = _toned(source, theirs, image, labels)
    if thing.name == "head_covering":  # and nothing sticks out above it
        below = np.maximum.accumulate(mask[::-1], axis=0)[::-1]
        mask = mask | (below & (theirs == IDS["background"]))
    if thing.covers:
        mask = mask & _table(thing.covers)[labels]
    return _blend(image, source, mask), np.where(mask, theirs, labels)


def _with_lenses(glasses: NDArray[np.bool_], labels: Labels) -> NDArray[np.bool_]:
    """Add the eyes and brows that are seen through a pair of glasses."""
    outlines = cv2.findContours(
        glasses.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )[0]
    filled = cv2.drawContours(np.zeros(labels.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0
    seen = _table((*GROUPS["eyes"], *GROUPS["eyelids"], *GROUPS["eyebrows"]))[labels]
    return glasses | (filled & seen)


def _toned(source: Image, theirs: Labels, image: Image, labels: Labels) -> Image:
    """Give a picture the skin tone of another, if eyes are seen through its glasses."""
    skins = theirs == IDS["skin"], labels == IDS["skin"]
    if not _table(GROUPS["eyes"])[theirs].any() or not skins[0].any() or not skins[1].any():
        return source
    gains = (image[skins[1]].mean(0) + 1) / (source[skins[0]].mean(0) + 1)
    table = np.arange(256)[:, None] * np.clip(gains, 0.4, 2.5)
    return _looked_up(source, table)


def _looked_up(image: Image, table: NDArray[np.float64]) -> Image:
    """Put each channel through its own column of a table, (256, 3)."""
    entries = np.clip(table, 0, 255).astype(np.uint8)[:, None]
    return np.asarray(cv2.LUT(image, entries), np.uint8)


def _blend(image: Image, other: Image, mask: NDArray[np.bool_]) -> Image:
    """Lay a picture over another within a mask whose edge is soft by about a pixel."""
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)
    return np.asarray(cv2.blendLinear(other, image, share, 1 - share), np.uint8)
