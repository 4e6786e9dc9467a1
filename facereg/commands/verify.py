"""``facereg verify``: search a redacted video for faces that can still be seen."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import output
from .._version import __version__
from ..components import Source
from ..errors import FaceregError, SourceError, UsageError, clean_text
from ..models import sha256_of
from ..registry.registry import Registry
from ..types import Frame
from .progress import Progress, format_time

if TYPE_CHECKING:
    from ..privacy.verify import Left, Result, Search

#: Name, detector, score from which a find counts by itself, quarter turns, and enlargement of every
#: search. A detector that needs an extra is left out if the extra is not installed.
SEARCHES: tuple[tuple[str, str, float, int, int], ...] = (
    ("haar upright", "haar:min_face=32,neighbors=5", 0.9, 0, 1),
    ("haar left", "haar:min_face=32,neighbors=5", 0.9, 1, 1),
    ("haar right", "haar:min_face=32,neighbors=5", 0.9, 3, 1),
    ("mtcnn", "mtcnn:min_face=32,score=0.6", 0.9, 0, 1),
    ("mtcnn double", "mtcnn:min_face=32,score=0.6", 0.9, 0, 2),
    ("centerface", "centerface:size=960,score=0.3", 0.5, 0, 1),
)
#: Detectors that come with an extra.
OPTIONAL = ("centerface",)

#: Most lines about what is left that are printed.
MAX_LINES = 20


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns 0 if no face can be found in the video, 1 if one can."""
    from ..privacy.verify import verify

    registry = Registry(args.plugin)
    report, pictures = _outputs(args)
    with ExitStack() as stack:
        searches, missing = _searches(registry, args.detector, stack)
        source = _open(registry, args.video, stack)
        original = None if args.against is None else _open(registry, args.against, stack)
        progress, count = Progress(), source.info.frame_count
        numbers = itertools.count(1)

        def each(frame: Frame, faces: Sequence[Left]) -> None:
            if not args.quiet:
                progress.update(next(numbers), count, source.info.name)
            if pictures is not None:
                _save(pictures, frame, faces)

        frames = _with_pictures(source)
        result = verify(
            frames, searches, None if original is None else _with_pictures(original), each
        )
        if not args.quiet:
            progress.end(result.frames, count, source.info.name)
    if report is not None:
        described = _describe(args, result, searches, missing)
        output.write_file(report, (json.dumps(described, indent=2) + "\n").encode())
    print("\n".join(_lines(args.video, result, missing)))
    return 1 if result.faces else 0


def _outputs(args: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Check that the report, and the folder for pictures, can be written; None if not wanted."""
    report = None if args.report is None else Path(args.report)
    if report is not None:
        output.check_file(report, (".json",), args.overwrite)
    pictures = None if args.pictures is None else Path(args.pictures)
    if pictures is not None and not pictures.is_dir():
        raise UsageError(f"--pictures {pictures}: no such folder")
    return report, pictures


def _open(registry: Registry, spec: str, stack: ExitStack) -> Source:
    source = stack.enter_context(closing(registry.open_source(spec)))
    if source.info.live:
        raise UsageError(f"{source.info.name} is live; verify reads files")
    return source


def _searches(
    registry: Registry, more: Sequence[str], stack: ExitStack
) -> tuple[list[Search], list[str]]:
    """Build the searches, and say which could not be built because an extra is missing."""
    from ..privacy.verify import Search

    built: dict[str, Any] = {}
    searches, missing = [], []
    for name, spec, sure, turns, zoom in SEARCHES:
        try:
            if spec not in built:
                built[spec] = stack.enter_context(closing(registry.build("detector", spec)))
        except FaceregError as e:
            if name not in OPTIONAL:
                raise
            missing.append(str(e))
            continue
        searches.append(Search(name, built[spec], sure, turns, zoom))
    for spec in more:  # what the user names counts by itself
        detector = stack.enter_context(closing(registry.build("detector", spec)))
        searches.append(Search(spec, detector, 0.0))
    return searches, missing


def _with_pictures(source: Source) -> Iterator[Frame]:
    """Yield the frames of a source.

    Raises:
        SourceError: there is none.
    """
    frames = iter(source.frames())
    first = next(frames, None)
    if first is None:
        raise SourceError(f"{source.info.name}: there is no picture in it; nothing can be verified")
    yield first
    yield from frames


def _save(folder: Path, frame: Frame, faces: Sequence[Left]) -> None:
    """Write what can be seen of each face as a picture named by frame and number."""
    import cv2

    for number, face in enumerate(faces, start=1):
        box = face.box.grown(face.box.width // 4).clip(frame.width, frame.height)
        if box.area:
            path = folder / f"{frame.index:06d}-{number}.png"
            output.write_file(path, cv2.imencode(".png", frame.image[box.slices])[1].tobytes())


def _describe(
    args: argparse.Namespace, result: Result, searches: Sequence[Search], missing: list[str]
) -> dict[str, Any]:
    """Make the report. No picture of a face is in it."""
    specs = {name: spec for name, spec, *_ in SEARCHES}
    return {
        "facereg": __version__,
        "result": "faces left" if result.faces else "no face found",
        "video": _file(args.video),
        "original": None if args.against is None else _file(args.against),
        "redaction": _redaction(args.video),
        "frames": result.frames,
        "faces": [span.as_json() for span in result.spans()],
        "face_frames": len(result.faces),
        "hidden_face_frames": result.hidden,
        "weak_finds": result.weak,
        "changed_pixels": None if result.changed is None else round(result.changed, 6),
        "searches": [
            {"name": s.name, "detector": specs.get(s.name, s.name), "sure_score": s.sure_score}
            for s in searches
        ],
        "not_searched_with": missing,
    }


def _redaction(name: str) -> dict[str, Any] | None:
    """Read what a video made by facereg says of its redaction; None if it says nothing."""
    from ..privacy.record import read_record
    from ..video.tags import read_comment

    try:
        return read_record(read_comment(Path(name)))
    except FaceregError:  # a folder of pictures, or a picture
        return None


def _file(name: str) -> dict[str, str | None]:
    path = Path(name)
    if not path.is_file():
        return {"name": clean_text(name), "sha256": None}
    return {"name": clean_text(path.name), "sha256": sha256_of(path)}


def _lines(video: str, result: Result, missing: list[str]) -> Iterator[str]:
    spans = result.spans()
    for span in spans[:MAX_LINES]:
        values = span.as_json()
        x, y, x1, y1 = values["box"]
        yield (
            f"{_clock(values['start'])} to {_clock(values['end'])}: a face in "
            f"{values['frames']} frames, {x1 - x}x{y1 - y} at {x},{y}, score {values['score']:.2f} "
            f"({', '.join(values['found_by'])})"
        )
    if len(spans) > MAX_LINES:
        yield f"and {len(spans) - MAX_LINES} more; --report FILE.json lists all"
    what = (
        f"faces can be seen in {len({face.index for face in result.faces})} of {result.frames} "
        "frames"
        if spans
        else f"no face can be found in {result.frames} frames"
    )
    yield f"{clean_text(video)}: {what}"
    for line in missing:
        yield f"searched without: {line}"


def _clock(seconds: float) -> str:
    """Write a time as h:mm:ss.mmm."""
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    return f"{format_time(whole)}.{thousandths:03d}"
