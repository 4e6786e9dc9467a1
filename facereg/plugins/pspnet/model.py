"""A model with a card, trained by `facereg train`: shipped, or the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ...models import Model
from ...types import Box, Detection, Frame, Image, Labels, RegionMasks
from ...workers import Workers
from .crops import (
    Matrix,
    argmax_resized,
    brighten,
    close_holes,
    cut,
    paste_labels,
    preprocess_crop,
    preprocess_matrix,
    remove_overlaps,
)
from .engines import Compute, Logits, build_engine
from .framing import Framing
from .smoothing import Motion, Smoother
from .soft import SoftRegions
from .tta import merge_logits, zoomed_mirror


class TrainedModel:
    """Parses levelled crops, all faces of a frame in one batch.

    Args:
        model: the weight file and its card.
        size: side of the crop in pixels, 0 for the card's.
        scale: side of the crop over the mean side of the face's box, 0 for the card's.
        compute: what computes, how precisely, and where.
        tta: whether each face is parsed a second time, closer: "on", "off", or "auto" if nobody
            follows it from frame to frame.
        smooth: whether each track's logits are blended from frame to frame.
    """

    def __init__(
        self,
        model: Model,
        size: int,
        scale: float,
        compute: Compute,
        *,
        tta: Literal["auto", "on", "off"] = "auto",
        smooth: bool = True,
    ) -> None:
        self._smoother = Smoother() if smooth else None
        self._tta = tta
        self._model = model
        self._size = size or int(model.card["input_size"])
        self._framing = Framing(scale or float(model.card["crop_scale"]), self._size)
        self._workers = Workers(compute.threads)
        self._engine = build_engine(model, self._size, compute, self._workers)

    def describe(self) -> dict[str, str]:
        """Name the model, its checksum, and what computes it."""
        return {
            "name": self._model.name,
            "sha256": self._model.sha256,
            "engine": self._engine.name,
        }

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> list[RegionMasks]:
        """Parse every face of a frame."""
        matrices = [self._framing.matrix(detection) for detection in detections]
        tracks, shape = [d.track for d in detections], (frame.height, frame.width)
        crops = self._workers.map(lambda matrix: cut(frame.image, matrix, self._size), matrices)
        looks = self._workers.start(self._look, tracks, crops)
        logits = list(self._engine.logits(np.stack(self._workers.map(brighten, crops))))
        for i, detection in enumerate(detections):
            if (matrix := self._framing.reframed(detection, logits[i])) is not None:
                matrices[i], crops[i] = matrix, cut(frame.image, matrix, self._size)
                logits[i] = self._engine.logits(brighten(crops[i])[None])[0]
        if self._looks_twice(tracks):
            logits = self._refined(logits, frame.image, matrices)
        motions = [look.result() for look in looks]
        steady = self._workers.map(self._steadied, tracks, crops, motions, logits)
        self._workers.map(self._framing.learn, tracks, steady)
        closed = self._workers.map(close_holes, steady)
        pasted = self._workers.map(
            lambda logits, matrix: paste_labels(logits, matrix, self._size, shape), closed, matrices
        )
        boxes, maps = [box for box, _ in pasted], [labels for _, labels in pasted]
        remove_overlaps(detections, boxes, maps)
        return [
            RegionMasks(box, labels, self._soft(logits, matrix, box, i, detections))
            for i, (logits, matrix, box, labels) in enumerate(
                zip(closed, matrices, boxes, maps, strict=True)
            )
        ]

    def _soft(
        self, logits: Logits, matrix: Matrix, box: Box, face: int, detections: Sequence[Detection]
    ) -> SoftRegions:
        """Keep what the probabilities of one of a frame's faces are computed from."""
        others = [d.box for i, d in enumerate(detections) if i != face]
        own = detections[face].box
        return SoftRegions.of(logits, matrix, self._size, box, face=own, others=others)

    def _looks_twice(self, tracks: Sequence[int | None]) -> bool:
        return self._tta == "on" or (self._tta == "auto" and all(track is None for track in tracks))

    def _refined(
        self, logits: Sequence[Logits], image: Image, matrices: Sequence[Matrix]
    ) -> list[Logits]:
        """Average the logits of crops with those of closer ones of the same image."""
        inner = [zoomed_mirror(matrix, self._size) for matrix in matrices]
        crops = self._workers.map(lambda m: brighten(cut(image, m, self._size)), inner)
        return self._workers.map(merge_logits, logits, self._engine.logits(np.stack(crops)))

    def _look(self, track: int | None, crop: Image) -> Motion | None:
        return (
            None if self._smoother is None or track is None else self._smoother.compare(track, crop)
        )

    def _steadied(
        self, track: int | None, crop: Image, motion: Motion | None, logits: Logits
    ) -> Logits:
        if self._smoother is None or track is None:
            return logits
        return self._smoother.blend(track, crop, motion, logits)

    def close(self) -> None:
        """End the threads."""
        self._workers.close()

    def forget(self, track: int) -> None:
        """Drop what is kept of a track."""
        self._framing.forget(track)
        if self._smoother is not None:
            self._smoother.forget(track)

    def state(self) -> dict[str, Any]:
        """Return what is kept of every track."""
        steady = {} if self._smoother is None else self._smoother.state()
        return {"framing": self._framing.state(), "smoother": steady}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        self._framing.restore(state["framing"])
        if self._smoother is not None:
            self._smoother.restore(state["smoother"])

    def parse_crop(self, image: Image, shape: tuple[int, int]) -> Labels:
        """Parse an image that is a crop already, to a label map of that height and width."""
        logits = list(self._engine.logits(preprocess_crop(image, self._size)[None]))
        if self._looks_twice([None]):
            logits = self._refined(logits, image, [preprocess_matrix(image, self._size)])
        return argmax_resized(logits[0], shape)
