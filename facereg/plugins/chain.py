"""Several detectors as one: what ``-d haar+mtcnn`` builds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checks import check_detections, describe_component
from ..components import Detector
from ..errors import FaceregError, PluginError
from ..types import Detection, Frame
from .suppression import suppress

#: Two boxes that share more than this part of the smaller one are the same face.
MAX_OVERLAP = 0.5


class ChainDetector(Detector):
    """Runs several detectors, and keeps one detection for each face.

    If detections overlap, one with landmarks wins over one without, because it says more; then the
    higher score wins, although scores of different detectors mean different things.

    Args:
        parts: the detectors, in the order in which they run; the chain closes them.
    """

    name = "chain"

    def __init__(self, parts: Sequence[Detector]) -> None:
        self._parts = tuple(parts)
        self.name = "+".join(part.name for part in parts)  # type: ignore[misc]

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Find the faces that at least one of the detectors finds, best first."""
        found = [one for part in self._parts for one in _ask(part, frame)]
        if not found:
            return []
        boxes = np.array([one.box for one in found], np.float32)
        merits = np.array([one.score + (one.landmarks is not None) for one in found], np.float32)
        return [found[i] for i in suppress(boxes, merits, MAX_OVERLAP, per="smaller")]

    def close(self) -> None:
        """Close every detector, even if one of them fails."""
        errors: list[Exception] = []
        for part in self._parts:
            try:
                part.close()
            except Exception as e:  # the others must be closed all the same
                errors.append(e)
        if errors:
            raise errors[0]


def _ask(part: Detector, frame: Frame) -> tuple[Detection, ...]:
    who = describe_component("detector", part)
    try:
        return check_detections(part.detect(frame), frame, who)
    except FaceregError:
        raise
    except Exception as e:  # the chain's own name would not say which detector failed
        raise PluginError(f"{who}, frame {frame.index}: {type(e).__name__}: {e}") from e
