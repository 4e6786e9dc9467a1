"""Searches a redacted video for faces that can still be seen.

Every frame is searched by several detectors. What they find is *left* if it can be recognised: a
pixelated face still makes detectors answer, so each find is checked for detail that hiding removes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checks import check_detections, describe_component, wrap_errors
from ..components import Detector
from ..errors import PluginError
from ..types import Box, Frame, Image
from ..workers import Workers

#: Two boxes that overlap more than this (intersection over union) are the same face.
SAME_FACE_IOU = 0.25
#: Seconds without a find after which a span of time ends.
MAX_GAP_SECONDS = 0.5
#: Minimum detail of a face that can be seen. Measured on 69 finds of faces in eleven clips: 5.4 and
#: more; on 102 finds of hidden ones with a sure score: 3.4 and less.
MIN_DETAIL = 4.3
#: Width in pixels to which a face is shrunk before its detail is measured.
DETAIL_WIDTH = 64
#: Maximum change of a face that was not hidden, as a share of its contrast: what coding changes.
MAX_UNHIDDEN_CHANGE = 0.3
#: Levels, 0 to 255, by which a pixel must change to count as changed.
CHANGED_LEVELS = 12


@dataclass(frozen=True)
class Search:
    """One way to search a frame.

    Attributes:
        name: what to call it in a report.
        detector: what finds faces.
        sure_score: score from which a find counts by itself; a weaker one needs another detector
            that finds the same face.
        quarter_turns: how often the frame is turned by 90 degrees, counterclockwise, before.
        zoom: how many times the frame is enlarged before.
        max_side: longest side in pixels of an enlarged frame; a larger frame is left as it is.
    """

    name: str
    detector: Detector
    sure_score: float
    quarter_turns: int = 0
    zoom: int = 1
    max_side: int = 1920

    def find(self, frame: Frame) -> list[Find]:
        """Find the faces of a frame.

        Raises:
            PluginError: the detector failed.
        """
        image = np.rot90(frame.image, self.quarter_turns)
        zoom = self.zoom if self.zoom * max(image.shape[:2]) <= self.max_side else 1
        if zoom > 1:
            image = np.asarray(cv2.resize(image, None, fx=zoom, fy=zoom), np.uint8)
        turned = replace(frame, image=np.ascontiguousarray(image))
        who = describe_component("detector", self.detector)
        with wrap_errors(who, frame, PluginError):
            found = check_detections(self.detector.detect(turned), turned, who)
        return [
            Find(self._back(d.box, turned, zoom), d.score, self.name, self.sure_score)
            for d in found
        ]

    def _back(self, box: Box, turned: Frame, zoom: int) -> Box:
        """Turn a box of the searched picture into one of the frame."""
        width, height = turned.width, turned.height
        for _ in range(self.quarter_turns % 4):  # turned back clockwise, step by step
            box = Box(height - box.y1, box.x0, height - box.y0, box.x1)
            width, height = height, width
        return Box(*(side // zoom for side in box))


@dataclass(frozen=True)
class Find:
    """A box that one search found in one frame."""

    box: Box
    score: float
    search: str
    sure_score: float


@dataclass(frozen=True)
class Left:
    """A face of one frame that can still be seen.

    Attributes:
        index, time: of the frame.
        box: where it is.
        score: the highest of any search.
        searches: names of the searches that found it.
        detail: how much detail it has; a hidden face has less than `MIN_DETAIL`.
    """

    index: int
    time: float
    box: Box
    score: float
    searches: tuple[str, ...]
    detail: float


@dataclass
class Span:
    """A stretch of time in which one face can be seen.

    Attributes:
        faces: one for each frame.
    """

    faces: list[Left] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Describe it in plain values."""
        best = max(self.faces, key=lambda face: face.score)
        return {
            "start": round(self.faces[0].time, 3),
            "end": round(self.faces[-1].time, 3),
            "first_frame": self.faces[0].index,
            "frames": len(self.faces),
            "box": list(best.box),
            "frame_of_box": best.index,
            "score": round(best.score, 3),
            "found_by": sorted({name for face in self.faces for name in face.searches}),
        }


@dataclass
class Result:
    """What a verification found.

    Attributes:
        frames: how many were searched.
        faces: one face of one frame each, in order.
        hidden: finds that cannot be recognised: faces that were hidden.
        weak: finds of a low score by one detector alone; these are mostly no faces.
        changed: share of the original's pixels that were changed; None without an original.
    """

    frames: int = 0
    faces: list[Left] = field(default_factory=list)
    hidden: int = 0
    weak: int = 0
    changed: float | None = None

    def spans(self) -> list[Span]:
        """Gather the faces into stretches of time, in order."""
        spans: list[Span] = []
        for face in self.faces:
            for span in reversed(spans):
                last = span.faces[-1]
                near = last.box.grown(last.box.width // 2).iou(face.box) > 0
                if last.index != face.index and near and face.time - last.time <= MAX_GAP_SECONDS:
                    span.faces.append(face)
                    break
            else:
                spans.append(Span([face]))
        return spans


def verify(
    frames: Iterable[Frame],
    searches: Sequence[Search],
    originals: Iterable[Frame] | None = None,
    each: Callable[[Frame, Sequence[Left]], None] = lambda _frame, _faces: None,
) -> Result:
    """Search every frame of a redacted video for faces that can still be seen.

    Args:
        frames: the redacted video's.
        searches: the ways to search. Those of one detector run one after the other, those of
            different detectors in parallel.
        originals: the frames of the video before redaction, if it is there: a face that differs
            from the original's is hidden, one that does not is not.
        each: called after each frame with the faces that are left in it.

    Raises:
        PluginError: a detector failed.
        SourceError: a video cannot be read.
    """
    result, workers = Result(), Workers()
    by_detector: dict[int, list[Search]] = {}
    for search in searches:
        by_detector.setdefault(id(search.detector), []).append(search)
    groups = list(by_detector.values())
    shares: list[float] = []
    try:
        for frame, original in _paired(frames, originals):
            found = workers.map(lambda group, f=frame: [s.find(f) for s in group], groups)
            finds = [find for group in found for part in group for find in part]
            faces = _judge(frame, finds, original, result)
            result.frames += 1
            result.faces += faces
            if original is not None:
                shares.append(_changed_share(frame.image, original.image))
            each(frame, faces)
    finally:
        workers.close()
    result.changed = float(np.mean(shares)) if shares else None
    return result


def _paired(
    frames: Iterable[Frame], originals: Iterable[Frame] | None
) -> Iterator[tuple[Frame, Frame | None]]:
    """Yield each frame with the original's frame that is shown at its time and has its size."""
    before = iter(()) if originals is None else iter(originals)
    now, later = next(before, None), next(before, None)
    for frame in frames:
        while later is not None and abs(later.time - frame.time) <= abs(_time(now) - frame.time):
            now, later = later, next(before, None)
        same_size = now is not None and now.image.shape == frame.image.shape
        yield frame, now if same_size else None


def _time(frame: Frame | None) -> float:
    return -np.inf if frame is None else frame.time


def _judge(
    frame: Frame, finds: Sequence[Find], original: Frame | None, result: Result
) -> list[Left]:
    """Decide which finds are faces that can be seen; count the others."""
    left = []
    for group in _grouped(finds):
        best = max(group, key=lambda find: find.score)
        detectors = {find.search.partition(" ")[0] for find in group}
        if len(detectors) == 1 and not any(find.score >= find.sure_score for find in group):
            result.weak += 1
            continue
        detail = max(measure_detail(frame.image, find.box) for find in group)
        unchanged = original is not None and any(
            _change(frame.image, original.image, find.box) <= MAX_UNHIDDEN_CHANGE for find in group
        )
        if detail < MIN_DETAIL and not unchanged:
            result.hidden += 1
            continue
        names = tuple(sorted({find.search for find in group}))
        left.append(Left(frame.index, frame.time, best.box, best.score, names, round(detail, 2)))
    return left


def _grouped(finds: Sequence[Find]) -> list[list[Find]]:
    """Put finds of the same face together, the surest first."""
    groups: list[list[Find]] = []
    for find in sorted(finds, key=lambda find: find.sure_score - find.score):
        for group in groups:
            if group[0].box.iou(find.box) > SAME_FACE_IOU:
                group.append(find)
                break
        else:
            groups.append([find])
    return groups


def measure_detail(image: Image, box: Box) -> float:
    """Measure how much detail the middle of a face has, in changes of its contrast per width.

    Blurring leaves slow changes alone, and squares leave changes that are upright or level, so what
    counts is the change of brightness in the direction in which it is smaller.

    Args:
        image: (H, W, 3) uint8 BGR.
        box: the face.
    """
    middle = Box(
        box.x0 + box.width // 4,
        box.y0 + box.height // 4,
        box.x1 - box.width // 4,
        box.y1 - box.height // 5,
    ).clip(image.shape[1], image.shape[0])
    if min(middle.width, middle.height) < 3:
        return 0.0
    gray = np.asarray(cv2.cvtColor(image[middle.slices], cv2.COLOR_BGR2GRAY), np.float32)
    zoom = min(1.0, DETAIL_WIDTH / box.width)
    if zoom < 1:
        size = tuple(max(1, round(side * zoom)) for side in (middle.width, middle.height))
        gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.float32)
    across, down = (
        np.abs(np.asarray(cv2.Sobel(gray, cv2.CV_32F, *way))) / 8 for way in ((1, 0), (0, 1))
    )
    change = float(np.percentile(np.minimum(across, down), 75))
    return change * box.width * zoom / max(4.0, float(gray.std()))


def _change(image: Image, original: Image, box: Box) -> float:
    """Measure how much the middle of a face changed, as a share of its contrast."""
    middle = box.grown(-(box.width // 5)).clip(image.shape[1], image.shape[0])
    if not middle.area:
        return 0.0
    now, before = (
        np.asarray(cv2.cvtColor(picture[middle.slices], cv2.COLOR_BGR2GRAY), np.float32)
        for picture in (image, original)
    )
    return float(np.abs(now - before).mean()) / max(4.0, float(before.std()))


def _changed_share(image: Image, original: Image) -> float:
    change: NDArray[np.uint8] = np.asarray(cv2.absdiff(image, original), np.uint8)
    return float((change.max(axis=2) > CHANGED_LEVELS).mean())
