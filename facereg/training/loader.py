"""What the trainer sees next: which images, in which random view, a few batches ahead."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..regions import CLASSES
from ..types import Image
from .augment import Augment
from .copy_paste import Mixing
from .dataset import OCCLUDED, FaceDataset
from .occlusion import Occlusion, WornMask, worn_mask

#: Images (B, S, S, 3) BGR, labels (B, S, S), and the images as they are without pasted objects.
Batch = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

#: Label of a pixel that is none of the classes which its partial folder labels.
REST = 254

#: Probability that a marked object in front of a face is recoloured: most are of one make.
RECOLORED = 0.85

GOLDEN = 0.6180339887498949

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


@dataclass(frozen=True)
class Data:
    """What a run learns from.

    Attributes:
        main: whole label maps; the run is judged on their like.
        also: further folders of them, for instance machine-made.
        partial: a folder that labels some classes only; its 0 means "none of these".
        share: of the pictures drawn, how many come from ``also`` and ``partial``.
        weights: how often each folder of ``also``, then ``partial``, is drawn, relative to the
            others; by their numbers of pictures if empty.
        mixed: of the pictures drawn from ``main``, how many are mixed with others of it.
        occluded: of the pictures drawn, how many get objects in front of the face; never those of
            ``partial``, nor those that are marked to have some.
    """

    main: FaceDataset
    also: Sequence[FaceDataset] = ()
    partial: FaceDataset | None = None
    share: float = 0.25
    weights: Sequence[float] = ()
    mixed: float = 0.0
    occluded: float = 0.0

    def describe(self) -> dict[str, object]:
        """Name the data, as plain values, so that a run goes on with no other."""
        extra = [*self.also, *([self.partial] if self.partial else [])]
        sets = [[str(data.root.resolve()), len(data)] for data in (self.main, *extra)]
        return {
            "sets": sets,
            "share": self.share,
            "weights": list(self.weights),
            "mixed": self.mixed,
            "occluded": self.occluded,
        }


class Pool:
    """Decoded pictures of one kind, drawn by how rare their classes are.

    They stay in memory: 4,400 of 384 x 384 take 2.6 GB.
    """

    def __init__(self, data: FaceDataset, seed: int, rest: int = 0) -> None:
        """Read the pictures; label 0 becomes ``rest``, and `OCCLUDED` where an object is marked."""
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
        for labels in self.labels if rest else ():
            labels[labels == 0] = rest

    def __len__(self) -> int:
        return len(self.images)

    def at(self, position: int) -> int:
        """Return which picture is at a place in the endless order of epochs."""
        epoch, place = divmod(position, len(self))
        return int(self._order(epoch)[place])

    def worn_masks(self) -> list[WornMask]:
        """Describe the medical masks in these pictures."""
        found = (
            worn_mask(image, labels, objects)
            for image, labels, objects in zip(self.images, self.labels, self.objects, strict=True)
            if objects is not None
        )
        return [mask for mask in found if mask is not None]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Pick the pictures of an epoch: systematic sampling by weight, then a shuffle."""
        if epoch not in self._epochs:
            rng = np.random.default_rng((self._seed, 0, epoch))
            edges = np.cumsum(self._weights) / self._weights.sum()
            points = (np.arange(len(self)) + rng.random()) / len(self)
            self._epochs = {epoch: rng.permutation(np.searchsorted(edges, points))}
        return self._epochs[epoch]


class Batches:
    """Draw augmented batches; the same seed and step always give the same batch.

    Attributes:
        judged: (C,) which classes a partial folder labels; `REST` means none of these.
    """

    def __init__(self, data: Data, augment: Augment, batch: int, seed: int) -> None:
        self._main = Pool(data.main, seed)
        extra = [Pool(folder, seed) for folder in data.also]
        self.judged: NDArray[np.bool_] = np.zeros(len(CLASSES), bool)
        if data.partial is not None:
            extra.append(Pool(data.partial, seed, REST))
            self.judged = np.asarray(extra[-1].present.any(0), bool)
            self.judged[0] = False
        self._pools = [self._main, *extra]
        self._partial = extra[-1] if data.partial is not None else None
        self._mixed, self._occluded = data.mixed, data.occluded
        self._mixing = Mixing(self._main.images, self._main.labels) if data.mixed else None
        worn = [mask for pool in extra for mask in pool.worn_masks()]
        self._occlusion = Occlusion(self._main.images, self._main.labels, worn)
        self._edges = _edges(data.weights or [len(pool) for pool in extra], data.share)
        self._augment = augment
        self._batch, self._seed = batch, seed

    def at(self, step: int) -> Batch:
        """Make the batch of a step."""
        views = [self._view(step * self._batch + i) for i in range(self._batch)]
        images, labels, clear = zip(*views, strict=True)
        return np.stack(images), np.stack(labels), np.stack(clear)

    def _view(self, position: int) -> Batch:
        rng = np.random.default_rng((self._seed, 1, position))
        # The golden ratio's multiples, modulo 1, fall evenly: each pool gets its share at any time.
        kind = int(np.searchsorted(self._edges, position * GOLDEN % 1, side="right"))
        pool = self._pools[kind]
        index = pool.at(self._drawn(kind, position))
        image, labels, objects = pool.images[index], pool.labels[index], pool.objects[index]
        if kind == 0 and self._mixing and rng.random() < self._mixed:
            image, labels = self._mixing(image, labels, rng)
        if objects is not None and rng.random() < RECOLORED:
            image = self._occlusion.recolor(image, objects, rng)
        clear = image, labels
        if objects is None and pool is not self._partial and rng.random() < self._occluded:
            image, labels = self._occlusion(image, labels, rng)
        same = int(rng.integers(1 << 62))
        view = self._augment(image, labels, np.random.default_rng(same))
        if image is clear[0]:
            return *view, view[0]
        return *view, self._augment(*clear, np.random.default_rng(same))[0]

    def _drawn(self, kind: int, position: int) -> int:
        """Say how far a pool is, at this place of the whole."""
        low, high = np.concatenate([[0.0], self._edges, [1.0]])[kind : kind + 2]
        return int(position * (high - low))

    def ahead(
        self, step: int, ask: Callable[[Image], Tensor] | None = None, depth: int = 3
    ) -> Iterator[tuple[Batch, Tensor | None]]:
        """Yield the batches from a step on for ever; a thread keeps ``depth`` of them ready.

        Args:
            step: the first batch.
            ask: gives the teachers' answers to the images without pasted objects.
            depth: how many batches are prepared.
        """
        ready: queue.Queue[tuple[Batch, Tensor | None] | BaseException] = queue.Queue(depth)

        def make() -> None:
            try:
                for at in itertools.count(step):
                    batch = self.at(at)
                    ready.put((batch, None if ask is None else ask(batch[2])))
            except BaseException as e:
                ready.put(e)

        threading.Thread(target=make, daemon=True, name="batches").start()
        while not isinstance(batch := ready.get(), BaseException):
            yield batch
        raise batch


def _edges(sizes: Sequence[float], share: float) -> NDArray[np.float64]:
    """Divide [0, 1) among the main pool and the extra ones, these by their numbers of pictures."""
    if not sizes:
        return np.zeros(0)
    parts = [1 - share, *(share * size / sum(sizes) for size in sizes)]
    return np.asarray(np.cumsum(parts)[:-1])
