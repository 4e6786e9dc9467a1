"""What a detector, a segmenter and a view must answer, checked on every frame.

The checks cost microseconds. They turn what would become a wrong picture, or a traceback in
somebody else's code, into one line that names the plugin, the frame and the cure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .components import Detector, EndRun, Segmenter
from .errors import FaceregError, PluginError
from .regions import CLASSES
from .types import Box, Detection, Frame, Image, RegionMasks

#: By how much rounding may raise a score above 1.
SCORE_TOLERANCE = 1e-5
#: Maximum number of faces in a frame.
MAX_FACES = 1000
#: Faces that a segmenter is asked to parse at once, so that memory stays bounded.
BATCH_FACES = 64
#: Maximum distance of a box's side from the frame, in pixels.
MAX_OUTSIDE_PIXELS = 100_000
#: Maximum number of a track, as in a map of face ids.
MAX_TRACK = 2**31 - 1
#: Characters of somebody else's error message to show.
MAX_MESSAGE = 500


def describe_component(kind: str, component: object) -> str:
    """Name a component in an error; one that is not facereg's own comes with its file.

    Returns:
        ``detector mtcnn``, or ``detector mine (my_detector.py)``.
    """
    name, module = getattr(component, "name", "?"), type(component).__module__
    file = getattr(sys.modules.get(module), "__file__", None)
    own = module.partition(".")[0] == __name__.partition(".")[0]
    return f"{kind} {name}" if own else f"{kind} {name} ({file or module})"


def detect_faces(
    detector: Detector, frame: Frame, max_faces: int | None = None
) -> tuple[Detection, ...]:
    """Run a detector on a frame and check what it answers.

    Args:
        detector: finds the faces.
        frame: where to find them.
        max_faces: keep only this many, the largest; None keeps all.

    Returns:
        The faces inside the frame; with tracks only if the detector follows faces itself.

    Raises:
        PluginError: it raised something, or its answer is wrong; see `check_detections`; or there
            are more faces than can be handled.
    """
    name = describe_component("detector", detector)
    with wrap_errors(name, frame, PluginError):
        found = largest(check_detections(detector.detect(frame), frame, name), max_faces)
    if len(found) > MAX_FACES:
        raise PluginError(
            f"{name}, frame {frame.index}: found {len(found)} faces, and at most {MAX_FACES} can "
            f"be handled; --max-faces {MAX_FACES} keeps the largest"
        )
    # The numbers of a detector that looks at each frame alone mean nothing in the next.
    return found if detector.tracks else tuple(replace(one, track=None) for one in found)


def segment_faces(
    segmenter: Segmenter, frame: Frame, detections: Sequence[Detection]
) -> tuple[RegionMasks, ...]:
    """Run a segmenter on the faces of a frame and check what it answers.

    Returns:
        The regions of each face, in the same order.

    Raises:
        PluginError: it raised something, or its answer is wrong; see `check_regions`.
    """
    name = describe_component("segmenter", segmenter)
    regions: list[RegionMasks] = []
    for start in range(0, len(detections), BATCH_FACES):
        batch = detections[start : start + BATCH_FACES]
        with wrap_errors(name, frame, PluginError):
            found = segmenter.segment(frame, batch)
            regions += check_regions(found, frame, len(batch), name)
    return tuple(regions)


def largest(detections: Sequence[Detection], count: int | None) -> tuple[Detection, ...]:
    """Keep the largest faces of a frame, at most ``count``; None keeps all.

    >>> faces = [Detection(Box(0, 0, side, side), 0.9) for side in (4, 12, 8)]
    >>> [d.box.width for d in largest(faces, 2)]
    [12, 8]
    """
    if count is None or len(detections) <= count:
        return tuple(detections)
    return tuple(sorted(detections, key=lambda d: (-d.box.area, d.box))[:count])


@contextmanager
def wrap_errors(who: str, frame: Frame | None, kind: type[FaceregError]) -> Iterator[None]:
    """Turn what a component raises into one `FaceregError` that names it and the frame.

    Args:
        who: the component, as `describe_component` names it.
        frame: the frame that it was working on, if any.
        kind: the class of the error. A `FaceregError` or `EndRun` passes as it is.
    """
    try:
        yield
    except (FaceregError, EndRun):
        raise
    except (Exception, SystemExit) as e:
        where = "" if frame is None else f", frame {frame.index}"
        message = " ".join(str(e).split())
        if len(message) > MAX_MESSAGE:
            message = f"{message[: MAX_MESSAGE - 3]}..."
        raise kind(f"{who}{where}: {type(e).__name__}: {message}") from e


def check_detections(found: object, frame: Frame, origin: str) -> tuple[Detection, ...]:
    """Check what a detector answered, and drop faces that lie wholly outside the frame.

    Args:
        found: the answer of `facereg.Detector.detect`.
        frame: what it was asked about.
        origin: who answered, as ``detector NAME``.

    Returns:
        The same detections; boxes and scores as plain ``int`` and ``float``.

    Raises:
        PluginError: no sequence of `facereg.Detection`; a box that is empty, inverted, far outside
            the frame or not of whole numbers; a score that is NaN or not 0 to 1; landmarks that are
            not (5, 2) float32 or not finite.
    """
    who = f"{origin}, frame {frame.index}"
    items = enumerate(_items(found, who))
    checked = (_detection(one, frame, f"{who}, face {i}") for i, one in items)
    return tuple(d for d in checked if d.box.clip(frame.width, frame.height).area)


def check_regions(found: object, frame: Frame, count: int, origin: str) -> tuple[RegionMasks, ...]:
    """Check what a segmenter answered.

    Args:
        found: the answer of `facereg.Segmenter.segment`.
        frame: what it was asked about.
        count: how many faces it was asked for.
        origin: who answered, as ``segmenter NAME``.

    Raises:
        PluginError: not ``count`` times `facereg.RegionMasks`; a box that is not inside the frame;
            labels that are not (h, w) uint8 of the box's size, or not ids of classes.
    """
    who = f"{origin}, frame {frame.index}"
    items = _items(found, who)
    if len(items) != count:
        raise PluginError(f"{who}: answered {len(items)} regions for {count} faces; one each")
    return tuple(_regions(one, frame, f"{who}, face {i}") for i, one in enumerate(items))


def check_picture(picture: object, frame: Frame, origin: str) -> Image:
    """Check what a view drew; a read-only picture, such as the frame's own, is copied.

    Args:
        picture: the answer of a view.
        frame: whose result was drawn.
        origin: who drew it, as ``view NAME``.

    Raises:
        PluginError: not (h, w, 3) uint8, or empty.
    """
    if (
        not isinstance(picture, np.ndarray)
        or picture.dtype != np.uint8
        or picture.ndim != 3
        or picture.shape[2] != 3
        or not picture.size
    ):
        raise PluginError(
            f"{origin}, frame {frame.index}: drew {_kind(picture)}, not (h, w, 3) uint8"
        )
    return picture if picture.flags.writeable else picture.copy()


def _items(found: object, who: str) -> Sequence[object]:
    if not isinstance(found, Sequence) or isinstance(found, (str, bytes)):
        raise PluginError(f"{who}: answered {_kind(found)}, not a list or tuple")
    return found


def _detection(one: object, frame: Frame, who: str) -> Detection:
    if not isinstance(one, Detection):
        raise PluginError(f"{who}: {_kind(one)} is not a facereg.Detection")
    box = _box(one.box, who)
    if not box.area:
        raise PluginError(
            f"{who}: the box {tuple(box)} is empty or inverted; it is x0, y0, x1, y1 with "
            f"x0 < x1 and y0 < y1"
        )
    _check_distance(box, frame, who)
    if one.track is not None and not (isinstance(one.track, int) and 0 <= one.track <= MAX_TRACK):
        raise PluginError(
            f"{who}: track is {one.track!r:.40}, not None or a whole number from 0 to {MAX_TRACK}"
        )
    _check_landmarks(one.landmarks, who)
    score = _score(one.score, who)
    plain = type(one.score) is float and all(type(side) is int for side in one.box)
    unchanged = plain and isinstance(one.box, Box) and score == one.score
    return one if unchanged else replace(one, box=box, score=score)


def _box(box: object, who: str) -> Box:
    sides = box if isinstance(box, tuple) else ()
    if len(sides) == 4 and all(isinstance(side, (int, np.integer)) for side in sides):
        return Box(*map(int, sides))
    raise PluginError(
        f"{who}: the box {box!r} is not four whole numbers; make it with "
        f"facereg.Box(int(x0), int(y0), int(x1), int(y1))"
    )


def _check_distance(box: Box, frame: Frame, who: str) -> None:
    limit = max(frame.width, frame.height) + MAX_OUTSIDE_PIXELS
    if min(box) < -MAX_OUTSIDE_PIXELS or max(box) > limit:
        raise PluginError(
            f"{who}: the box {tuple(box)!s:.120} reaches more than {MAX_OUTSIDE_PIXELS} pixels "
            f"beyond the frame of {frame.width}x{frame.height}"
        )


def _score(score: object, who: str) -> float:
    if not isinstance(score, (int, float, np.integer, np.floating)):
        raise PluginError(f"{who}: the score is {_kind(score)}, not a number")
    value = float(score)
    if not -SCORE_TOLERANCE <= value <= 1 + SCORE_TOLERANCE:
        raise PluginError(f"{who}: the score is {value:g}; it must be from 0 to 1")
    return min(max(value, 0.0), 1.0)


def _check_landmarks(landmarks: NDArray[np.float32] | None, who: str) -> None:
    if landmarks is None:
        return
    if (
        not isinstance(landmarks, np.ndarray)
        or landmarks.shape != (5, 2)
        or landmarks.dtype != np.float32
    ):
        raise PluginError(f"{who}: landmarks are {_kind(landmarks)}, not (5, 2) float32")
    if not np.isfinite(landmarks).all():
        raise PluginError(f"{who}: landmarks are not finite; give None where there are none")


def _regions(one: object, frame: Frame, who: str) -> RegionMasks:
    if not isinstance(one, RegionMasks):
        raise PluginError(f"{who}: {_kind(one)} is not a facereg.RegionMasks")
    box, labels = _box(one.box, who), one.labels
    if box.clip(frame.width, frame.height) != box:
        raise PluginError(
            f"{who}: the regions' box {tuple(box)} reaches out of the frame of "
            f"{frame.width}x{frame.height}; clip it and its labels"
        )
    shape = (box.height, box.width)
    if not isinstance(labels, np.ndarray) or labels.dtype != np.uint8 or labels.shape != shape:
        raise PluginError(f"{who}: labels are {_kind(labels)}, not {shape} uint8 as their box")
    if labels.size and labels.max() >= len(CLASSES):
        raise PluginError(
            f"{who}: labels hold {labels.max()}; the ids of classes are 0 to {len(CLASSES) - 1}"
        )
    return replace(one, box=box)


def _kind(value: object) -> str:
    """Describe a value that is not what it should be: shape and dtype of an array, else type."""
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} {value.dtype}"
    return "None" if value is None else f"{type(value).__name__} {value!r:.40}"
