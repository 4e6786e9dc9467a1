"""A plugin whose parts note what they are asked, remember faces, and end a run where told to.

Variables: ``CALLS`` names the file for the notes; ``END`` is ``kill``, ``fail`` or ``ctrl-c``, and
the frame; ``OFTEN`` makes dumps keep their state after every frame, in small pieces.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from facereg import (
    Box,
    Detection,
    Detector,
    Frame,
    FrameResult,
    RegionMasks,
    Segmenter,
    Sink,
    hookimpl,
)
from facereg.masks import resume, writers
from facereg.plugins.mtcnn import MtcnnDetector
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.regions import IDS
from tests.sinks.two_people import regions

if os.environ.get("OFTEN"):
    resume.CHECKPOINT_FRAMES, resume.CHECKPOINT_SECONDS = 1, 0.0
    writers.MAX_BUFFERED_FRAMES, writers.MAX_CHUNK_FRAMES = 4, 8


def note(kind: str, frame: Frame) -> None:
    """Note a call, and end the run where that was wanted."""
    with Path(os.environ["CALLS"]).open("a") as file:
        file.write(f"{kind} {frame.index}\n")
    how, _, where = os.environ.get("END", "").partition(" ")
    if kind == "segment" and where == str(frame.index):
        if how == "fail":
            raise RuntimeError("as it was told to")
        os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGINT)


class NotedMtcnn(MtcnnDetector):
    """The default detector."""

    name = "noted"

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Detect."""
        note("detect", frame)
        return super().detect(frame)


class NotedPSPNet(PSPNetSegmenter):
    """The default segmenter."""

    name = "noted"

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        """Segment."""
        note("segment", frame)
        return super().segment(frame, detections)


class Crossing(Detector):
    """Finds two people who cross, one before the other, and is sure of them."""

    name = "crossing"

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Tell where they are."""
        note("detect", frame)
        step = 7 * frame.index
        boxes = Box(20 + step, 60, 120 + step, 190), Box(250 - step, 50, 340 - step, 170)
        shape = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
        marks = [(shape * (b.width, b.height) + b[:2]).astype(np.float32) for b in boxes]
        score = 0.95 + 1 / (frame.index + 30)
        return [Detection(box, score, m) for box, m in zip(boxes, marks, strict=True)]


class Following(Crossing):
    """Knows by itself who is who."""

    name = "following"
    tracks = True

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Tell where they are, and who."""
        return [replace(d, track=i) for i, d in enumerate(super().detect(frame), start=1)]


class Remembers(Segmenter):
    """Gives a face hair that depends on every frame in which it was seen before."""

    name = "remembers"

    def __init__(self) -> None:
        self._seen: dict[int, np.ndarray] = {}

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        """Draw a face in the box, and hair around it."""
        note("segment", frame)
        return [self._regions(frame, d) for d in detections]

    def _regions(self, frame: Frame, detection: Detection) -> RegionMasks:
        track, box = detection.track or 0, detection.box
        seen = self._seen.get(track, np.zeros(2)) * 0.9 + (frame.image.mean(), frame.time)
        self._seen[track] = seen
        around = Box(box.x0 - 20, box.y0 - 20, box.x1 + 20, box.y1 + 20)
        rng = np.random.default_rng(np.frombuffer(seen.tobytes(), np.uint32))
        hair = rng.integers(0, 2, (around.height, around.width), np.uint8) * IDS["hair"]
        own = regions(box).labels
        np.copyto(hair[20:-20, 20:-20], own, where=own != 0)
        inside = around.clip(frame.width, frame.height)
        x, y = inside.x0 - around.x0, inside.y0 - around.y0
        return RegionMasks(inside, hair[y : y + inside.height, x : x + inside.width].copy())

    def forget(self, track: int) -> None:
        """Forget a face."""
        self._seen.pop(track, None)

    def state(self) -> Mapping[str, Any] | None:
        """Tell what is remembered."""
        if os.environ.get("STATE") == "silent":
            return None
        if os.environ.get("STATE") == "strange":
            return {"seen": self}
        return {str(track): seen for track, seen in self._seen.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember."""
        if os.environ.get("STATE") == "refuse" and state:
            raise KeyError("hair")
        self._seen = {int(track): seen for track, seen in state.items()}


class Everything(Sink):
    """Writes all that is known of every face, exactly."""

    name = "everything"

    def __init__(self, *, path: Path) -> None:
        self._path = path

    def open(self, info: object, run: object) -> None:
        """Begin."""
        self._path.write_text("")

    def write(self, result: FrameResult) -> None:
        """Write a line."""
        rows = []
        for face in result.faces:
            found, parsed = face.detection, face.regions
            assert parsed is not None
            assert found.landmarks is not None
            seen = [face.id, found.box, found.score, found.landmarks.tolist(), found.track]
            labels = hashlib.sha256(parsed.labels.tobytes()).hexdigest()
            rows.append([*seen, parsed.box, parsed.labels.shape, labels])
        with self._path.open("a") as file:
            file.write(json.dumps([result.frame.index, result.frame.time, rows]) + "\n")


@hookimpl
def register_detectors() -> list[type[Detector]]:
    """Register the detectors."""
    return [NotedMtcnn, Crossing, Following]


@hookimpl
def register_segmenters() -> list[type[Segmenter]]:
    """Register the segmenters."""
    return [NotedPSPNet, Remembers]


@hookimpl
def register_sinks() -> list[type[Sink]]:
    """Register the sink."""
    return [Everything]
