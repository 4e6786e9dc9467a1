"""What Python users call: process, parse and open_masks."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from .checks import check_detections, check_regions
from .components import Detector, Segmenter
from .errors import SourceError, UsageError
from .masks.dump import MaskDump
from .pipeline.processor import Processor
from .pipeline.settings import Settings
from .registry.registry import Registry, split_spec
from .types import Face, Frame, FrameResult, Image, RegionMasks

DETECTOR = "mtcnn"


SEGMENTER = "pspnet"


def _segmenter(registry: Registry, spec: str, smooth: bool | None) -> Segmenter:
    """Build the segmenter; one that can smooth is told whether to, where the user said so."""
    name = split_spec(spec)[0]
    if smooth is not None and "smooth" not in registry.find("segmenter", name).options():
        raise UsageError(f"segmenter {name}: has no smoothing; leave --smooth and --no-smooth out")
    return cast(Segmenter, registry.build("segmenter", spec, smooth=smooth))


def process(
    source: str | Path,
    *,
    detector: str = DETECTOR,
    segmenter: str = SEGMENTER,
    plugins: tuple[str | Path, ...] = (),
    start: float | None = None,
    smooth: bool | None = None,
    **settings: Any,
) -> Iterator[FrameResult]:
    """Yield the result of every frame of a source.

    Args:
        source: what `facereg run` takes: a file, a folder, a camera's number, a URL.
        detector, segmenter: ``NAME`` or ``NAME:option=value,…``.
        plugins: plugin files to load first.
        start: seconds to skip of a file.
        smooth: whether masks are steadied over time; None: as the segmenter does by itself.
        **settings: ``max_faces``, ``detect_every``, ``duration``, ``on_error``, as in
            `facereg.pipeline.settings.Settings`.

    Raises:
        FaceregError: something cannot be found, opened or read.
    """
    chosen, registry = Settings(**settings), Registry(plugins)
    finder = registry.build("detector", detector)
    parser = _segmenter(registry, segmenter, smooth)
    opened = registry.open_source(str(source), start=start)
    return Processor(opened, finder, parser, (), chosen).results()


def parse(
    image: str | Path | Image, *, detector: str = DETECTOR, segmenter: str = SEGMENTER
) -> FrameResult:
    """Find and parse the faces of one picture. Models stay loaded from call to call.

    Args:
        image: a file, or uint8 pixels as OpenCV reads them: (H, W, 3) **BGR**, (H, W, 4) BGRA or
            (H, W) gray.
        detector, segmenter: ``NAME`` or ``NAME:option=value,…``.

    Raises:
        FaceregError: the file cannot be read, or a component cannot be found.
        ValueError: the array is no picture.
    """
    finder, parser = _models(detector, segmenter)
    frame = Frame(_pixels(image)) if isinstance(image, np.ndarray) else _first_frame(str(image))
    found = check_detections(finder.detect(frame), frame, f"detector {finder.name}")
    regions: tuple[RegionMasks, ...] = ()
    if found:
        who = f"segmenter {parser.name}"
        regions = check_regions(parser.segment(frame, found), frame, len(found), who)
    pairs = zip(found, regions, strict=True)
    return FrameResult(frame, tuple(Face(i, d, r) for i, (d, r) in enumerate(pairs, start=1)))


@functools.lru_cache(maxsize=4)
def _models(detector: str, segmenter: str) -> tuple[Detector, Segmenter]:
    registry = Registry()
    return registry.build("detector", detector), registry.build("segmenter", segmenter)


def _first_frame(path: str) -> Frame:
    source = Registry().open_source(path)
    try:
        for frame in source.frames():
            return frame
    finally:
        source.close()
    raise SourceError(f"{path}: no picture in it")


def _pixels(image: Image) -> Image:
    """Copy an array into (H, W, 3) BGR; transparency is dropped."""
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    return np.array(image[:, :, :3]) if image.ndim == 3 and image.shape[2] == 4 else image.copy()


def open_masks(path: str | Path) -> MaskDump:
    """Open a mask dump for reading: its maps by frame, its lines, its manifest.

    Raises:
        SourceError: the folder is no mask dump, or it is damaged.
    """
    return MaskDump(path)
