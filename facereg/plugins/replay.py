"""Play a mask dump: its faces as a detector, its regions as a segmenter, without any model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..components import Detector, Segmenter
from ..errors import SinkError, SourceError, UnparsedFrameError
from ..hookspecs import hookimpl
from ..masks.dump import MaskDump
from ..masks.lines import Line
from ..output import FolderLock
from ..types import Box, Detection, Frame, Labels, RegionMasks


class ReplayDetector(Detector):
    """Finds the faces that a dump has for each frame: ``-d replay:MASKDIR``.

    Each detection's ``track`` is the face's id in the dump.
    """

    name = "replay"

    #: The ids are known: no tracker is needed, and none may move the boxes.
    tracks: ClassVar[bool] = True

    def __init__(self, *, path: Path) -> None:
        """Open a dump.

        Raises:
            SourceError: it is none, it is damaged, or a run is writing it.
        """
        self._dump, self._lock = _open(path)

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Look up a frame's faces.

        Raises:
            SourceError: the dump has no such frame.
            UnparsedFrameError: the run that made the dump could not parse it.
        """
        line = _line(self._dump, frame)
        if not line.get("parsed", True):
            raise UnparsedFrameError(f"{self._dump.path}: frame {frame.index} was not parsed")
        return [
            Detection(Box(*face["box"]), float(face["score"]), _landmarks(face), face["id"])
            for face in line["faces"]
        ]

    def close(self) -> None:
        self._dump.close()
        self._lock.release()


class ReplaySegmenter(Segmenter):
    """Returns the regions that a dump has for each frame: ``-s replay:MASKDIR``.

    The label map of the whole frame comes out as it is in the dump. The face that a pixel belongs
    to is known in a dump with ``instances=yes``, and estimated from the boxes in any other.
    """

    name = "replay"

    def __init__(self, *, path: Path) -> None:
        """Open a dump.

        Raises:
            SourceError: it is none, it is damaged, or a run is writing it.
        """
        self._dump, self._lock = _open(path)

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        """Look up a frame's regions.

        Raises:
            SourceError: the dump has no such frame, or its map has another size or is damaged.
        """
        faces = _line(self._dump, frame)["faces"]
        labels = self._dump[frame.index]
        if labels.shape != frame.image.shape[:2]:
            raise SourceError(
                f"{self._dump.path} was made from frames of {labels.shape[1]}x{labels.shape[0]}, "
                f"and frame {frame.index} is {frame.width}x{frame.height}: another source?"
            )
        owners = self._find_owners(frame.index, labels, faces) if len(faces) > 1 else None
        return [_cut(labels, owners, faces, self._match(frame, d, faces)) for d in detections]

    def describe(self) -> dict[str, str]:
        """Name the model that the dump was made with."""
        model = self._dump.manifest.get("model")
        return {str(k): str(v) for k, v in model.items()} if isinstance(model, dict) else {}

    def close(self) -> None:
        self._dump.close()
        self._lock.release()

    def _match(self, frame: Frame, detection: Detection, faces: list[Line]) -> int:
        """Return the position of a detection's face in the frame's line."""
        overlaps = [detection.box.iou(Box(*face["box"])) for face in faces]
        if not any(overlaps):
            raise SourceError(
                f"{self._dump.path} has no face at {tuple(detection.box)} in frame {frame.index}: "
                f"detect with -d replay:{self._dump.path}, too"
            )
        return overlaps.index(max(overlaps))

    def _find_owners(self, index: int, labels: Labels, faces: list[Line]) -> NDArray[np.int32]:
        """Return the position of each pixel's face in the frame's line, (H, W); -1 for none."""
        owners = np.full(labels.shape, -1, np.int32)
        if self._dump.manifest.get("instances"):
            ids = self._dump.instances(index)
            for i, face in enumerate(faces):
                owners[ids == face["id"]] = i
            return owners
        nearest = np.full(labels.shape, np.inf, np.float32)
        for i, face in enumerate(faces):
            part, distance = nearest[_crop(face).slices], _distances(face)
            nearer = distance < part
            owners[_crop(face).slices][nearer] = i
            np.minimum(part, distance, out=part)
        return owners


def _open(path: Path) -> tuple[MaskDump, FolderLock]:
    """Open a dump, and keep it from being written: this very run must not replace it."""
    dump = MaskDump(path)
    try:
        return dump, FolderLock(path, "read")
    except SinkError as e:
        raise SourceError(str(e)) from e


def _distances(face: Line) -> NDArray[np.float32]:
    """Return how many times a face's box must grow to reach each pixel of its crop, (h, w)."""
    box, crop = Box(*face["box"]), _crop(face)
    across = np.abs(np.arange(crop.x0, crop.x1) - (box.x0 + box.x1) / 2) / max(1, box.width)
    down = np.abs(np.arange(crop.y0, crop.y1) - (box.y0 + box.y1) / 2) / max(1, box.height)
    distances: NDArray[np.float32]
    distances = np.maximum(across.astype(np.float32)[None], down.astype(np.float32)[:, None])
    return distances


def _crop(face: Line) -> Box:
    """Return the part of the frame that a face's regions are in; empty if it was not parsed."""
    return Box(*face.get("crop", (0, 0, 0, 0)))


def _landmarks(face: Line) -> NDArray[np.float32] | None:
    """Return a face's landmarks, (5, 2); None if its dump has none."""
    points = face.get("landmarks")
    return None if points is None else np.array(points, np.float32)


def _line(dump: MaskDump, frame: Frame) -> Line:
    try:
        return dump.line(frame.index)
    except IndexError as e:
        raise SourceError(f"{e}: it was made from another part of the source, or another") from None


def _cut(
    labels: Labels, owners: NDArray[np.int32] | None, faces: list[Line], position: int
) -> RegionMasks:
    """Cut one face's regions out of the frame's map; without owners, all pixels are its own."""
    crop = _crop(faces[position])
    own = labels[crop.slices]
    if owners is not None:
        own = np.where(owners[crop.slices] == position, own, np.uint8(0))
    return RegionMasks(crop, np.ascontiguousarray(own))


@hookimpl
def register_detectors() -> tuple[type[Detector], ...]:
    """Register the detector."""
    return (ReplayDetector,)


@hookimpl
def register_segmenters() -> tuple[type[Segmenter], ...]:
    """Register the segmenter."""
    return (ReplaySegmenter,)
