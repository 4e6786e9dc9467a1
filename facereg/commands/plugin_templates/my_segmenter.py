"""A segmenter for facereg: change `segment`, keep the rest."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

import facereg
from facereg.regions import IDS

api_version = 1


#: Centres of the parts of a face, as shares of its box.
EYES, NOSE, MOUTH = ((0.3, 0.4), (0.7, 0.4)), (0.5, 0.6), (0.5, 0.78)


class MySegmenter(facereg.Segmenter):
    """Draws the same simple face into every box; replace this by your model.

    Options:
        fill: size of the skin, as a share of the box's sides.
    """

    name = "my-segmenter"

    def __init__(self, *, fill: float = 0.9) -> None:
        # Load a model here: this runs once, before the source is opened.
        if not 0 < fill <= 1:
            raise facereg.UsageError(f"segmenter my-segmenter: fill={fill}: must be from 0 to 1")
        self._fill = fill

    def segment(
        self, frame: facereg.Frame, detections: Sequence[facereg.Detection]
    ) -> Sequence[facereg.RegionMasks]:
        """Parse all faces of a frame; answer in the same order.

        A face's labels are uint8 class ids at frame resolution, and its box is inside the frame.
        """
        found = []
        for whole in (detection.box for detection in detections):
            labels = self._face(whole.width, whole.height)
            box = whole.clip(frame.width, frame.height)
            rows = slice(box.y0 - whole.y0, box.y1 - whole.y0)
            columns = slice(box.x0 - whole.x0, box.x1 - whole.x0)
            found.append(facereg.RegionMasks(box, labels[rows, columns]))
        return found

    def _face(self, width: int, height: int) -> np.ndarray:
        labels = np.zeros((height, width), np.uint8)

        def draw(part: str, place: tuple[float, float], across: float, down: float) -> None:
            middle = (round(place[0] * width), round(place[1] * height))
            axes = (round(across / 2 * width), round(down / 2 * height))
            cv2.ellipse(labels, middle, axes, 0, 0, 360, IDS[part], cv2.FILLED)

        draw("skin", (0.5, 0.5), self._fill, self._fill)
        draw("right_eye", EYES[0], 0.16, 0.07)  # the person's right, the picture's left
        draw("left_eye", EYES[1], 0.16, 0.07)
        draw("nose", NOSE, 0.16, 0.2)
        draw("lower_lip", MOUTH, 0.35, 0.1)
        return labels


@facereg.hookimpl
def register_segmenters() -> list[type[facereg.Segmenter]]:
    """Name the segmenter to facereg."""
    return [MySegmenter]
