"""What has to be hidden of a face, so that nobody can tell who it is.

The visible skin is not enough: behind glasses the eyes are in the class ``glasses``, and a mask or
a hand in front of a face is background. A face is hidden by its *filled outline*: the hull of all
its parts, glasses included, together with the ellipse that its box spans.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..regions import class_ids
from ..types import Box, Face, FrameResult, Labels, RegionMasks

Mask = NDArray[np.uint8]

#: A view that hides all of these classes hides the whole face.
WHOLE_FACE = frozenset(class_ids(["face"]))
#: The classes that the outline is drawn around.
OUTLINED = class_ids(["face", "glasses"])
#: Minimum share of its box that a face's pixels fill. If they fill less, the segmenter did not see
#: the face, and the whole box is hidden.
MIN_FACE_SHARE = 0.2
#: Share of its width by which a held face that was never parsed is widened to hide hair, too.
HEAD_SHARE = 0.4
#: A patch of a face's pixels that is smaller than this share of the largest patch is a stray one:
#: the outline does not reach out for it.
STRAY_SHARE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """The pixels of a frame that belong to one face.

    Attributes:
        box: inside the frame.
        mask: (h, w) uint8, 255 where they are.
        face_width: pixels across the whole face.
    """

    box: Box
    mask: Mask
    face_width: int


def hidden_areas(result: FrameResult, ids: tuple[int, ...], margin: float) -> Iterator[Area]:
    """Find what has to be hidden of each face, the farthest first.

    No pixel is in two areas: it belongs to the nearer face, whose box is larger.

    Args:
        result: a frame, its faces and those that are held. A frame that could not be parsed is one
            area.
        ids: the classes to hide. With all classes of ``face``, the filled outline is hidden.
        margin: how far an area reaches beyond that, as a share of the face's width.
    """
    size = result.frame.width, result.frame.height
    if not result.parsed:
        yield _whole(Box(0, 0, *size), size[0])
        return
    faces = sorted(result.faces, key=lambda f: (f.detection.box.area, f.detection.box))
    own = {id(face): regions for face, regions in result.owned()}
    areas = [_area(face, own.get(id(face)), ids, margin, size) for face in faces]
    found = {face.id: i for i, face in enumerate(faces)}
    for face in sorted(result.held, key=lambda f: (f.detection.box.area, f.detection.box)):
        held = _held_area(face, ids, margin, size)
        if face.id not in found:
            areas.append(held)
        elif WHOLE_FACE.issubset(ids):  # one area for what is one face: no seam
            areas[found[face.id]] = _joined(areas[found[face.id]], held)
    areas = [area for area in areas if area.box.area]
    for i, area in enumerate(areas):
        for nearer in areas[i + 1 :]:
            shared = area.box.shared(nearer.box)
            if shared.area:
                theirs = nearer.mask[shared.moved(-nearer.box.x0, -nearer.box.y0).slices]
                area.mask[shared.moved(-area.box.x0, -area.box.y0).slices][theirs != 0] = 0
        yield area


def region_areas(result: FrameResult, ids: tuple[int, ...], margin: float) -> Iterator[Area]:
    """Find each face's own pixels of some classes, the farthest face first.

    Args:
        result: a frame and its faces.
        ids: the classes.
        margin: how far an area reaches beyond them, as a share of the face's width.
    """
    size = result.frame.width, result.frame.height
    for face, regions in result.owned():
        if regions.labels.size:
            yield _grown(regions.box, _chosen(regions.labels, ids), _width(face), margin, size)


def _area(
    face: Face,
    regions: RegionMasks | None,
    ids: tuple[int, ...],
    margin: float,
    size: tuple[int, int],
) -> Area:
    reach = math.ceil(margin * _width(face))
    box = face.detection.box
    around = box.grown(reach).clip(*size)
    if regions is None or not regions.labels.size:
        return _whole(around, _width(face))
    if not WHOLE_FACE.issubset(ids):
        return _grown(regions.box, _chosen(regions.labels, ids), _width(face), margin, size)
    span = regions.box.joined(box.clip(*size)) if box.clip(*size).area else regions.box
    labels: Labels = np.zeros((span.height, span.width), np.uint8)
    labels[regions.box.moved(-span.x0, -span.y0).slices] = regions.labels
    parts = _without_strays(_chosen(labels, OUTLINED))
    if cv2.countNonZero(parts) < MIN_FACE_SHARE * box.clip(*size).area:
        labels[box.clip(*size).moved(-span.x0, -span.y0).slices] = ids[0]
        return _grown(span, _chosen(labels, ids), _width(face), margin, size)
    mask = _chosen(labels, ids)
    _fill_outline(mask, parts, box.moved(-span.x0, -span.y0))
    across = max(_width(face), cv2.boundingRect(parts)[2])
    return _grown(span, mask, across, margin, size)


def _held_area(face: Face, ids: tuple[int, ...], margin: float, size: tuple[int, int]) -> Area:
    """Find what to hide of a face where it was not found: its mask was carried there, if any."""
    box, regions = face.detection.box, face.regions
    if regions is None and not WHOLE_FACE.issuperset(ids):
        box = box.grown(round(HEAD_SHARE * box.width))  # nobody knows where its hair is
    span = box.clip(*size)
    if regions is not None:
        span = span.joined(regions.box) if span.area else regions.box
    mask: Mask = np.zeros((span.height, span.width), np.uint8)
    if regions is not None:
        mask[regions.box.moved(-span.x0, -span.y0).slices] = _chosen(regions.labels, ids)
    if regions is None or WHOLE_FACE.issubset(ids):
        _fill_ellipse(mask, box.moved(-span.x0, -span.y0))
    return _grown(span, mask, _width(face), margin, size)


def _joined(one: Area, other: Area) -> Area:
    """Make one area of two of the same face."""
    if not other.box.area or not one.box.area:
        return one if one.box.area else other
    span = one.box.joined(other.box)
    mask: Mask = np.zeros((span.height, span.width), np.uint8)
    for area in (one, other):
        mask[area.box.moved(-span.x0, -span.y0).slices] |= area.mask
    return Area(span, mask, max(one.face_width, other.face_width))


def _fill_outline(mask: Mask, parts: Mask, box: Box) -> None:
    """Fill the hull of a face's parts and the ellipse in its box, in place."""
    contours, _ = cv2.findContours(parts, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.concatenate(contours)), 255)
    _fill_ellipse(mask, box)


def _fill_ellipse(mask: Mask, box: Box) -> None:
    """Fill the ellipse in a box, in place."""
    middle = (round((box.x0 + box.x1 - 1) / 2), round((box.y0 + box.y1 - 1) / 2))
    axes = (math.ceil(box.width / 2), math.ceil(box.height / 2))
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 255, cv2.FILLED)


def _without_strays(parts: Mask) -> Mask:
    count, patches, stats, _ = cv2.connectedComponentsWithStats(parts, connectivity=8)
    if count <= 2:
        return parts
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.where((areas >= STRAY_SHARE * areas.max())[patches], parts, np.uint8(0))


def _whole(box: Box, face_width: int) -> Area:
    return Area(box, np.full((box.height, box.width), 255, np.uint8), face_width)


def _grown(box: Box, mask: Mask, width: int, margin: float, size: tuple[int, int]) -> Area:
    """Let a mask reach farther by a share of the face's width."""
    x, y, w, h = cv2.boundingRect(mask)
    reach = math.ceil(margin * width)
    if not w:
        return Area(Box(box.x0, box.y0, box.x0, box.y0), np.zeros((0, 0), np.uint8), width)
    tight = Box(box.x0 + x, box.y0 + y, box.x0 + x + w, box.y0 + y + h)
    if not reach:
        return Area(tight, np.ascontiguousarray(mask[y : y + h, x : x + w]), width)
    wide = tight.grown(reach).clip(*size)
    outside: Mask = np.full((wide.height, wide.width), 255, np.uint8)
    outside[tight.moved(-wide.x0, -wide.y0).slices] = 255 - mask[y : y + h, x : x + w]
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    return Area(wide, 255 * (np.asarray(distance) <= reach).view(np.uint8), width)


def _chosen(labels: Labels, ids: tuple[int, ...]) -> Mask:
    table = np.zeros(256, np.uint8)
    table[list(ids)] = 255
    return np.asarray(cv2.LUT(labels, table), np.uint8)


def _width(face: Face) -> int:
    return max(1, face.detection.box.width)
