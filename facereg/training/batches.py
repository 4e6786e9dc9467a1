"""What the trainer sees next: which images, in which random view, a few batches ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..regions import CLASSES
from .augment import Augment
from .dataset import FaceDataset

Batch = tuple[NDArray[np.uint8], NDArray[np.uint8]]

#: Classes in fewer images than this share are drawn more often.
RARE = 0.3


def repeat_factors(present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weigh images by their rarest class: sqrt(RARE / share of images that show it), at least 1.

    Repeat-factor sampling: Gupta et al., "LVIS", CVPR 2019.

    Args:
        present: (N, C) whether each image shows each class.
    """
    share = np.maximum(present.mean(0), 1e-6)
    factor = np.maximum(1.0, np.sqrt(RARE / share))
    return np.asarray(np.where(present, factor, 1.0).max(1), np.float64)


class Batches:
    """Draw augmented batches; the same seed and step always give the same batch.

    Pictures stay decoded in memory: 4,400 of 384 x 384 take 2.6 GB.
    """

    def __init__(self, data: FaceDataset, size: int, batch: int, seed: int) -> None:
        self._images = [data.image(i) for i in range(len(data))]
        self._labels = [data.labels(i) for i in range(len(data))]
        bins = [np.bincount(m.ravel(), minlength=len(CLASSES)) > 0 for m in self._labels]
        self._weights = repeat_factors(np.array(bins))
        self._augment = Augment(size)
        self._batch, self._seed = batch, seed

    def at(self, step: int) -> Batch:
        """Make the batch of a step: images (B, S, S, 3) BGR and labels (B, S, S), uint8."""
        views = [self._view(step * self._batch + i) for i in range(self._batch)]
        return np.stack([v for v, _ in views]), np.stack([m for _, m in views])

    def _view(self, position: int) -> Batch:
        epoch, place = divmod(position, len(self._images))
        index = int(self._order(epoch)[place])
        rng = np.random.default_rng((self._seed, 1, position))
        return self._augment(self._images[index], self._labels[index], rng)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Pick the images of an epoch: systematic sampling by weight, then a shuffle."""
        if getattr(self, "_epoch", None) != epoch:
            rng = np.random.default_rng((self._seed, 0, epoch))
            edges = np.cumsum(self._weights) / self._weights.sum()
            count = len(self._images)
            points = (np.arange(count) + rng.random()) / count
            self._epoch, self._picked = epoch, rng.permutation(np.searchsorted(edges, points))
        return self._picked

    def ahead(self, step: int, depth: int = 3) -> Iterator[Batch]:
        """Yield the batches from a step on for ever; a thread keeps ``depth`` of them ready."""
        ready: queue.Queue[Batch] = queue.Queue(depth)

        def make() -> None:
            at = step
            while True:
                ready.put(self.at(at))
                at += 1

        threading.Thread(target=make, daemon=True, name="batches").start()
        while True:
            yield ready.get()
