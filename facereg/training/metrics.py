"""Scores from a confusion matrix whose pixels are pooled over all images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..regions import CLASSES

JEWELLERY = frozenset({"earring", "necklace", "jewellery"})


class Confusion:
    """Counts pixels by true and predicted class.

    Attributes:
        names: names of the classes.
        counts: (C, C) int64; rows are the truth, columns the prediction.
    """

    def __init__(self, names: tuple[str, ...] = CLASSES) -> None:
        self.names = names
        self.counts: NDArray[np.int64] = np.zeros((len(names), len(names)), np.int64)

    def add(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Count two label maps of equal shape; pixels whose true label is unknown are skipped."""
        n = len(self.names)
        known = truth < n
        pairs = truth[known].astype(np.int64) * n + prediction[known]
        self.counts += np.bincount(pairs, minlength=n * n).reshape(n, n)

    def f1(self) -> NDArray[np.float64]:
        """Return F1 (Dice) of each class; NaN for a class that never occurs."""
        hit, total = self._hit_total()
        return _ratio(2 * hit, total)

    def iou(self) -> NDArray[np.float64]:
        """Return intersection over union of each class; NaN for a class that never occurs."""
        hit, total = self._hit_total()
        return _ratio(hit, total - hit)

    def _hit_total(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        hit = np.diag(self.counts).astype(np.float64)
        return hit, (self.counts.sum(0) + self.counts.sum(1)).astype(np.float64)

    def summary(self) -> dict[str, object]:
        """Return the scores as plain numbers: per class, and means over the foreground classes.

        ``mean_f1`` and ``mean_iou`` include every foreground class that occurs;
        ``mean_f1_without_jewellery`` leaves out earring and necklace.
        """
        f1, iou = self.f1(), self.iou()
        seen = [i for i in range(1, len(self.names)) if not np.isnan(f1[i])]
        without = [i for i in seen if self.names[i] not in JEWELLERY]
        return {
            "mean_f1": _mean(f1[seen]),
            "mean_iou": _mean(iou[seen]),
            "mean_f1_without_jewellery": _mean(f1[without]),
            "classes": {
                name: {
                    "f1": None if np.isnan(f1[i]) else round(float(f1[i]), 4),
                    "iou": None if np.isnan(iou[i]) else round(float(iou[i]), 4),
                    "pixels": int(self.counts[i].sum()),
                }
                for i, name in enumerate(self.names)
            },
        }


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _mean(values: NDArray[np.float64]) -> float:
    return round(float(values.mean()), 4) if values.size else 0.0


def merge_groups(confusion: Confusion, groups: Mapping[str, Sequence[str]]) -> Confusion:
    """Merge left and right, both lips, and the jewellery; the other classes stay.

    Only groups that share no class are used: eyebrows, eyes, eyelids, lips, ears and jewellery.
    """
    merged = {
        member: group
        for group in ("eyebrows", "eyes", "eyelids", "lips", "ears", "jewellery")
        for member in groups[group]
    }
    names = tuple(dict.fromkeys(merged.get(name, name) for name in confusion.names))
    out = Confusion(names)
    target = [names.index(merged.get(name, name)) for name in confusion.names]
    np.add.at(out.counts, (np.array(target)[:, None], np.array(target)[None, :]), confusion.counts)
    return out
