"""Batches for the trainer: which images are drawn, in which random view, a few batches ahead."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..regions import CLASSES
from ..types import Image, Labels
from .augment import Augment
from .copy_paste import CopyPaste
from .dataset import OCCLUDED, FaceDataset
from .occlusion import Occlusion, WornMask, describe_worn_mask

if TYPE_CHECKING:
    from torch import Tensor

#: Label of a pixel that is none of the classes that its partial dataset labels.
NONE_OF_PARTIAL = 254

#: Probability that a marked object in front of a face is recoloured: most look alike.
RECOLOR_PROBABILITY = 0.85

#: Its multiples, modulo 1, spread evenly over [0, 1).
GOLDEN_RATIO = 0.6180339887498949

#: Classes in a smaller share of the images than this are drawn more often.
RARE_SHARE = 0.3


class Batch(NamedTuple):
    """Augmented samples.

    Attributes:
        images: (B, S, S, 3) uint8 BGR.
        labels: (B, S, S) uint8.
        unoccluded: the images without the objects that were pasted in front of faces.
    """

    images: Image
    labels: Labels
    unoccluded: Image


def repeat_factors(present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weigh images by their rarest class: max(1, sqrt(RARE_SHARE / share of images showing it)).

    Repeat-factor sampling: Gupta et al., "LVIS", CVPR 2019.

    Args:
        present: (N, C) whether each image shows each class.
    """
    share = np.maximum(present.mean(0), 1e-6)
    factor = np.maximum(1.0, np.sqrt(RARE_SHARE / share))
    return np.asarray(np.where(present, factor, 1.0).max(1), np.float64)


@dataclass(frozen=True)
class Data:
    """The datasets of a run, and how samples are drawn from them.

    Attributes:
        main: completely labelled; the run is measured on images like these.
        also: further datasets, for instance machine-made ones.
        partial: a dataset that labels some classes only; its 0 means "none of these".
        extra_share: share of the samples that come from ``also`` and ``partial``.
        extra_weights: sampling weight of each folder of ``also``, then of ``partial``; the number
            of its images if empty.
        copy_paste: share of the samples from ``main`` that get parts of other images.
        occlude: share of the samples that get objects in front of the face; never those of
            ``partial``, nor those whose objects are marked.
    """

    main: FaceDataset
    also: Sequence[FaceDataset] = ()
    partial: FaceDataset | None = None
    extra_share: float = 0.25
    extra_weights: Sequence[float] = ()
    copy_paste: float = 0.0
    occlude: float = 0.0

    def describe(self) -> list[list[object]]:
        """List folders and their sizes, so that a run is not resumed with other data."""
        extra = [*self.also, *([self.partial] if self.partial else [])]
        return [[str(data.root.resolve()), len(data)] for data in (self.main, *extra)]


class Pool:
    """Decoded images of one dataset, drawn by how rare their classes are.

    They stay in memory: 4,400 of 384 x 384 take 2.6 GB.
    """

    def __init__(self, data: FaceDataset, seed: int, zero_label: int = 0) -> None:
        """Read the images; label 0 becomes ``zero_label``, a marked object `OCCLUDED`."""
        self.images = [data.image(i) for i in range(len(data))]
        self.labels = [data.labels(i) for i in range(len(data))]
        self.objects = [data.objects(i) for i in range(len(data))]
        for labels, objects in zip(self.labels, self.objects, strict=True):
            if objects is not None:
                labels[objects] = OCCLUDED
        present = np.array([np.bincount(m.ravel(), minlength=256) > 0 for m in self.labels])
        self.present = present[:, : len(CLASSES)]
        self._weights = repeat_factors(self.present)
        self._seed = seed
        self._epochs: dict[int, NDArray[np.int64]] = {}
        for labels in self.labels if zero_label else ():
            labels[labels == 0] = zero_label

    def __len__(self) -> int:
        return len(self.images)

    def at(self, position: int) -> int:
        """Return the index of the image at a position in the endless sequence of epochs."""
        epoch, place = divmod(position, len(self))
        return int(self._order(epoch)[place])

    def worn_masks(self) -> list[WornMask]:
        """Describe the marked masks in these images that can be pasted."""
        described = (
            describe_worn_mask(image, labels, objects)
            for image, labels, objects in zip(self.images, self.labels, self.objects, strict=True)
            if objects is not None
        )
        return [mask for mask in described if mask is not None]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Draw the images of an epoch: systematic sampling by weight, then a shuffle."""
        if epoch not in self._epochs:
            rng = np.random.default_rng((self._seed, 0, epoch))
            edges = np.cumsum(self._weights) / self._weights.sum()
            points = (np.arange(len(self)) + rng.random()) / len(self)
            self._epochs = {epoch: rng.permutation(np.searchsorted(edges, points))}
        return self._epochs[epoch]


class Batches:
    """Draw augmented batches; the same seed and step always give the same batch.

    Attributes:
        partial_classes: (C,) bool, the classes that the partial dataset labels.
    """

    def __init__(self, data: Data, augment: Augment, batch: int, seed: int) -> None:
        main = Pool(data.main, seed)
        extra = [Pool(folder, seed) for folder in data.also]
        self.partial_classes: NDArray[np.bool_] = np.zeros(len(CLASSES), bool)
        self._partial: Pool | None = None
        if data.partial is not None:
            self._partial = Pool(data.partial, seed, NONE_OF_PARTIAL)
            self.partial_classes = np.asarray(self._partial.present.any(0), bool)
            self.partial_classes[0] = False
            extra.append(self._partial)
        self._pools = [main, *extra]
        self._data = data
        self._copy_paste = CopyPaste(main.images, main.labels) if data.copy_paste else None
        worn = [mask for pool in extra for mask in pool.worn_masks()]
        self._occlusion = Occlusion(main.images, main.labels, worn)
        weights = data.extra_weights or [len(pool) for pool in extra]
        self._edges = _edges(weights, data.extra_share)
        self._augment = augment
        self._batch, self._seed = batch, seed

    def at(self, step: int) -> Batch:
        """Make the batch of a step."""
        samples = [self._sample(step * self._batch + i) for i in range(self._batch)]
        return Batch(*(np.stack(part) for part in zip(*samples, strict=True)))

    def _sample(self, position: int) -> tuple[Image, Labels, Image]:
        rng = np.random.default_rng((self._seed, 1, position))
        # Multiples of the golden ratio give each pool its share at any time.
        kind = int(np.searchsorted(self._edges, position * GOLDEN_RATIO % 1, side="right"))
        pool = self._pools[kind]
        index = pool.at(self._pool_position(kind, position))
        image, labels, objects = pool.images[index], pool.labels[index], pool.objects[index]
        if kind == 0 and self._copy_paste and rng.random() < self._data.copy_paste:
            image, labels = self._copy_paste(image, labels, rng)
        if objects is not None and rng.random() < RECOLOR_PROBABILITY:
            image = self._occlusion.recolor(image, objects, rng)
        before = image, labels
        if objects is None and pool is not self._partial and rng.random() < self._data.occlude:
            image, labels = self._occlusion(image, labels, rng)
        seed = int(rng.integers(1 << 62))
        view, truth = self._augment(image, labels, np.random.default_rng(seed))
        if image is before[0]:
            return view, truth, view
        return view, truth, self._augment(*before, np.random.default_rng(seed))[0]

    def _pool_position(self, kind: int, position: int) -> int:
        """Return how many samples a pool has given up to this position of the whole sequence."""
        low, high = np.concatenate([[0.0], self._edges, [1.0]])[kind : kind + 2]
        return int(position * (high - low))

    def ahead(
        self, step: int, teach: Callable[[Image], Tensor] | None = None, depth: int = 3
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        """Yield batches endlessly, with the teachers' answers; a thread prepares them.

        Args:
            step: the first batch.
            teach: returns the teachers' answers to the unoccluded images.
            depth: maximum number of batches that are kept ready.
        """
        ready: queue.Queue[tuple[Batch, Tensor | None] | BaseException] = queue.Queue(depth)

        def make() -> None:
            try:
                for at in itertools.count(step):
                    batch = self.at(at)
                    ready.put((batch, None if teach is None else teach(batch.unoccluded)))
            except BaseException as e:
                ready.put(e)

        threading.Thread(target=make, daemon=True, name="batches").start()
        while not isinstance(item := ready.get(), BaseException):
            yield item
        raise item


def _edges(weights: Sequence[float], extra_share: float) -> NDArray[np.float64]:
    """Divide [0, 1) among the main pool and the extra ones, these by their weights."""
    if not weights:
        return np.zeros(0)
    parts = [1 - extra_share, *(extra_share * weight / sum(weights) for weight in weights)]
    return np.asarray(np.cumsum(parts)[:-1])
