"""Time facereg and its peers, one after another in one process, on the same frames.

    python benchmarks/peers.py [CLIP] [--frames N] [--peer FILE.tflite] [--json]

facereg             the default: detector in every eighth frame, tracking, smoothing
facereg, pixelated  the same, and every face pixelated (``--view pixelate:face``)
facereg, no track   detector and network in every frame, nothing smoothed
peer network        facereg with another network: BiSeNetV2 for CelebAMask-HQ, 448 x 448, 8 bit
upstream's loop     deepface's opencv detector in every frame, the box as 240 x 240 gray pixels,
                    PSPNet on ResNet-50 with output stride 8 and random weights; without the JPEG
                    round trip and the plot that upstream makes of each frame
deface              its detector in every frame, and faces pixelated; it has no masks

Times are milliseconds a frame, except in the column ``a face``. Reading is counted, encoding is
not. facereg's stages overlap, so they may add up to more than a frame takes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facereg.components import EndRun, Segmenter, Sink
from facereg.models import example
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings
from facereg.plugins.pspnet.crops import crop_matrix, cut
from facereg.registry.registry import Registry
from facereg.types import Box, Detection, Frame, FrameResult, RegionMasks
from facereg.views import view

#: facereg's ids for the peer network's 19 classes. Its sides are not distinguished.
PEER_IDS = np.array([0, 1, 2, 3, 4, 5, 16, 13, 14, 19, 6, 8, 9, 7, 17, 20, 18, 10, 15], np.uint8)

#: Side of the peer network's input in pixels, and side of its crop over the face's box.
PEER_SIZE, PEER_SCALE = 448, 2.1

#: Frames that each loop processes before it is timed.
WARM_UP = 5

Row = dict[str, Any]


class Draw(Sink):
    """Draws a view and ends the run after ``count`` frames."""

    name = "draw"

    def __init__(self, spec: str | None, count: int) -> None:
        self._draw, self._left = view(spec) if spec else None, count

    def write(self, result: FrameResult) -> None:
        """Draw one."""
        if self._draw is not None:
            self._draw(result)
        self._left -= 1
        if not self._left:
            raise EndRun


class PeerNetwork(Segmenter):
    """The peer network on facereg's crops."""

    name = "peer"

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._network = Interpreter(model_path=str(path), num_threads=os.cpu_count())
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> list[RegionMasks]:
        """Parse each face and bring its label map back to the frame."""
        return [self._one(frame, detection) for detection in detections]

    def _one(self, frame: Frame, detection: Detection) -> RegionMasks:
        matrix = crop_matrix(detection, PEER_SCALE, PEER_SIZE)
        crop = cv2.cvtColor(cut(frame.image, matrix, PEER_SIZE), cv2.COLOR_BGR2RGB)
        self._network.set_tensor(self._input, ((crop.astype(np.float32) - 128) / 128)[None])
        self._network.invoke()
        found = self._network.get_tensor(self._output).reshape(PEER_SIZE, PEER_SIZE)
        labels = cv2.warpAffine(
            PEER_IDS[found],
            matrix,
            (frame.width, frame.height),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        )
        return RegionMasks(Box(0, 0, frame.width, frame.height), np.asarray(labels, np.uint8))


class Peers:
    """Times every loop on one clip.

    Args:
        clip: any source.
        frames: how many to time, at most.
    """

    def __init__(self, clip: str, frames: int) -> None:
        self._clip, self._frames = clip, frames
        self._registry = Registry()

    def facereg(
        self, *, spec: str | None = None, network: Path | None = None, every: int | None = None
    ) -> Row:
        """Run facereg's own pipeline.

        Args:
            spec: what to draw, or nothing.
            network: the peer's, in place of facereg's.
            every: how often to detect; 1 is without smoothing, too.
        """
        for count in (WARM_UP, self._frames):
            segmenter = (
                self._registry.build("segmenter", "pspnet", smooth=every != 1)
                if network is None
                else PeerNetwork(network)
            )
            totals = Processor(
                self._registry.open_source(self._clip),
                self._registry.build("detector", "mtcnn"),
                segmenter,
                [Draw(spec, count)],
                Settings(detect_every=every or Settings.detect_every),
            ).run()
        return row(totals.frames, totals.faces, totals.seconds, dict(totals.stages))

    def upstream(self) -> Row:
        """Run upstream's loop."""
        import torch

        from facereg.plugins.pspnet.upstream import DeepStemPSPNet, gray_input

        torch.manual_seed(0)
        network = DeepStemPSPNet((3, 4, 6, 3), 11).eval()
        detector = self._registry.build("detector", "deepface:backend=opencv")

        def parse(frame: Frame, found: Sequence[Detection]) -> None:
            for detection in found:
                box = detection.box.clip(frame.width, frame.height)
                with torch.inference_mode():
                    network(gray_input(frame.image[box.slices]))[0].argmax(0).numpy()

        with closing(detector):
            return self._loop(detector.detect, "segment", parse)

    def deface(self) -> Row:
        """Run deface's detector and its pixelation."""
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it runs on
            from deface.centerface import CenterFace
            from deface.deface import anonymize_frame

            detector = CenterFace()

        def detect(frame: Frame) -> Any:
            return detector(frame.image, threshold=0.2)[0]

        def pixelate(frame: Frame, found: Any) -> None:
            anonymize_frame(found, frame.image.copy(), 1.3, "mosaic", False, False, None, 20)

        return self._loop(detect, "draw", pixelate)

    def _loop(
        self,
        detect: Callable[[Frame], Any],
        stage: str,
        use: Callable[[Frame, Any], None],
    ) -> Row:
        """Time a loop in one thread: read, detect, and process the faces."""
        stages: dict[str, float] = defaultdict(float)
        count = faces = 0
        with closing(self._registry.open_source(self._clip)) as source:
            frames = itertools.islice(source.frames(), WARM_UP + self._frames)
            for frame in itertools.islice(frames, WARM_UP):
                use(frame, detect(frame))
            start = last = time.perf_counter()
            for frame in frames:
                last = clocked(stages, "read", last)
                found = detect(frame)
                last = clocked(stages, "detect", last)
                use(frame, found)
                last = clocked(stages, stage, last)
                count, faces = count + 1, faces + len(found)
            return row(count, faces, time.perf_counter() - start, stages)


def clocked(stages: dict[str, float], stage: str, last: float) -> float:
    """Add the milliseconds since ``last`` to a stage; return the time now."""
    now = time.perf_counter()
    stages[stage] += 1000 * (now - last)
    return now


def row(frames: int, faces: int, seconds: float, stages: dict[str, float]) -> Row:
    """Summarise the figures of a loop."""
    frames = max(1, frames)
    return {
        "frames": frames,
        "faces_a_frame": round(faces / frames, 3),
        "read_ms": round(stages.get("read", 0.0) / frames, 3),
        "detect_ms": round((stages.get("detect", 0.0) + stages.get("track", 0.0)) / frames, 3),
        "parse_ms": round(stages.get("segment", 0.0) / frames, 3),
        "parse_a_face_ms": round(stages.get("segment", 0.0) / faces, 3) if faces else None,
        "draw_ms": round(stages.get("draw", 0.0) / frames, 3),
        "fps": round(frames / seconds, 2),
    }


def rows(peers: Peers, network: Path | None) -> Iterator[tuple[str, Row]]:
    """Run every loop that this machine can run; report the others."""
    yield "facereg", peers.facereg()
    yield "facereg, pixelated", peers.facereg(spec="pixelate:face")
    yield "facereg, no track", peers.facereg(every=1)
    try:
        if network is None:
            print("peer network: left out, --peer FILE.tflite names it", file=sys.stderr)
        else:
            yield "peer network", peers.facereg(network=network)
    except ImportError:
        print("peer network: left out, pip install ai-edge-litert", file=sys.stderr)
    yield "upstream's loop", peers.upstream()
    try:
        yield "deface", peers.deface()
    except ImportError:
        print("deface: left out, pip install deface", file=sys.stderr)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clip", nargs="?", metavar="CLIP", help="a video (default: the example)")
    parser.add_argument("--frames", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--peer", type=Path, metavar="FILE.tflite", help="the peer network")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    clip = args.clip or str(example())
    found = dict(rows(Peers(clip, args.frames), args.peer))
    base = found["facereg"]["fps"]
    for one in found.values():
        one["times_facereg"] = round(one["fps"] / base, 3)
    if args.json:
        print(json.dumps({"clip": clip, "cores": os.cpu_count(), "loops": found}, indent=1))
        return
    print(f"{clip}: up to {args.frames} frames, {os.cpu_count()} cores")
    names = ("faces", "read", "detect", "parse", "a face", "draw", "fps", "of facereg")
    print(f"{'':<20}" + "".join(f"{name:>11}" for name in names))
    for name, one in found.items():
        values = [v for key, v in one.items() if key != "frames"]
        print(f"{name:<20}" + "".join(f"{'-' if v is None else f'{v:.2f}':>11}" for v in values))


if __name__ == "__main__":
    main()
