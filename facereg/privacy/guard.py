"""The guard: searches frames for faces only to hide them, more eagerly than the run's detector.

What it finds is in no statistics and in no mask, so it may be wrong more often: a false face costs
a blurred wall, a missed one costs everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checks import check_detections, describe_component
from ..components import Detector
from ..errors import FaceregError, PluginError
from ..types import Box, Detection, Frame, Image
from .place import Place

#: The detector of whole frames: a border completes faces that are half out of the frame.
WHOLE_DETECTOR = "mtcnn:border=0.2,score=0.6,min_face=24"
#: The detector that searches for a known face where it must be, and may be less sure.
NEAR_DETECTOR = "mtcnn:score=0.4,min_face=30"

#: Width of the crop in which a known face is searched for, in the face's own sides, and in pixels.
NEAR_SIDES, NEAR_PIXELS = 2.6, 120
#: Degrees by which such a crop is turned besides the face's last lean.
NEAR_TURNS = (0.0, 40.0, -40.0)
#: Maximum distance of a face from where it was expected, in its sides, and ratio of its sizes.
NEAR_DISTANCE, NEAR_RATIO = 0.5, 1.6
#: Minimum score of a face that leans otherwise than it did.
TURNED_SCORE = 0.7
#: Degrees of lean from which a box around an upright face does not fit.
LEANS = 20.0


@dataclass(frozen=True, slots=True)
class Sight:
    """A face that the guard found in a frame.

    Attributes:
        place: where it is.
        score: confidence, 0 to 1.
        lean: degrees by which it leans, clockwise.
    """

    place: Place
    score: float
    lean: float = 0.0


class Guard:
    """Owns two detectors: one for whole frames, one for the neighbourhood of a known face.

    Args:
        whole: searches whole frames.
        near: searches crops of `NEAR_PIXELS`; the face is about 46 pixels wide there.
    """

    def __init__(self, whole: Detector, near: Detector) -> None:
        self._whole, self._near = whole, near

    def look(self, frame: Frame, quarter_turns: int = 0) -> list[Sight]:
        """Search a whole frame, turned counterclockwise by quarters.

        Raises:
            PluginError: the detector failed.
        """
        if not quarter_turns:
            return [_sight(one, 0.0) for one in _ask(self._whole, frame)]
        image = np.ascontiguousarray(np.rot90(frame.image, quarter_turns))
        turned = replace(frame, image=image)
        found = []
        for one in _ask(self._whole, turned):
            sight = _sight(one, 0.0)
            x, y, w, h = sight.place
            width, height = image.shape[1], image.shape[0]
            for _ in range(quarter_turns % 4):  # turned back clockwise, step by step
                x, y, w, h, width, height = height - y, x, h, w, height, width
            found.append(Sight(Place(x, y, w, h), sight.score, sight.lean + 90 * quarter_turns))
        return found

    def look_near(self, frame: Frame, expected: Place, lean: float) -> Sight | None:
        """Search for one face where it is expected, turned upright.

        Args:
            frame: the frame.
            expected: where the face should be.
            lean: degrees by which it leaned when it was last seen, clockwise.

        Raises:
            PluginError: the detector failed.
        """
        for turn in NEAR_TURNS:
            found = self._look_turned(frame, expected, lean + turn)
            if found is not None and (not turn or found.score >= TURNED_SCORE):
                return found
        return None

    def _look_turned(self, frame: Frame, expected: Place, angle: float) -> Sight | None:
        side = max(expected.width, expected.height)
        zoom = NEAR_PIXELS / (NEAR_SIDES * max(8.0, side))
        centre = (expected.x, expected.y)
        matrix = np.asarray(cv2.getRotationMatrix2D(centre, angle, zoom), np.float64)
        matrix[:, 2] += NEAR_PIXELS / 2 - np.array([expected.x, expected.y])
        how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        crop = _warped(frame.image, matrix, how)
        found = _ask(self._near, replace(frame, image=crop))
        back = cv2.invertAffineTransform(matrix)
        best: tuple[float, Sight] | None = None
        for one in found:
            sight = _sight(one, 0.0)
            x, y = back @ np.array([sight.place.x, sight.place.y, 1.0])
            w, h = sight.place.width / zoom, sight.place.height / zoom
            if abs(angle) > LEANS:
                w = h = max(w, h)
            place = Place(float(x), float(y), w, h)
            if place.distance(expected) > NEAR_DISTANCE or place.ratio(expected) > NEAR_RATIO:
                continue
            merit = one.score - place.distance(expected)
            if best is None or merit > best[0]:
                best = merit, Sight(place, one.score, sight.lean + angle)
        return None if best is None else best[1]

    def close(self) -> None:
        """Close both detectors."""
        try:
            self._whole.close()
        finally:
            self._near.close()


def _warped(image: Image, matrix: NDArray[np.float64], how: int) -> Image:
    """Cut a turned crop out of a frame; what is beyond its edge is mirrored."""
    size = (NEAR_PIXELS, NEAR_PIXELS)
    if how == cv2.INTER_AREA:  # shrink first what sampling would skip
        zoom = math.hypot(matrix[0, 0], matrix[0, 1])
        back = cv2.invertAffineTransform(matrix)
        corners = np.array([[0, 0, 1], [size[0], 0, 1], [0, size[1], 1], [*size, 1]]) @ back.T
        low, high = corners.min(0), corners.max(0)
        box = Box(*(int(v) for v in (*np.floor(low), *np.ceil(high)))).grown(2)
        inside = box.clip(image.shape[1], image.shape[0])
        if zoom < 0.6 and inside.area:
            small = max(2 * zoom, 0.05)
            part = image[inside.slices]
            shrunk = (
                max(1, round(inside.width * small)),
                max(1, round(inside.height * small)),
            )
            part = np.asarray(cv2.resize(part, shrunk, interpolation=cv2.INTER_AREA), np.uint8)
            sx, sy = shrunk[0] / inside.width, shrunk[1] / inside.height
            fitted = matrix.copy()
            fitted[:, 2] += matrix[:, :2] @ np.array([inside.x0, inside.y0])
            fitted[:, :2] = matrix[:, :2] / np.array([sx, sy])
            image, matrix = part, fitted
    picture = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(picture, np.uint8)


def _sight(one: Detection, lean: float) -> Sight:
    marks = one.landmarks
    if marks is not None:
        across, down = (float(v) for v in marks[1] - marks[0])
        lean = math.degrees(math.atan2(down, across))
    return Sight(Place.of(one.box), one.score, lean)


def _ask(detector: Detector, frame: Frame) -> Sequence[Detection]:
    who = describe_component("guard", detector)
    try:
        return check_detections(detector.detect(frame), frame, who)
    except FaceregError:
        raise
    except Exception as e:
        raise PluginError(f"{who}, frame {frame.index}: {type(e).__name__}: {e}") from e
