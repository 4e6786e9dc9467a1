"""Write a face as JSON values and read it back exactly, given the frame's label map."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from ..types import Box, Detection, Face, Labels, RegionMasks
from .lines import Line

#: In the stored pixels that are hidden: here is what the label map has.
SAME = 255


def save(face: Face, labels: Labels, *, alone: bool) -> Line:
    """Write a face as JSON values, with those of its pixels that the label map does not have.

    Args:
        face: one of a frame.
        labels: that frame's label map.
        alone: whether no other face is in the frame, which could hide it.
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
    if regions is not None:
        saved["crop"] = regions.box
        other = None if alone else labels[regions.box.slices] != regions.labels
        if other is not None and other.any():
            hidden = np.where(other, regions.labels, np.uint8(SAME))
            saved["hidden"] = base64.b64encode(zlib.compress(hidden.tobytes(), 1)).decode()
    return saved


def rebuild(saved: Line, labels: Labels) -> Face:
    """Make the face that `save` wrote, given the frame's label map."""
    marks = None if saved["landmarks"] is None else np.array(saved["landmarks"], np.float32)
    detection = Detection(Box(*saved["box"]), saved["score"], marks, saved["track"])
    return Face(saved["id"], detection, _regions(saved, labels))


def _regions(saved: Line, labels: Labels) -> RegionMasks | None:
    if "crop" not in saved:
        return None
    crop = Box(*saved["crop"])
    own = labels[crop.slices].copy()
    if "hidden" in saved:
        data = zlib.decompress(base64.b64decode(saved["hidden"]))
        hidden = np.frombuffer(data, np.uint8).reshape(own.shape)
        np.copyto(own, hidden, where=hidden != SAME)
    return RegionMasks(crop, own)
