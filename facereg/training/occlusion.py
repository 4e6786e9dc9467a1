"""Paste objects in front of labelled faces, so that a network learns to leave them out.

The objects are medical masks (from labelled images, or drawn), hands, things, and other people's
heads. Their pixels become `OCCLUDED`: background, and excluded from distillation, because teachers
see the image without them. The person's own hair, pasted over the face, stays hair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..regions import IDS
from ..types import Image, Labels
from .augment import mirror
from .dataset import OCCLUDED
from .occluders import (
    FaceShape,
    Point,
    draw_hand,
    draw_medical_mask,
    draw_object,
    face_shape,
)
from .textures import Color, Plane, cut_texture, draw_pattern, random_color, smooth_noise

#: How often each kind of object is chosen.
KIND_PROBABILITIES = {
    "worn_mask": 0.24,
    "drawn_mask": 0.2,
    "hand": 0.24,
    "object": 0.16,
    "head": 0.09,
    "hair": 0.07,
}

#: Probability that another object is added, after each one.
ANOTHER_PROBABILITY = 0.25

#: Minimum share of a face that must stay visible.
MIN_VISIBLE_SHARE = 0.2

#: Minimum share of the image that a face fills; smaller ones are not covered.
MIN_FACE_SHARE = 0.02

#: Largest ratio of the two scales of a warp that still looks like a mask.
MAX_STRETCH = 2.2

#: An object: its pixels, the share of each pixel that it covers, and its label.
Pasted = tuple[Image, Plane, int]


@dataclass(frozen=True, eq=False)
class WornMask:
    """A medical mask in a labelled image.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        mask: (H, W) bool.
        points: (3, 2) right eye, left eye, the mask's middle, in pixels.
    """

    image: Image
    mask: NDArray[np.bool_]
    points: NDArray[np.float32]


class Occlusion:
    """Pastes objects in front of faces.

    Args:
        images: (H, W, 3) uint8 BGR each; the source of textures, heads and skin tones.
        labels: (H, W) uint8 each.
        worn: medical masks to paste; without any they are drawn.
    """

    def __init__(
        self, images: Sequence[Image], labels: Sequence[Labels], worn: Sequence[WornMask] = ()
    ) -> None:
        self._images, self._labels, self._worn = images, labels, worn
        self._make: dict[str, Callable[..., Pasted | None]] = {
            "worn_mask": self._worn_mask,
            "drawn_mask": self._drawn_mask,
            "hand": self._hand,
            "object": self._object,
            "head": self._head,
            "hair": self._hair,
        }

    def __call__(
        self, image: Image, labels: Labels, rng: np.random.Generator
    ) -> tuple[Image, Labels]:
        """Return a copy of an image with objects in front of its face, or the image itself."""
        shape = face_shape(labels)
        if shape.face.mean() < MIN_FACE_SHARE:
            return image, labels
        covered = image, labels
        while True:
            kind = str(rng.choice(list(KIND_PROBABILITIES), p=list(KIND_PROBABILITIES.values())))
            pasted = self._make[kind](*covered, shape, rng)
            if pasted is not None:
                tried = _paste(*covered, pasted, rng)
                if (tried[1] == labels)[shape.face].mean() >= MIN_VISIBLE_SHARE:
                    covered = tried
            if rng.random() >= ANOTHER_PROBABILITY:
                return covered

    def recolor(self, image: Image, mask: NDArray[np.bool_], rng: np.random.Generator) -> Image:
        """Give an object another colour or texture, and keep its folds."""
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        shade = (gray / max(float(gray[mask].mean()), 16.0)) ** rng.uniform(0.5, 1.3)
        pixels = self._surface((image.shape[0], image.shape[1]), rng) * shade[..., None]
        share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[..., None]
        return np.asarray(np.clip(image + share * (pixels - image), 0, 255), np.uint8)

    def _surface(self, shape: tuple[int, int], rng: np.random.Generator) -> Image:
        """Draw a surface, or cut one out of an image, (H, W, 3) uint8."""
        kind = rng.random()
        if kind < 0.35 and (cut := cut_texture(self._images, self._labels, rng)) is not None:
            return np.asarray(cv2.resize(cut, (shape[1], shape[0])), np.uint8)
        if kind < 0.45:  # skin-coloured: colour alone must not decide
            tone = np.ones((*shape, 1)) * self._random_skin_tone(rng)
            tone *= 1 + 0.08 * smooth_noise(shape, shape[1] / 8, rng)[..., None]
            return np.asarray(np.clip(tone, 0, 255), np.uint8)
        return draw_pattern(shape, rng)

    def _random_skin_tone(self, rng: np.random.Generator) -> Color:
        """Return the skin tone of a random image, BGR."""
        index = int(rng.integers(len(self._images)))
        skin = self._images[index][self._labels[index] == IDS["skin"]]
        return np.asarray(np.median(skin, 0), np.float64) if len(skin) else random_color(rng)

    def _worn_mask(
        self, image: Image, labels: Labels, shape: FaceShape, rng: np.random.Generator
    ) -> Pasted | None:
        """Warp a mask from another image onto the face, aligned by eyes and mouth."""
        if not self._worn or shape.right_eye is None or shape.left_eye is None:
            return self._drawn_mask(image, labels, shape, rng)
        if shape.mouth is None:
            return None
        donor = self._worn[int(rng.integers(len(self._worn)))]
        source, mask, points = donor.image, donor.mask, donor.points
        if rng.random() < 0.5:
            source, mask = np.asarray(source[:, ::-1]), np.asarray(mask[:, ::-1])
            points = np.array([[source.shape[1] - 1 - x, y] for x, y in points[[1, 0, 2]]])
        if rng.random() < 0.85:
            source = self.recolor(np.ascontiguousarray(source), mask, rng)
        target = np.array([shape.right_eye, shape.left_eye, shape.mouth])
        target[2] += 0.08 * (target[2] - target[:2].mean(0))  # a little lower covers the chin
        apart = float(np.linalg.norm(target[0] - target[1]))
        target = target + rng.normal(0, 0.05 * apart, target.shape)
        matrix = cv2.getAffineTransform(np.float32(points), np.float32(target))
        scales = np.linalg.svd(matrix[:, :2], compute_uv=False)
        if np.linalg.det(matrix[:, :2]) <= 0 or scales[0] > MAX_STRETCH * scales[1]:
            return self._drawn_mask(image, labels, shape, rng)
        size = (image.shape[1], image.shape[0])
        pixels = cv2.warpAffine(source, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        cover = cv2.warpAffine(mask.astype(np.float32), matrix, size)
        return np.asarray(pixels, np.uint8), np.asarray(cover, np.float32), OCCLUDED

    def _drawn_mask(
        self, image: Image, labels: Labels, shape: FaceShape, rng: np.random.Generator
    ) -> Pasted | None:
        surface = self._surface((image.shape[0], image.shape[1]), rng)
        drawn = draw_medical_mask(image, shape, surface, rng)
        return None if drawn is None else (*drawn, OCCLUDED)

    def _hand(
        self, image: Image, labels: Labels, shape: FaceShape, rng: np.random.Generator
    ) -> Pasted:
        own = image[labels == IDS["skin"]]
        if len(own) and rng.random() < 0.75:
            skin = np.median(own, 0) * np.exp(rng.normal(0, 0.1)) * np.exp(rng.normal(0, 0.03, 3))
        else:
            skin = self._random_skin_tone(rng)
        length = shape.size * rng.uniform(0.3, 0.6)
        at = _random_point(shape, rng)
        pixels, cover = draw_hand((image.shape[0], image.shape[1]), at, length, skin, rng)
        return pixels, cover, OCCLUDED

    def _object(
        self, image: Image, labels: Labels, shape: FaceShape, rng: np.random.Generator
    ) -> Pasted:
        size = shape.size * rng.choice([rng.uniform(0.15, 0.4), rng.uniform(0.4, 0.9)])
        extent = (image.shape[0], image.shape[1])
        surface = self._surface(extent, rng)
        return (*draw_object(extent, _random_point(shape, rng), size, surface, rng), OCCLUDED)

    def _head(
        self, image: Image, labels: Labels, shape: FaceShape, rng: np.random.Generator
    ) -> Pasted:
        """Paste another person next to the face, partly in front of it."""
        index = int(rng.integers(len(self._images)))
        source, source_labels = self._images[index], self._labels[index]
        if rng.random() < 0.5:
            source, source_labels = mirror(source, source_labels)
        height, width = labels.shape
        zoom = width / source_labels.shape[1] * rng.uniform(0.6, 1.2)
        turn = rng.normal(-math.pi / 2 * rng.choice([-1, 1]), 0.5) + math.pi / 2
        far = width * rng.uniform(0.42, 0.75)
        matrix = cv2.getRotationMatrix2D(
            (source_labels.shape[1] / 2, source_labels.shape[0] / 2), rng.normal(0, 10), zoom
        )
        middle = np.array([width / 2 + far * math.cos(turn), height / 2 + far * math.sin(turn)])
        matrix[:, 2] = matrix[:, 2] + middle - np.array(source_labels.shape[::-1]) / 2
        person = ((source_labels > 0) & (source_labels < len(IDS))).astype(np.float32)
        pixels = cv2.warpAffine(source, matrix, (width, height))
        cover = cv2.warpAffine(person, matrix, (width, height))
        return np.asarray(pixels, np.uint8), np.asarray(cover, np.float32), OCCLUDED

    def _hair(
        self, image: Image, labels: Labels, shape: FaceShape, rng: np.random.Generator
    ) -> Pasted | None:
        """Move the person's own hair over the face; it stays hair."""
        hair = (labels == IDS["hair"]).astype(np.float32)
        if hair.mean() < 0.03:
            return None
        size = (image.shape[1], image.shape[0])
        matrix = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), rng.normal(0, 12), 1.0)
        matrix[:, 2] = matrix[:, 2] + shape.size * rng.uniform((-0.35, 0.1), (0.35, 0.45))
        pixels = cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT_101)
        cover = cv2.warpAffine(hair, matrix, size)
        strands = smooth_noise((size[1], size[0]), size[0] / 12, rng) > rng.uniform(-1, 0.5)
        cover = cover * strands * shape.face
        return np.asarray(pixels, np.uint8), np.asarray(cover, np.float32), IDS["hair"]


def _random_point(shape: FaceShape, rng: np.random.Generator) -> Point:
    """Choose a point near the mouth, or anywhere on the face."""
    if shape.mouth is not None and rng.random() < 0.5:
        return shape.mouth + rng.normal(0, 0.25 * shape.size, 2)
    rows, columns = np.nonzero(shape.face)
    index = int(rng.integers(len(rows)))
    return np.array([columns[index], rows[index]], np.float64)


def _paste(
    image: Image, labels: Labels, pasted: Pasted, rng: np.random.Generator
) -> tuple[Image, Labels]:
    """Lay an object over an image, with a soft edge and sometimes a shadow."""
    pixels, cover, label = pasted
    below = image.astype(np.float32)
    if rng.random() < 0.5:
        spread = rng.uniform(2, 10)
        shadow = cv2.GaussianBlur(cover, (0, 0), spread)
        shadow = np.roll(shadow, rng.integers(-6, 7, 2), (0, 1))
        below *= 1 - rng.uniform(0.1, 0.45) * shadow[..., None]
    share = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.5, 1.3))[..., None]
    laid = below + share * (pixels - below)
    over = np.asarray(np.where(cover > 0.5, label, labels), np.uint8)
    return np.asarray(np.clip(laid, 0, 255), np.uint8), over


def describe_worn_mask(image: Image, labels: Labels, mask: NDArray[np.bool_]) -> WornMask | None:
    """Describe a mask in an image; None if the eyes are not labelled, or the mask is tiny."""
    shape = face_shape(labels)
    if shape.right_eye is None or shape.left_eye is None or mask.mean() < 0.01:
        return None
    rows, columns = np.nonzero(mask)
    middle = np.array([columns.mean(), rows.mean()])
    points = np.array([shape.right_eye, shape.left_eye, middle], np.float32)
    return WornMask(image, mask, points)
