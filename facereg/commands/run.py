"""``facereg run``: a source through the pipeline into its sinks."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from .._api.components import build_guard, build_segmenter
from .._version import __version__
from ..components import Segmenter, Sink, Source
from ..errors import FaceregError, UsageError, clean_text
from ..masks.outputs import forget_outputs, is_replaceable, remember_outputs
from ..masks.resume import ExactResume
from ..output import check_parent, stamp
from ..pipeline.hold_thread import make_hold
from ..pipeline.processor import Processor
from ..pipeline.settings import Settings
from ..pipeline.totals import Totals
from ..privacy.guard import WHOLE_DETECTOR
from ..privacy.hold import HoldSettings
from ..registry.registry import Registry, split_spec
from ..sinks.masks import MasksSink
from ..sinks.segments import Limit, Retention, SegmentedSink
from ..sources.images import IMAGE_SUFFIXES, ImagesSource, folders
from . import options
from .opencv import installed_opencvs, opencv_clash
from .progress import ProgressSink
from .terminal import print_json, signals_handled_by

log = logging.getLogger(__name__)

#: Sinks whose files --segment cuts.
SEGMENTED = ("mp4", "masks", "stats")

#: How other programs write the numbers of pictures, as in img_%04d.png.
NUMBER_PATTERN = re.compile(r"%0?\d*d")

#: Seconds that a run may take to end after a second Ctrl-C.
GRACE_SECONDS = 2.0


def run(args: argparse.Namespace) -> int:
    """Run the command line: build by name, process, report. Returns the exit code."""
    if clash := opencv_clash(installed_opencvs()):
        log.warning(clash)
    watchers = [] if args.quiet else [ProgressSink(args.duration, args.start)]
    totals, interrupted = execute(args, watchers)
    if args.json:
        print_json(totals.as_json())
    elif not args.quiet:
        print(_summary(totals), file=sys.stderr)
    return 130 if interrupted else 0


class Viewer(Protocol):
    """Shows a run somewhere else than its command line says."""

    def sinks(self, registry: Registry) -> Sequence[Sink]:
        """Make the sinks that show it."""

    def open_source(self, registry: Registry) -> Source:
        """Open the source of the command line."""


class _OfCommandLine:
    """Opens the source of a command line, and shows nothing."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args

    def sinks(self, registry: Registry) -> Sequence[Sink]:
        return ()

    def open_source(self, registry: Registry) -> Source:
        return registry.open_source(self._args.source, start=self._args.start)


def execute(
    args: argparse.Namespace, watchers: Sequence[Sink] = (), viewer: Viewer | None = None
) -> tuple[Totals, bool]:
    """Process a source as a command line says.

    Args:
        args: the command line.
        watchers: sinks that follow the run, besides those of the command line.
        viewer: shows the run, besides.

    Returns:
        The statistics, and whether a signal ended the run.

    Raises:
        FaceregError: it failed; the error names what was written before.
    """
    registry = Registry(args.plugin)
    viewer = viewer or _OfCommandLine(args)
    sinks = [*viewer.sinks(registry), *_sinks(registry, args)]
    if not sinks:
        raise UsageError("nothing to write: give -o OUT.mp4, -m MASKDIR, --stats FILE, -w or -i")
    detector = registry.build("detector", args.detector)
    segmenter = build_segmenter(registry, args.segmenter, args.smooth)
    hides = registry.hides_faces or args.hold is not None or args.guard is not None
    settings = Settings(
        **options.settings(args), provenance=_provenance(args, segmenter, hides=hides)
    )
    carries = settings.parse_every not in (None, 1)
    again = detector.tracks or registry.draws_soft_edges or carries  # every frame is parsed again
    resume = None if again else _exact_resume(sinks, args)
    for sink in sinks:
        if isinstance(sink, MasksSink):
            others = [getattr(other, "path", None) for other in sinks if other is not sink]
            sink.note_files(Path(args.source), [path for path in others if path is not None])
    guard = build_guard(registry, args.guard) if hides else None
    source = viewer.open_source(registry)
    hold = make_hold(guard, source.info, settings, args.hold) if hides else None
    sinks += watchers
    processor = Processor(source, detector, segmenter, sinks, settings, resume=resume, hold=hold)
    interrupted = True
    try:
        interrupted = _run_until_signalled(processor)
    except FaceregError as e:
        if not (written := processor.totals.outputs):
            raise
        raise FaceregError(f"{e}; what came before it is in {', '.join(written)}") from e
    finally:
        if args.masks and interrupted:
            remember_outputs(Path(args.masks), map(Path, processor.totals.outputs))
        elif args.masks:
            forget_outputs(Path(args.masks))
    if not interrupted:
        _check_chosen_faces(registry, processor.totals.outputs)
    return processor.totals, interrupted


def _check_chosen_faces(registry: Registry, outputs: Sequence[str]) -> None:
    """Report ids in ``only=`` and ``except=`` of a view that no face had.

    Raises:
        FaceregError: there are some.
    """
    for view, ids in registry.absent_faces().items():
        faces = f"face{'s' * (len(ids) > 1)} {', '.join(map(str, ids))}"
        raise FaceregError(
            f"--view {view}: there was no {faces}; the overlay and --stats show the ids"
            + (f"; written: {', '.join(outputs)}" if outputs else "")
        )


def _sinks(registry: Registry, args: argparse.Namespace) -> list[Sink]:
    """Build the sinks that the flags mean, in the order in which they are written to."""
    if args.retain is not None and not args.segment:
        raise UsageError("--retain removes segments: give --segment T, too")
    wanted = _wanted(args)
    if args.segment:
        sinks = _segmented(registry, wanted, args)
    else:
        sinks = [registry.build("sink", name, **given) for name, given in wanted]
    return sinks + [_build_other(registry, spec, args) for spec in args.sink]


def _wanted(args: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """List the sinks that the flags mean: their names, and their options."""
    wanted: list[tuple[str, dict[str, Any]]] = []
    refuse_stdout(output=args.output, masks=args.masks, stats=args.stats)
    if args.output:
        path = Path(args.output)
        kind = _kind_of_output(args)
        picture = {"path": path, "view": args.view, "overwrite": _may_replace(path, args)}
        wanted.append((kind, picture | _encoding(kind, args)))
    elif _encoding("mp4", args):
        raise UsageError("--codec and --crf are for the video of -o OUT.mp4")
    if args.stats:
        path = Path(args.stats)
        wanted.append(
            ("stats", {"path": path, "overwrite": _may_replace(path, args)})
        )  # before the masks, which keep what it finds
    if args.masks:
        if _of_pictures(args.source, Path(args.masks)):
            raise UsageError(f"{args.masks} has the source in it; name another folder")
        dump = {"path": Path(args.masks), "format": args.masks_format}
        how = {"overwrite": args.overwrite or None, "resume": args.resume or None}
        wanted.append(("masks", dump | how))
    if args.people:
        wanted.append(("people", {"path": Path(args.people), "overwrite": args.overwrite}))
    if args.isolated:
        wanted.append(("window", {"view": f"isolated:{'+'.join(args.isolated)}"}))
    if args.window:
        wanted.append(("window", {"view": args.view}))
    return wanted


def _segmented(
    registry: Registry, wanted: list[tuple[str, dict[str, Any]]], args: argparse.Namespace
) -> list[Sink]:
    """Build sinks whose files are cut into segments; windows and people stay whole."""
    if args.resume:
        raise UsageError("--resume goes on with one file, and --segment writes many")
    cut = [name in SEGMENTED for name, _ in wanted]
    if not any(cut):
        raise UsageError("--segment cuts -o VIDEO, -m and --stats, and none is given")
    paths = [given["path"] for (name, given), is_cut in zip(wanted, cut, strict=True) if is_cut]
    kept = None if args.retain is None else Retention(Limit(*args.retain), paths)
    sinks: list[Sink] = []
    for (name, given), is_cut in zip(wanted, cut, strict=True):
        if not is_cut:
            sinks.append(registry.build("sink", name, **given))
            continue
        check_parent(given["path"])
        if "view" in given:
            registry.view(given["view"])  # a wrong one is an error before the first frame

        def make(path: Path, name: str = name, given: dict[str, Any] = given) -> Sink:
            sink: Sink = registry.build("sink", name, **{**given, "path": path})
            return sink

        sinks.append(SegmentedSink(name, make, given["path"], args.segment, kept))
    return sinks


def _build_other(registry: Registry, spec: str, args: argparse.Namespace) -> Sink:
    """Build a sink of ``--sink``; what it may replace is said by its options, or by the flags."""
    name, rest, given = split_spec(spec)
    path = given.get("path", rest)
    takes = "overwrite" in registry.find("sink", name).options() and "overwrite" not in given
    replaces = takes and bool(path) and _may_replace(Path(path), args)
    sink: Sink = registry.build("sink", spec, **({"overwrite": True} if replaces else {}))
    return sink


def refuse_stdout(**outputs: str | None) -> None:
    """Refuse outputs that are named ``-``.

    Args:
        **outputs: option -> what was given for it.

    Raises:
        UsageError: one of them is.
    """
    for option, path in outputs.items():
        if path == "-":
            raise UsageError(
                f"--{option} -: nothing is written to stdout; name a file or a folder, or ./- for "
                "one of that name"
            )


def _kind_of_output(args: argparse.Namespace) -> str:
    """Choose the sink of ``-o`` by its name.

    Raises:
        UsageError: nothing can be written under such a name.
    """
    text, path = args.output, Path(args.output)
    if NUMBER_PATTERN.search(path.name):
        raise UsageError(
            f"{text}: a picture a frame is written into a folder, and named and numbered there: "
            f"-o {path.parent / 'FOLDER'}{os.sep}"
        )
    if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir():
        if path.exists() and Path(args.source).exists() and path.samefile(args.source):
            raise UsageError(f"{path} is the source itself; choose another name")
        return "images"
    if path.is_dir() or text.endswith(("/", os.sep)) or not path.suffix:
        if _of_pictures(args.source, path):
            raise UsageError(f"{path} has the source's own pictures in it; name another folder")
        return "images"
    return "mp4"


def _may_replace(path: Path, args: argparse.Namespace) -> bool | None:
    """Whether an output may be replaced: on request, or if the run that is resumed wrote it."""
    return True if args.overwrite or _is_of_resumed_run(path, args) else None


def _is_of_resumed_run(path: Path, args: argparse.Namespace) -> bool:
    return bool(args.resume and args.masks and is_replaceable(Path(args.masks), path))


def _encoding(kind: str, args: argparse.Namespace) -> dict[str, Any]:
    """Collect the options that only a video has."""
    given = {name: v for name in ("codec", "crf") if (v := getattr(args, name)) is not None}
    if given and kind != "mp4":
        raise UsageError(f"{args.output} is no video; --codec and --crf are for videos")
    return given


def _of_pictures(source: str, folder: Path) -> bool:
    """Whether a source is pictures, and some of them are in that folder."""
    return ImagesSource.matches(source) and folder.resolve() in folders(source)


def _provenance(
    args: argparse.Namespace, segmenter: Segmenter, *, hides: bool
) -> dict[str, object]:
    """Say what makes the results, and, if faces are hidden, how they are looked for besides."""
    made = {
        "detector": args.detector,
        "segmenter": args.segmenter,
        "model": segmenter.describe(),
    }
    if not hides:
        return made
    seconds = HoldSettings.seconds if args.hold is None else args.hold
    searched = {"detect_every": args.detect_every, "look_back": args.look_back}
    return made | {"guard": args.guard or WHOLE_DETECTOR, "hold_seconds": seconds} | searched


def _exact_resume(sinks: list[Sink], args: argparse.Namespace) -> ExactResume | None:
    """Make the first masks sink resumable, if there is one.

    A run resumes another one's masks if both read the same files with the same options.
    """
    source = stamp(Path(args.source))
    dump = next((sink for sink in sinks if isinstance(sink, MasksSink)), None)
    if dump is None or source is None:
        return None
    settings = {
        "version": __version__,
        "source": source,
        "plugins": [stamp(Path(plugin)) for plugin in args.plugin],
        **options.resume_key(args),
    }
    return dump.make_resumable(settings)


def _run_until_signalled(processor: Processor) -> bool:
    """Run; let the first Ctrl-C, SIGTERM or closed terminal end it as the end of the input would.

    A second one ends it at once, even if a component hangs: what is not finished then stays under
    its hidden name, as after a kill.

    Returns:
        Whether a signal ended it.
    """
    signals = 0

    def end(*_: object) -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            processor.stop()
        elif signals == 2:
            # The processor waits for its threads; one that hangs would keep it waiting for ever.
            watchdog = threading.Timer(GRACE_SECONDS, os._exit, (130,))
            watchdog.daemon = True
            watchdog.start()
            raise KeyboardInterrupt
        else:
            os._exit(130)

    with signals_handled_by(end):
        processor.run()
    return signals > 0


def _summary(totals: Totals) -> str:
    notes = {
        "dropped": totals.dropped,
        "skipped": totals.skipped,
        "cached": totals.cached,
        "carried": totals.carried,
        "held": totals.held,
    }
    more = "".join(f", {count} {what}" for what, count in notes.items() if count)
    outputs = "".join(f"\n  {clean_text(path)}" for path in totals.outputs)
    dropped = totals.dropped_sinks.values()
    outputs += "".join(f"\n  dropped: {clean_text(error)}" for error in dropped)
    return (
        f"{totals.frames} frames, {totals.faces} faces{more} in {totals.seconds:.1f} s "
        f"({totals.fps:.1f} frames/s){outputs}"
    )
