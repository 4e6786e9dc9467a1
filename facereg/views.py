"""Turn a `FrameResult` into a picture: the views.

A view is a function from a result to a new (h, w, 3) uint8 BGR image. Users name views as
``NAME,option=value`` or ``NAME:REGION+REGION,option=value``; every sink that makes pictures takes
any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from .components import View
from .errors import UsageError, nearest
from .hookspecs import hookimpl
from .regions import COLORS
from .registry.drawing import drawing
from .registry.loading import Component
from .registry.options import split_spec
from .types import Box, Face, FrameResult, Image, Labels

#: (256, 3) uint8 BGR colour of each class id.
PALETTE: NDArray[np.uint8] = np.zeros((256, 3), np.uint8)
PALETTE[: len(COLORS)] = np.array(COLORS, np.uint8)[:, ::-1]

#: Share of the colour in a coloured pixel of the overlay.
STRENGTH = 0.55

#: Colour of boxes and of the text in them, BGR.
BOX_COLOR = (80, 220, 80)


def overlay(result: FrameResult, *, strength: float = STRENGTH) -> Image:
    """Colour every region over the frame, and outline each face's box with its id."""
    out: Image = result.frame.image.copy()
    labels = result.labels()
    for _, regions in result.painted():
        part, ids = out[regions.box.slices], labels[regions.box.slices]
        color = cv2.LUT(cv2.merge([ids] * 3), PALETTE[None])
        mixed = cv2.addWeighted(part, 1 - strength, color, strength, 0)
        cv2.copyTo(mixed, (ids != 0).view(np.uint8), part)
        labels[regions.box.slices] = 0  # where boxes overlap, colour once
    for face in result.faces:
        _outline(out, face)
    return out


def _outline(out: Image, face: Face) -> None:
    box = face.detection.box
    thin = max(1, round(min(out.shape[:2]) / 360))
    cv2.rectangle(out, (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), BOX_COLOR, thin)
    scale = max(0.4, min(out.shape[:2]) / 900)
    place = (box.x0, max(box.y0 - 4 * thin, round(22 * scale)))
    cv2.putText(
        out, str(face.id), place, cv2.FONT_HERSHEY_SIMPLEX, scale, BOX_COLOR, thin, cv2.LINE_AA
    )


def raw(result: FrameResult) -> Image:
    """Show the frame as it came."""
    return np.array(result.frame.image)


def isolated(result: FrameResult, ids: tuple[int, ...]) -> Image:
    """Show the pixels of some classes alone, everything else black."""
    out: Image = np.zeros_like(result.frame.image)
    cv2.copyTo(result.frame.image, _chosen(result.labels(), ids), out)
    return out


def blur(result: FrameResult, ids: tuple[int, ...]) -> Image:
    """Blur the pixels of some classes, as strongly as each face is large."""

    def soften(part: Image, face: Face) -> Image:
        sigma = max(2.0, face.detection.box.width / 12)
        return np.asarray(cv2.GaussianBlur(part, (0, 0), sigma), np.uint8)

    return _replace(result, ids, soften)


def pixelate(result: FrameResult, ids: tuple[int, ...]) -> Image:
    """Replace the pixels of some classes by large squares, about ten across a face."""

    def coarsen(part: Image, face: Face) -> Image:
        cell = max(4, face.detection.box.width // 10)
        small = (max(1, part.shape[1] // cell), max(1, part.shape[0] // cell))
        few = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
        size = (part.shape[1], part.shape[0])
        return np.asarray(cv2.resize(few, size, interpolation=cv2.INTER_NEAREST), np.uint8)

    return _replace(result, ids, coarsen)


def _replace(
    result: FrameResult, ids: tuple[int, ...], effect: Callable[[Image, Face], Image]
) -> Image:
    out: Image = result.frame.image.copy()
    chosen = _chosen(result.labels(), ids)
    for face, regions in result.painted():
        part, mask = out[regions.box.slices], chosen[regions.box.slices]
        if part.size:
            cv2.copyTo(effect(result.frame.image[regions.box.slices], face), mask, part)
    return out


def _chosen(labels: Labels, ids: tuple[int, ...]) -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[list(ids)] = 255
    return np.asarray(cv2.LUT(labels, table), np.uint8)


def face(result: FrameResult) -> Image:
    """Show the largest face alone, at the size of the frame; black where there is none."""
    height, width = result.frame.image.shape[:2]
    if not result.faces:
        return np.zeros_like(result.frame.image)
    largest = max(result.faces, key=lambda f: f.detection.box.area)
    box = _widened(largest.detection.box, 1.5).clip(width, height)
    return fitted(result.frame.image[box.slices], width, height)


def gallery(result: FrameResult) -> Image:
    """Show the frame, and beside it the map of each face's regions, in a grid.

    The result is always half as wide again as the frame, so that it can be recorded.
    """
    height, width = result.frame.image.shape[:2]
    side = max(2, width // 2)
    panel: Image = np.zeros((height, side, 3), np.uint8)
    faces = [(f, r) for f, r in result.painted()]
    faces.sort(key=lambda pair: pair[0].id)
    columns, rows = _grid(len(faces), side, height)
    for i, (_, regions) in enumerate(faces):
        y, x = divmod(i, columns)
        cell = Box(
            x * side // columns,
            y * height // rows,
            (x + 1) * side // columns,
            (y + 1) * height // rows,
        )
        if regions.labels.size and cell.area:
            panel[cell.slices] = fitted(PALETTE[regions.labels], cell.width, cell.height)
    return np.hstack([overlay(result), panel])


def _grid(count: int, width: int, height: int) -> tuple[int, int]:
    """Choose columns and rows that give ``count`` squares the largest side."""
    best = (1, max(1, count))
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        if min(width / columns, height / rows) > min(width / best[0], height / best[1]):
            best = (columns, rows)
    return best


def _widened(box: Box, factor: float) -> Box:
    dx, dy = (round((factor - 1) / 2 * side) for side in (box.width, box.height))
    return Box(box.x0 - dx, box.y0 - dy, box.x1 + dx, box.y1 + dy)


def fitted(image: Image, width: int, height: int) -> Image:
    """Scale an image into a black picture of that size, keeping its aspect."""
    out: Image = np.zeros((height, width, 3), np.uint8)
    if not image.size:
        return out
    scale = min(width / image.shape[1], height / image.shape[0])
    w, h = (max(1, round(scale * side)) for side in (image.shape[1], image.shape[0]))
    x, y = (width - w) // 2, (height - h) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out[y : y + h, x : x + w] = cv2.resize(image, (w, h), interpolation=how)
    return out


@hookimpl
def register_views() -> Mapping[str, Callable[..., Image]]:
    """Register overlay, gallery, face, raw, isolated, blur and pixelate."""
    functions = (overlay, gallery, face, raw, isolated, blur, pixelate)
    return {f.__name__: f for f in functions}


def view(spec: str) -> View:
    """Find one of the built-in views without a registry, by what users write.

    Raises:
        UsageError: an unknown view, region or option, or regions for a view that takes none.

    >>> draw = view("isolated:eyes+lips")
    """
    name, regions, options = split_spec(spec)
    known = register_views()
    if name not in known:
        raise UsageError(f"unknown view {name!r}: {nearest(name, known)}")
    return drawing(Component("view", name, known[name], "built-in", "facereg"), regions, options)
