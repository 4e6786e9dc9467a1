"""``facereg measure``: the rows of ``run --stats`` from a mask dump, without the model."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from .. import output
from ..errors import SinkError
from ..masks.dump import MaskDump
from ..masks.lines import Line
from ..measures import MEASURES, Motion, cells, measure_face
from ..plugins.replay import ReplayDetector, ReplaySegmenter
from ..sinks.tables import TABLES, Figures, Row, open_table
from ..types import Box, Detection, Frame, RegionMasks

log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Measure every face of a dump. Returns the exit code."""
    out = Path(args.output)
    output.check_file(out, tuple(TABLES), args.overwrite)
    with MaskDump(args.masks) as dump:
        _say_what_is_missing(dump)
        has_clock = any("clock" in line for line in dump.frames)
        try:
            with output.AtomicFile(out, overwrite=args.overwrite) as target:
                video = str(dump.manifest["source"].get("name", ""))
                table = open_table(out, target.open(), has_clock=has_clock, video=video)
                try:
                    for rows in measure_dump(dump):
                        table.add(rows)
                finally:
                    table.close()
        except OSError as e:
            raise SinkError(f"{out}: {e.strerror or e}") from e
    return 0


def measure_dump(dump: MaskDump) -> Iterator[list[Row]]:
    """Yield the rows of each frame of a dump, as the sink ``stats`` makes them of a run.

    What is measured in the picture is missing: a dump has none.
    """
    motion = Motion()
    detector, segmenter = ReplayDetector(path=dump.path), ReplaySegmenter(path=dump.path)
    with closing(detector), closing(segmenter):
        for line in dump.frames:
            head = (line["index"], line["time"], line.get("clock"))
            if not line["faces"]:
                yield [Row(*head)]
                continue
            height, width = dump[line["index"]].shape
            # Only its index and its size are looked at.
            frame = Frame(np.zeros((height, width, 3), np.uint8), line["index"], line["time"])
            found = detector.detect(frame)
            rows = []
            for face, detection, regions in zip(
                line["faces"], found, segmenter.segment(frame, found), strict=True
            ):
                rows.append(_row(head, face, (detection, regions), motion, (height, width)))
            yield rows


def _row(
    head: tuple[int, float, str | None],
    face: Line,
    parsed: tuple[Detection, RegionMasks],
    motion: Motion,
    size: tuple[int, int],
) -> Row:
    measures = measure_face(*parsed, None, size)
    regions = _figures(parsed[1])
    return Row(
        *head, face["id"], Box(*face["box"]), face["score"], regions,
        cells(motion.follow(face["id"], head[1], measures)),
    )  # fmt: skip


def _figures(regions: RegionMasks) -> dict[str, Figures]:
    """Measure area and centroid of every class; there is no picture to take colours from."""
    figures = {}
    for name, area in regions.areas().items():
        rows, columns = np.nonzero(regions.mask(name))
        x, y = columns.mean() + regions.box.x0, rows.mean() + regions.box.y0
        figures[name] = Figures(area, round(float(x), 2), round(float(y), 2), None, None, None)
    return figures


def _say_what_is_missing(dump: MaskDump) -> None:
    faces = [face for line in dump.frames for face in line["faces"]]
    if faces and not any("landmarks" in face for face in faces):
        names = ", ".join(m.name for m in MEASURES if m.needs == ("landmarks",))
        log.warning(
            "%s has no landmarks, which these measures need: %s. They are empty; a new run of "
            "'facereg run -m' with the detector mtcnn writes landmarks", dump.path, names,
        )  # fmt: skip
