"""Write a face as JSON values and read it back exactly, given the frame's label map."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from ..types import Box, Detection, Face, Labels, RegionMasks
from .lines import Line

#: Value of a stored pixel that is as in the frame's label map.
AS_IN_LABEL_MAP = 255


def save(face: Face, labels: Labels, *, alone: bool) -> Line:
    """Return a face as JSON values, with those of its pixels that the label map does not have.

    Args:
        face: one of a frame.
        labels: that frame's label map.
        alone: whether it is the frame's only face, so that no other one hides it.
    """
    detection, regions = face.detection, face.regions
    marks = detection.landmarks
    saved: Line = {
        "id": face.id,
        "box": detection.box,
        "score": detection.score,
        "landmarks": None if marks is None else marks.tolist(),
        "track": detection.track,
    }
    if (errors := face.known_errors()) is not None:
        saved["errors"] = dict(errors)
    if regions is not None:
        saved["crop"] = regions.box
        other = None if alone else labels[regions.box.slices] != regions.labels
        if other is not None and other.any():
            hidden = np.where(other, regions.labels, np.uint8(AS_IN_LABEL_MAP))
            saved["hidden"] = base64.b64encode(zlib.compress(hidden.tobytes(), 1)).decode()
    return saved


def rebuild(saved: Line, labels: Labels) -> Face:
    """Return the face that `save` was given, from the frame's label map."""
    marks = None if saved["landmarks"] is None else np.array(saved["landmarks"], np.float32)
    detection = Detection(Box(*saved["box"]), saved["score"], marks, saved["track"])
    face = Face(saved["id"], detection, _regions(saved, labels))
    return face.with_errors(saved["errors"]) if "errors" in saved else face


def _regions(saved: Line, labels: Labels) -> RegionMasks | None:
    if "crop" not in saved:
        return None
    crop = Box(*saved["crop"])
    own = labels[crop.slices].copy()
    if "hidden" in saved:
        data = zlib.decompressobj().decompress(base64.b64decode(saved["hidden"]), own.size)
        hidden = np.frombuffer(data, np.uint8).reshape(own.shape)
        np.copyto(own, hidden, where=hidden != AS_IN_LABEL_MAP)
    return RegionMasks(crop, own)
