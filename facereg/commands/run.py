"""``facereg run``, and the same from Python: `process` and `parse`."""

from __future__ import annotations

import argparse
import functools
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, cast

import numpy as np

from .. import __version__
from ..api import Detector, Segmenter, Sink
from ..contract import check_detections, check_regions
from ..errors import FaceregError, SourceError, UsageError
from ..processor import Processor
from ..registry import Registry, split_spec
from ..settings import Settings, Totals
from ..sinks.dumps.cache import ResultCache
from ..sinks.masks import MasksSink
from ..sources.images import IMAGE_SUFFIXES, ImagesSource, folders
from ..types import Face, Frame, FrameResult, Image, RegionMasks, SourceInfo
from ._jobs import SIGNALS, stamp

DETECTOR = "mtcnn"
SEGMENTER = "pspnet"


def run(args: argparse.Namespace) -> int:
    """Run the command line: build by name, process, report. Returns the exit code."""
    registry = Registry(args.plugin)
    sinks = _sinks(registry, args)
    if not sinks:
        raise UsageError("nothing to write: give -o OUT.mp4, -m MASKDIR, --stats FILE, -w or -i")
    if not args.quiet and sys.stderr.isatty():
        sinks.append(ProgressBar())
    detector = registry.build("detector", args.detector or DETECTOR)
    segmenter = _segmenter(registry, args.segmenter or SEGMENTER, args.smooth)
    settings = Settings(
        max_faces=args.max_faces,
        detect_every=args.detect_every or Settings.detect_every,
        duration=args.duration,
        on_error=args.on_error,
        provenance=_provenance(args.detector, args.segmenter, segmenter),
        cache=None if detector.tracks else _cache(sinks, args),
    )
    source = registry.open_source(args.source, start=args.start)
    processor = Processor(source, detector, segmenter, sinks, settings)
    try:
        interrupted = _run_until_signalled(processor)
    except FaceregError as e:
        if not (written := processor.totals.outputs):
            raise
        raise FaceregError(f"{e}; what came before it is in {', '.join(written)}") from e
    if args.json:
        print(json.dumps(processor.totals.as_json()))
    elif not args.quiet:
        print(_summary(processor.totals), file=sys.stderr)
    return 130 if interrupted else 0


def _sinks(registry: Registry, args: argparse.Namespace) -> list[Sink]:
    """Build the sinks that the flags mean, in the order in which they are written to."""
    wanted: list[tuple[str, dict[str, Any]]] = []
    overwrite = args.overwrite or None
    if args.output:
        path = Path(args.output)
        kind = "images" if path.is_dir() or args.output.endswith("/") or not path.suffix else "mp4"
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise UsageError(f"{path}: pictures are written into a folder: -o FOLDER/")
        if kind == "images" and _of_pictures(args.source, path):
            raise UsageError(f"{path} has the source's own pictures in it; name another folder")
        wanted.append((kind, {"path": path, "view": args.view, "overwrite": overwrite}))
    if args.masks:
        dump = {"path": Path(args.masks), "format": args.masks_format, "overwrite": overwrite}
        wanted.append(("masks", {**dump, "resume": args.resume or None}))
    if args.stats:
        wanted.append(("stats", {"path": Path(args.stats), "overwrite": overwrite}))
    if args.isolated:
        wanted.append(("isolated", {"regions": tuple(args.isolated)}))
    if args.window:
        wanted.append(("window", {"view": args.view}))
    sinks = [registry.build("sink", name, **options) for name, options in wanted]
    return sinks + [registry.build("sink", spec) for spec in args.sink]


def _of_pictures(source: str, folder: Path) -> bool:
    """Whether a source is pictures, and some of them are in that folder."""
    return ImagesSource.matches(source) and folder.resolve() in folders(source)


def _segmenter(registry: Registry, spec: str, smooth: bool | None) -> Segmenter:
    """Build the segmenter; one that can smooth is told whether to, where the user said so."""
    name = split_spec(spec)[0]
    if smooth is not None and "smooth" not in registry.find("segmenter", name).options():
        raise UsageError(f"segmenter {name}: has no smoothing; leave --smooth and --no-smooth out")
    return cast(Segmenter, registry.build("segmenter", spec, smooth=smooth))


def _provenance(detector: str | None, spec: str | None, segmenter: Segmenter) -> dict[str, object]:
    return {
        "detector": detector or DETECTOR,
        "segmenter": spec or SEGMENTER,
        "model": segmenter.describe(),
    }


def _cache(sinks: list[Sink], args: argparse.Namespace) -> ResultCache | None:
    """Have the first dump of masks keep what it takes to resume it; None where nothing can.

    A run goes on from where another ended if both read the same files and were told the same.
    """
    source = stamp(Path(args.source))
    dump = next((sink for sink in sinks if isinstance(sink, MasksSink)), None)
    if dump is None or source is None:
        return None
    told = ("start", "max_faces", "detect_every", "on_error", "smooth")
    settings = {
        "version": __version__,
        "source": source,
        "plugins": [stamp(Path(plugin)) for plugin in args.plugin],
        **{name: getattr(args, name) for name in told},
    }
    dump.cache = ResultCache(dump.path, settings)
    return dump.cache


def _run_until_signalled(processor: Processor) -> bool:
    """Run; let the first Ctrl-C, SIGTERM or closed terminal end it as the end of the input would.

    A second one ends it at once.

    Returns:
        Whether a signal ended it.
    """
    interrupted = False

    def end(number: int, _: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        processor.stop()
        signal.signal(number, signal.default_int_handler)

    previous = {s: signal.signal(s, end) for s in SIGNALS}
    try:
        processor.run()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return interrupted


def _summary(totals: Totals) -> str:
    notes = {
        "dropped": totals.dropped,
        "reused": totals.reused,
        "skipped": totals.skipped,
        "cached": totals.cached,
    }
    more = "".join(f", {count} {what}" for what, count in notes.items() if count)
    outputs = "".join(f"\n  {path}" for path in totals.outputs)
    return (
        f"{totals.frames} frames, {totals.faces} faces{more} in {totals.seconds:.1f} s "
        f"({totals.fps:.1f} frames/s){outputs}"
    )


class ProgressBar(Sink):
    """A line on the terminal: frames, rate, time left."""

    name = "progress"
    width = 30

    def open(self, info: SourceInfo) -> None:
        self._expected = info.frame_count
        self._start = self._shown = time.monotonic()
        self._done = 0

    def write(self, result: FrameResult) -> None:
        self._done += 1
        self.tick()

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._shown > 0.2:
            self._shown = now
            self._show(now)

    def close(self) -> None:
        self._show(time.monotonic())
        sys.stderr.write("\n")

    def _show(self, now: float) -> None:
        rate = self._done / max(now - self._start, 1e-6)
        text = f"{self._done} frames  {rate:.1f}/s"
        if self._expected:
            share = min(1.0, self._done / self._expected)
            filled = round(share * self.width)
            left = max(0, self._expected - self._done) / max(rate, 1e-6)
            bar = "█" * filled + "░" * (self.width - filled)
            text = f"{bar} {self._done}/{self._expected}  {rate:.1f}/s  {left:.0f} s left"
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


# --- from Python ---------------------------------------------------------------------------------


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
            `facereg.settings.Settings`.

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
