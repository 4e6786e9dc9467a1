"""What passes between a dump or dataset and a format: label maps, one picture after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..types import Labels

#: The id of a pixel that no face claims.
NOBODY = -1


class Category(NamedTuple):
    """A class: its id in a label map, its name, its RGB colour."""

    id: int
    name: str
    color: tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The labels of a picture.

    Attributes:
        index: its number in the recording, or in the list of pictures.
        name: its name without ending; no two pictures have the same.
        labels: (H, W) uint8, ids of categories; 0 is background.
        people: (H, W) int32, the id of the face that each pixel belongs to, `NOBODY` for none;
            None if the format does not say.
        image: the picture itself, if it is known where it is.
    """

    index: int
    name: str
    labels: Labels
    people: NDArray[np.int32] | None = None
    image: Path | None = None


class Regions(NamedTuple):
    """One region of one face: a category, a face's id or `NOBODY`, and (H, W) bool."""

    category: Category
    person: int
    mask: NDArray[np.bool_]


class Writer(Protocol):
    """Writes pictures into a folder that is new and empty."""

    def __call__(
        self, folder: Path, pictures: Iterable[Picture], categories: Sequence[Category]
    ) -> None:
        """Write them; ``categories`` are all but the background."""


class Reader(Protocol):
    """Reads pictures; their labels are positions in the list of names that it returns."""

    def __call__(self, path: Path) -> tuple[Sequence[str], Iterator[Picture]]:
        """Return the names of the classes, the first of which is background, and the pictures."""


def regions(picture: Picture, categories: Sequence[Category]) -> Iterator[Regions]:
    """Take a picture apart into regions, by category and by face."""
    for category in categories:
        chosen = picture.labels == category.id
        if not chosen.any():
            continue
        if picture.people is None:
            yield Regions(category, NOBODY, chosen)
            continue
        for person in np.unique(picture.people[chosen]).tolist():
            yield Regions(category, person, chosen & (picture.people == person))


def palette(categories: Sequence[Category]) -> list[int]:
    """Return the 768 values of a palette of PNG."""
    values = [0] * 768
    for category in categories:
        values[3 * category.id : 3 * category.id + 3] = category.color
    return values


def encode_coco(mask: NDArray[Any]) -> dict[str, Any]:
    """Compress a mask as COCO does: ``size`` and ``counts``, a text.

    Raises:
        FaceregError: pycocotools is not installed.
    """
    rle: dict[str, Any] = coco_masks().encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}


def coco_masks() -> Any:
    """Import pycocotools.mask.

    Raises:
        FaceregError: it is not installed.
    """
    from ..errors import missing_extra

    try:
        from pycocotools import mask
    except ImportError:
        raise missing_extra("pycocotools", "formats", "this format") from None
    return mask
