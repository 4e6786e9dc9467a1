"""Where a face's own axes are in the picture: origin, scale, pose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import RegionMasks

Floats = NDArray[np.float64]

#: A face in inter-ocular distances: x to the person's left, y down, z away from the camera, from
#: the point between the eyes. Right eye, left eye, tip of the nose, right and left mouth corner,
#: centre of the nose. x and y are medians over 292 portraits; depths are those of a generic head.
HEAD: Floats = np.array(
    [
        [-0.5, 0.0, 0.0],
        [0.5, 0.0, 0.0],
        [0.0, 0.62, -0.6],
        [-0.45, 1.04, -0.12],
        [0.45, 1.04, -0.12],
        [0.0, 0.41, -0.35],
    ]
)

#: Distance of the camera that a pose assumes, in inter-ocular distances: about 1.3 metres.
CAMERA_DISTANCE = 20.0
#: Standard error of a landmark that the detector gives, in inter-ocular distances.
LANDMARK_ERROR = 0.03
#: An eye's mask moves its landmark only if it is nearer than this, in distances of the eyes.
MAX_EYE_SHIFT = 0.25
#: Regions smaller than this say nothing about where they are, in squared distances of the eyes.
MIN_REGION = 0.01

MOUTH = ("lower_lip", "mouth_interior", "upper_lip")


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """A face's own axes.

    Attributes:
        origin: (2,) point between the eyes, in pixels of the frame.
        eyes: (2, 2) centres of the right and the left eye, in pixels of the frame.
        scale: inter-ocular distance in pixels, corrected for the pose.
        rotation: (3, 3) from the face's axes to the camera's.
        angles: yaw, pitch, roll in degrees.
        angle_errors: their standard errors.
        scale_error: standard error of the scale.
    """

    origin: Floats
    eyes: Floats
    scale: float
    rotation: Floats
    angles: Floats
    angle_errors: Floats
    scale_error: float

    @property
    def across(self) -> Floats:
        """Unit vector in the picture from the right eye to the left, (2,)."""
        step = self.eyes[1] - self.eyes[0]
        return np.asarray(step / max(float(np.hypot(*step)), 1e-6))

    @property
    def down(self) -> Floats:
        """Unit vector in the picture at right angles to it, towards the chin, (2,)."""
        x, y = self.across
        return np.array([-y, x])

    @property
    def foreshortening(self) -> tuple[float, float]:
        """Lengths in the picture over true lengths, across and down the face."""
        r = self.rotation
        return max(0.2, math.hypot(r[0, 0], r[1, 0])), max(0.2, math.hypot(r[0, 1], r[1, 1]))

    def project(self, points: Floats) -> Floats:
        """Map points of the face (n, 3), in inter-ocular distances, to pixels of the frame."""
        return np.asarray(self.origin + self.scale * points @ self.rotation[:2].T)


def find_axes(landmarks: NDArray[np.float32], regions: RegionMasks) -> Axes | None:
    """Find a face's axes from its landmarks, refined by its masks.

    Args:
        landmarks: (5, 2) x, y of right eye, left eye, nose, right and left mouth corner.
        regions: its regions.

    Returns:
        None if the landmarks are of no face: both eyes in one place.
    """
    points, refined = refine(landmarks.astype(np.float64), regions)
    unit = _eye_distance(points)
    if unit < 2:
        return None
    solved = solve_pose(points, unit, refined)
    if solved is None:
        return None
    rotation, angles, errors = solved
    origin = (points[0] + points[1]) / 2
    shrink = max(0.2, math.hypot(rotation[0, 0], rotation[1, 0]))
    distance = float(np.hypot(*(points[1] - points[0])))
    place = unit * (LANDMARK_ERROR / 3 if refined[:2].all() else LANDMARK_ERROR)
    turn = distance / shrink * math.tan(math.radians(min(80, abs(angles[0]))))
    error = math.hypot(math.sqrt(2) * place / shrink, turn * math.radians(errors[0]))
    scale = distance / shrink
    return Axes(origin, points[:2], scale, rotation, angles, errors, error)


def refine(points: Floats, regions: RegionMasks) -> tuple[Floats, NDArray[np.bool_]]:
    """Move landmarks to where masks show the eyes, the mouth and the nose.

    Returns:
        (6, 2) points as in `HEAD`, and (6,) whether a mask placed each.
    """
    out = np.vstack([points, np.full(2, np.nan)])
    placed = np.zeros(6, np.bool_)
    unit = max(_eye_distance(points), 1.0)
    for i, side in enumerate(("right", "left")):
        centre = _centre(regions, (f"{side}_eye", f"{side}_eyelid"), unit)
        if centre is not None and np.hypot(*(centre - points[i])) < MAX_EYE_SHIFT * unit:
            out[i], placed[i] = centre, True
    across = out[1] - out[0]
    across = across / max(1e-6, float(np.hypot(*across)))
    mouth = _centre(regions, MOUTH, unit)
    if mouth is not None:
        shift = (mouth - (points[3] + points[4]) / 2) @ across
        if abs(shift) < MAX_EYE_SHIFT * unit:
            out[3:5] += shift * across
            placed[3:5] = True
    nose = _centre(regions, ("nose",), unit)
    if nose is not None and np.hypot(*(nose - points[2])) < unit:
        out[5], placed[5] = nose, True
    return out, placed


def solve_pose(
    points: Floats, unit: float, placed: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats] | None:
    """Find a head's rotation with OpenCV's solvePnP.

    The camera looks straight at the face from `CAMERA_DISTANCE`, so the angles are those to the
    line of sight, wherever in the picture the face is.

    Returns:
        (3, 3) rotation; yaw, pitch, roll in degrees; their standard errors. None if it has none.
    """
    known = ~np.isnan(points[:, 0])
    head, seen = HEAD[known], points[known]
    middle = seen.mean(0)
    focal = CAMERA_DISTANCE * unit
    camera: Floats = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    lean = seen[1] - seen[0]
    start = np.array([[0.0], [0.0], [math.atan2(lean[1], lean[0])]])
    there = np.array([[0.0], [-0.5], [CAMERA_DISTANCE]])
    found, *solved = cv2.solvePnP(
        head, seen, camera, None, start, there, True, cv2.SOLVEPNP_ITERATIVE
    )
    turn, shift = (np.asarray(s, np.float64) for s in solved)
    if not found or not np.isfinite(turn).all() or shift[2, 0] <= 1:
        return None
    rotation = _rotation(turn)
    errors = _angle_errors(head, seen, (turn, shift, camera), unit, placed[known])
    return rotation, euler(rotation), errors


def euler(rotation: Floats) -> Floats:
    """Return yaw, pitch, roll in degrees: rotation = Rz(roll) Ry(-yaw) Rx(-pitch).

    x is to the right of the picture, y down, z away from the camera. See docs/measures.md.
    """
    r = rotation
    yaw = -math.asin(max(-1.0, min(1.0, -r[2, 0])))
    pitch = -math.atan2(r[2, 1], r[2, 2])
    roll = math.atan2(r[1, 0], r[0, 0])
    return np.asarray(np.degrees(np.array([yaw, pitch, roll])), np.float64)


def _rotation(turn: Floats) -> Floats:
    """Return the (3, 3) matrix of a rotation vector."""
    return np.asarray(cv2.Rodrigues(turn)[0], np.float64)


def _angle_errors(
    head: Floats,
    seen: Floats,
    pose: tuple[Floats, Floats, Floats],
    unit: float,
    placed: NDArray[np.bool_],
) -> Floats:
    """Propagate the errors of the points, as large as they fit the head, to the angles."""
    turn, shift, camera = pose
    back, jacobian = cv2.projectPoints(head, turn, shift, camera, None)
    rest = float(np.sqrt(np.mean((back[:, 0] - seen) ** 2)))
    sigma = np.hypot(rest, unit * np.where(placed, LANDMARK_ERROR / 2, LANDMARK_ERROR))
    slopes = jacobian[:, :6] / np.repeat(sigma, 2)[:, None]
    spread = np.linalg.pinv(slopes.T @ slopes)[:3, :3]
    base, step = euler(_rotation(turn)), 1e-4
    turned = [euler(_rotation(turn + step * e[:, None])) for e in np.eye(3)]
    change = np.array([(t - base + 180) % 360 - 180 for t in turned]).T / step
    variance: Floats = np.einsum("ij,jk,ik->i", change, spread, change)
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


def _eye_distance(points: Floats) -> float:
    """Return the distance of the eyes, or what it would be from eyes to mouth in a turned face."""
    eyes = float(np.hypot(*(points[1] - points[0])))
    middle = (points[3] + points[4] - points[0] - points[1]) / 2
    return max(eyes, float(np.hypot(*middle)) / 1.3)  # an open mouth is farther from the eyes


def _centre(regions: RegionMasks, names: tuple[str, ...], unit: float) -> Floats | None:
    """Return the centroid of a region in pixels of the frame, or None if it is too small."""
    rows, columns = np.nonzero(regions.mask(*names))
    if len(rows) < max(4.0, MIN_REGION * unit * unit):
        return None
    return np.array([columns.mean() + regions.box.x0, rows.mean() + regions.box.y0])
