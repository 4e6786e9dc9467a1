"""Draw objects that may be in front of a face: hands, things and medical masks.

Every function returns an image of the object and the share of each pixel that it covers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..regions import GROUPS, IDS
from ..types import Image, Labels
from .textures import Color, Plane, smooth_noise

Point = NDArray[np.float64]

#: Angles of the thumb and the four fingers of a spread hand from the axis of the palm, radians.
FINGER_ANGLES = (-0.9, -0.3, -0.08, 0.12, 0.33)
#: Lengths and radii of the thumb and the fingers, in lengths of the palm.
FINGER_LENGTHS = (0.65, 0.85, 0.95, 0.88, 0.7)
FINGER_RADII = (0.13, 0.11, 0.115, 0.11, 0.095)


@dataclass(frozen=True, eq=False)
class FaceShape:
    """Positions of the parts of a face in pixels (x, y); None if a part is not labelled.

    Attributes:
        face: (H, W) bool, the pixels of the face itself.
        right_eye: center of the person's right eye.
        left_eye: center of the left one.
        nose: center of the nose.
        mouth: center of the mouth.
        size: the square root of the face's area.
    """

    face: NDArray[np.bool_]
    right_eye: Point | None
    left_eye: Point | None
    nose: Point | None
    mouth: Point | None
    size: float


_FACE_IDS = [IDS[name] for name in GROUPS["face"]]
_MOUTH_IDS = [IDS[name] for name in (*GROUPS["lips"], "mouth_interior")]


def face_shape(labels: Labels) -> FaceShape:
    """Locate the parts of a face in its label map."""
    face = np.isin(labels, _FACE_IDS)
    return FaceShape(
        face,
        _center(np.isin(labels, [IDS["right_eye"], IDS["right_eyelid"]])),
        _center(np.isin(labels, [IDS["left_eye"], IDS["left_eyelid"]])),
        _center(labels == IDS["nose"]),
        _center(np.isin(labels, _MOUTH_IDS)),
        math.sqrt(float(face.sum())),
    )


def _center(mask: NDArray[np.bool_]) -> Point | None:
    moments = cv2.moments(mask.astype(np.uint8), binaryImage=True)
    if moments["m00"] < 20:
        return None
    return np.array([moments["m10"], moments["m01"]]) / moments["m00"]


@dataclass(frozen=True)
class Bone:
    """A thick line whose width changes linearly from end to end, in pixels."""

    start: tuple[float, float]
    end: tuple[float, float]
    start_radius: float
    end_radius: float


def draw_hand(
    shape: tuple[int, int], at: Point, length: float, skin: Color, rng: np.random.Generator
) -> tuple[Image, Plane]:
    """Draw a hand.

    Args:
        shape: height and width of the image.
        at: position of the knuckles, (x, y).
        length: of the palm, pixels.
        skin: its colour, BGR.
    """
    axis = rng.normal(-math.pi / 2, 0.9)  # the fingers usually point up
    height = np.zeros(shape, np.float32)
    for bone in _hand_bones(at, length, axis, rng):
        _raise_height(height, bone)
    cover = np.asarray(np.clip(height / 1.5, 0, 1), np.float32)
    top = max(1.0, float(height.max()))
    shade = 0.62 + 0.5 * np.sqrt(np.clip(height / (0.16 * length), 0, 1)) * (0.8 + 0.2 / top)
    light = _light(shape, rng) * (1 + 0.05 * smooth_noise(shape, length / 3, rng))
    pixels = skin * (shade * light)[..., None]
    pixels += 3 * smooth_noise(shape, 1.5, rng)[..., None]
    if rng.random() < 0.6:
        redden = np.clip(1 - height / (0.12 * length), 0, 1)[..., None]
        pixels = pixels * (1 - redden * np.array([0.18, 0.15, 0.03]))
    return np.asarray(np.clip(pixels, 0, 255), np.uint8), cover


def _hand_bones(at: Point, length: float, axis: float, rng: np.random.Generator) -> list[Bone]:
    """Place the bones of a hand with spread, closed or bent fingers."""
    side = rng.choice([-1, 1])
    spread, bent = rng.uniform(0.3, 1.3), rng.uniform(0.45, 1.0)
    along = np.array([math.cos(axis), math.sin(axis)])
    across = np.array([-along[1], along[0]]) * side
    wrist = at - length * along
    bones = []
    for place in (-0.3, -0.1, 0.1, 0.3):  # the palm
        root = at + place * length * across
        bones.append(
            _bone(wrist + 0.6 * place * length * across, root, 0.24 * length, 0.2 * length)
        )
    bones.append(_bone(wrist - 1.5 * length * along, wrist, 0.3 * length, 0.27 * length))  # the arm
    for finger, (angle, reach, width) in enumerate(
        zip(FINGER_ANGLES, FINGER_LENGTHS, FINGER_RADII, strict=True)
    ):
        if finger and rng.random() < 0.06:
            continue  # folded away
        root = at + (finger - 2.5) * 0.2 * length * across if finger else (at + wrist) / 2
        root = root - (0.3 * length * across if not finger else 0)
        turn, radius = angle * spread + rng.normal(0, 0.06), width * length
        for part in (0.5, 0.3, 0.25):
            direction = math.cos(turn) * along + math.sin(turn) * across
            tip = root + part * reach * bent * length * direction
            bones.append(_bone(root, tip, radius, 0.92 * radius))
            root, radius = tip, 0.92 * radius
            turn += rng.normal(0, 0.12) + (0.25 if finger == 0 else 0)
    return bones


def _bone(start: Point, end: Point, start_radius: float, end_radius: float) -> Bone:
    a, b = start.tolist(), end.tolist()
    return Bone((a[0], a[1]), (b[0], b[1]), start_radius, end_radius)


def _raise_height(height: Plane, bone: Bone) -> None:
    """Raise a height map to the surface of a bone with a round cross-section."""
    start, end = np.array(bone.start), np.array(bone.end)
    reach = max(bone.start_radius, bone.end_radius) + 1
    low = np.maximum(np.floor(np.minimum(start, end) - reach), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(start, end) + reach), height.shape[::-1]).astype(int)
    if (high <= low).any():
        return
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    run = end - start
    t = ((x - start[0]) * run[0] + (y - start[1]) * run[1]) / max(float(run @ run), 1e-6)
    t = np.clip(t, 0, 1)
    away = np.hypot(x - start[0] - t * run[0], y - start[1] - t * run[1])
    radius = bone.start_radius + (bone.end_radius - bone.start_radius) * t
    part = height[low[1] : high[1], low[0] : high[0]]
    np.maximum(part, np.sqrt(np.clip(radius**2 - away**2, 0, None)), out=part)


def draw_object(
    shape: tuple[int, int], at: Point, size: float, surface: Image, rng: np.random.Generator
) -> tuple[Image, Plane]:
    """Draw a box, a cup, a microphone, a stick or a blob with a given surface.

    Args:
        shape: height and width of the image.
        at: its center, (x, y).
        size: its approximate diameter, pixels.
        surface: its colour and texture, (H, W, 3) uint8.
    """
    draw = rng.choice(np.array([_box, _cup, _microphone, _stick, _blob], object))
    cover = np.zeros(shape, np.uint8)
    outlines = draw(size, rng)
    turn = rng.uniform(0, 2 * math.pi) if draw is not _cup else rng.normal(0, 0.3)
    cos, sin = math.cos(turn), math.sin(turn)
    for outline in outlines:
        placed = outline @ np.array([[cos, sin], [-sin, cos]]) + at
        cv2.fillPoly(cover, [np.round(8 * placed).astype(np.int32)], 255, cv2.LINE_AA, 3)
    pixels = np.asarray(surface * _light(shape, rng)[..., None], np.float64)
    if rng.random() < 0.5:  # rounded edges are darker
        depth = cv2.distanceTransform((cover > 127).astype(np.uint8), cv2.DIST_L2, 3)
        pixels = pixels * np.clip(0.6 + depth / (0.25 * size), 0, 1)[..., None]
    return np.asarray(np.clip(pixels, 0, 255), np.uint8), np.asarray(cover / 255, np.float32)


def _box(size: float, rng: np.random.Generator) -> list[Point]:
    width, height = size / 2, size / 2 * rng.uniform(0.4, 1.0)
    return [np.array([[-width, -height], [width, -height], [width, height], [-width, height]])]


def _cup(size: float, rng: np.random.Generator) -> list[Point]:
    height, top, bottom = size * 0.6, size * 0.45, size * rng.uniform(0.25, 0.45)
    body = np.array([[-top, -height], [top, -height], [bottom, height], [-bottom, height]])
    return [
        body,
        _ellipse(top, 0.3 * top, (0, -height)),
        _ellipse(bottom, 0.3 * bottom, (0, height)),
    ]


def _microphone(size: float, rng: np.random.Generator) -> list[Point]:
    head, grip = size * 0.3, size * rng.uniform(0.08, 0.2)
    stick = np.array([[-grip, 0], [grip, 0], [0.8 * grip, 2 * size], [-0.8 * grip, 2 * size]])
    return [_ellipse(head, head * rng.uniform(1, 1.4), (0, 0)), stick]


def _stick(size: float, rng: np.random.Generator) -> list[Point]:
    width = size * rng.uniform(0.02, 0.1)
    return [np.array([[-width, -size], [width, -size], [width, size], [-width, size]])]


def _blob(size: float, rng: np.random.Generator) -> list[Point]:
    turns = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    radius = np.full(60, size / 2)
    for wave in range(1, 6):
        swing = rng.uniform(0, 0.35) / wave
        radius *= 1 + swing * np.sin(wave * turns + rng.uniform(0, 2 * math.pi))
    squeeze = rng.uniform(0.5, 1)
    return [np.stack([radius * np.cos(turns), squeeze * radius * np.sin(turns)], 1)]


def _ellipse(width: float, height: float, at: tuple[float, float]) -> Point:
    turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return np.stack([width * np.cos(turns) + at[0], height * np.sin(turns) + at[1]], 1)


def _light(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Return the brightness of light from one side, about 1, (H, W)."""
    turn, slope = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.35)
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    return np.asarray(
        1 + slope * (math.cos(turn) * x + math.sin(turn) * y) + rng.normal(0, 0.05), np.float32
    )


def draw_medical_mask(
    image: Image, shape: FaceShape, surface: Image, rng: np.random.Generator
) -> tuple[Image, Plane] | None:
    """Draw a mask over the lower half of a face, along its outline, with straps to the ears.

    Returns:
        None if eyes, nose or mouth are not labelled.
    """
    eyes = _between(shape.right_eye, shape.left_eye)
    if eyes is None or shape.mouth is None or shape.nose is None:
        return None
    down = shape.mouth - eyes
    length = float(np.linalg.norm(down))
    if length < 8:
        return None
    down = down / length
    across = np.array([down[1], -down[0]])
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    below = ((x - eyes[0]) * down[0] + (y - eyes[1]) * down[1]) / length  # 0 at eyes, 1 at mouth
    aside = ((x - shape.nose[0]) * across[0] + (y - shape.nose[1]) * across[1]) / length
    top = rng.choice([rng.uniform(0.2, 0.45), rng.uniform(0.45, 0.85)], p=[0.75, 0.25])
    edge = top + rng.uniform(0, 0.6) * np.abs(aside) ** rng.uniform(1, 2)
    outline = _grown_hull(shape.face, length * rng.uniform(0, 0.12))
    if rng.random() < 0.2:  # a scarf covers the neck too
        outline |= (below > 1) & (np.abs(aside) < rng.uniform(0.8, 1.3))
    elif rng.random() < 0.3:  # a mask that leaves the chin free
        outline &= below < rng.uniform(1.3, 1.8)
    cover = np.asarray(outline & (below > edge), np.float32)
    if cover.sum() < 50:
        return None
    shade = _mask_shade(image, cover, below, length, rng)
    if rng.random() < 0.7:
        _draw_straps(cover, across, length, rng)
    pixels = np.clip(surface * shade[..., None], 0, 255)
    return np.asarray(pixels, np.uint8), cover


def _between(first: Point | None, second: Point | None) -> Point | None:
    if first is None or second is None:
        return first if second is None else second
    return np.asarray((first + second) / 2)


def _grown_hull(mask: NDArray[np.bool_], by: float) -> NDArray[np.bool_]:
    points = cv2.findNonZero(mask.astype(np.uint8))
    hull = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    if by >= 1:
        side = 2 * int(by) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        return np.asarray(cv2.dilate(hull, disc), bool)
    return np.asarray(hull, bool)


def _mask_shade(
    image: Image, cover: Plane, below: Plane, length: float, rng: np.random.Generator
) -> Plane:
    """Shade cloth like the face behind it, with an edge, folds and wrinkles."""
    blurred = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (0, 0), length / 6)
    gray = np.asarray(blurred, np.float64)
    mean = max(16.0, float(gray[cover > 0].mean()))
    shade = np.asarray(np.clip(gray / mean, 0.3, 1.8) ** rng.uniform(0.3, 1.2), np.float64)
    depth = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    shade = shade * np.clip(0.7 + depth / (0.3 * length), 0, 1)
    shade = shade * (1 + rng.uniform(0, 0.1) * smooth_noise(cover.shape[:2], length / 5, rng))
    if rng.random() < 0.5:
        folds = np.sin(below * rng.uniform(8, 25) + 0.3 * smooth_noise(cover.shape, length, rng))
        shade = shade * (1 + rng.uniform(0.03, 0.12) * folds)
    return np.asarray(shade * rng.uniform(0.7, 1.15), np.float32)


def _draw_straps(cover: Plane, across: Point, length: float, rng: np.random.Generator) -> None:
    """Draw straps from the sides of the mask towards the ears."""
    points = cv2.findNonZero((cover > 0).astype(np.uint8))[:, 0].astype(np.float64)
    place = points @ across
    up = np.array([across[1], -across[0]])
    up = -up if up[1] > 0 else up
    width = max(1, round(length * rng.uniform(0.02, 0.06)))
    for sign in (-1, 1):
        corner = points[int(np.argmax(sign * place))]
        for lift in (rng.uniform(0.1, 0.5), rng.uniform(-0.3, 0.1)):
            end = corner + length * (sign * rng.uniform(0.15, 0.4) * across + lift * up)
            cv2.line(
                cover, tuple(np.round(corner).astype(int).tolist()),
                tuple(np.round(end).astype(int).tolist()), 1.0, width, cv2.LINE_AA,
            )  # fmt: skip
