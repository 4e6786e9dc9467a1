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
from .matting import alpha, cut_out
from .privacy.hide import blur, fill, pixelate
from .privacy.outline import region_areas
from .regions import CLASSES, COLORS
from .registry.drawing import drawing
from .registry.loading import Component
from .registry.options import Color, split_spec
from .types import Box, Face, FrameResult, Image

#: (256, 3) uint8 BGR colour of each class id.
PALETTE: NDArray[np.uint8] = np.zeros((256, 3), np.uint8)
PALETTE[: len(COLORS)] = np.array(COLORS, np.uint8)[:, ::-1]

#: Share of the colour in a coloured pixel of the overlay.
STRENGTH = 0.55

#: Colour of boxes and of the text in them, BGR.
BOX_COLOR = (80, 220, 80)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def overlay(result: FrameResult, *, strength: float = STRENGTH, legend: bool = False) -> Image:
    """Colour every region over the frame, and outline each face's box with its id.

    Options:
        strength: share of the colour in a coloured pixel, 0 to 1.
        legend: whether the classes are named in their colours at the left edge, and ids are
            written on labels of their own.
    """
    out: Image = result.frame.image.copy()
    labels = result.labels()
    for _, regions in result.painted():
        part, ids = out[regions.box.slices], labels[regions.box.slices]
        color = cv2.LUT(cv2.merge([ids] * 3), PALETTE[None])
        mixed = cv2.addWeighted(part, 1 - strength, color, strength, 0)
        cv2.copyTo(mixed, (ids != 0).view(np.uint8), part)
        labels[regions.box.slices] = 0  # if boxes overlap, colour once
    for face in result.faces:
        _outline(out, face, labelled=legend)
    if legend:
        _draw_legend(out)
    return out


def _outline(out: Image, face: Face, *, labelled: bool) -> None:
    box = face.detection.box
    thin = max(1, round(min(out.shape[:2]) / 360))
    cv2.rectangle(out, (box.x0, box.y0), (box.x1 - 1, box.y1 - 1), BOX_COLOR, thin)
    scale = max(0.4, min(out.shape[:2]) / 900)
    place = (box.x0, max(box.y0 - 4 * thin, round(22 * scale)))
    if labelled:
        (width, height), below = cv2.getTextSize(str(face.id), FONT, scale, thin)
        low = (place[0] + width + 2 * thin, place[1] + below)
        cv2.rectangle(out, (place[0], place[1] - height - below), low, BOX_COLOR, cv2.FILLED)
        place = (place[0] + thin, place[1])
    color = (0, 0, 0) if labelled else BOX_COLOR
    cv2.putText(out, str(face.id), place, FONT, scale, color, thin, cv2.LINE_AA)


def _draw_legend(out: Image) -> None:
    """Name every class beside its colour, on a darkened strip at the left edge."""
    names = CLASSES[1:]
    row = max(1, min(28, out.shape[0] // (len(names) + 1)))
    scale, half = row / 36, row // 2
    widest = max(cv2.getTextSize(name, FONT, scale, 1)[0][0] for name in names)
    strip = out[: row * len(names) + half, : widest + 2 * row]
    strip //= 3
    for i, name in enumerate(name.replace("_", " ") for name in names):
        y, x = i * row + half // 2, half // 2
        color = PALETTE[i + 1].tolist()
        cv2.rectangle(out, (x, y + 1), (x + row - 2, y + row - 2), color, cv2.FILLED)
        place = (x + row + half // 2, y + row - max(1, row // 4))
        cv2.putText(out, name, place, FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)


def raw(result: FrameResult) -> Image:
    """Show the frame as it came."""
    return np.array(result.frame.image)


def isolated(result: FrameResult, ids: tuple[int, ...], *, margin: float = 0.0) -> Image:
    """Show the pixels of some classes alone, everything else black.

    Options:
        margin: how far it reaches beyond the regions, as a share of the face's width.
    """
    out: Image = np.zeros_like(result.frame.image)
    for area in region_areas(result, ids, margin):
        part = result.frame.image[area.box.slices]
        cv2.copyTo(part, area.mask, out[area.box.slices])
    return out


def recolor(
    result: FrameResult, ids: tuple[int, ...], *, color: Color, margin: float = 0.0
) -> Image:
    """Give regions another colour; their light and shade stay.

    Options:
        color: as #RRGGBB; the mean of each face's regions becomes this colour.
        margin: how far it reaches beyond the regions, as a share of the face's width.
    """
    wanted = cv2.cvtColor(np.array([[color.bgr]], np.float32) / 255, cv2.COLOR_BGR2LAB)[0, 0]
    out: Image = result.frame.image.copy()
    for area in region_areas(result, ids, margin):
        part = result.frame.image[area.box.slices]
        if area.mask.any():
            lab = cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
            lab += wanted - np.array(cv2.mean(lab, area.mask)[:3], np.float32)
            lab[..., 1:] = wanted[1:]
            painted = 255 * cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)
            painted = np.asarray(np.clip(np.round(painted), 0, 255), np.uint8)
            cv2.copyTo(painted, area.mask, out[area.box.slices])
    return out


def matte(result: FrameResult, ids: tuple[int, ...], *, margin: float = 0.0) -> Image:
    """Cut regions out with soft edges; hair follows the picture's own edges.

    An output that holds transparency gets the frame's colours with the matte as their alpha: a
    .mov (ProRes 4444), a .webm or .mkv (VP9), a folder of PNGs. Any other gets the matte alone, in
    black and white.

    Options:
        margin: how far it reaches beyond the regions, as a share of the face's width.
    """
    return cut_out(result.frame.image, alpha(result, ids, margin))


def face(result: FrameResult, *, margin: float = 0.25) -> Image:
    """Show the largest face alone, at the size of the frame; black if there is none.

    Options:
        margin: how far it reaches beyond the face's box on each side, as a share of that side.
    """
    height, width = result.frame.image.shape[:2]
    if not result.faces:
        return np.zeros_like(result.frame.image)
    largest = max(result.faces, key=lambda f: f.detection.box.area)
    box = _widened(largest.detection.box, 1 + 2 * margin).clip(width, height)
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
    """Register the built-in views."""
    functions = (overlay, gallery, face, raw, isolated, blur, pixelate, fill, recolor, matte)
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
