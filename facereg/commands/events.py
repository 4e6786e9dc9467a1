"""``facereg events``: what people do in a recording, from the file of ``run --stats``."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

import numpy as np

from .. import output
from .._api.files import read_stats
from .._version import __version__
from ..errors import SinkError, SourceError
from ..measures.events import Event, Track, find_events, perclos

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

#: The measures in which events are found.
USED = ("left_eye_opening", "right_eye_opening", "mouth_opening", "yaw", "pitch")

#: Columns of a .tsv file, as BIDS wants them: onset and duration first.
COLUMNS = (
    "onset", "duration", "trial_type", "person", "side", "peak", "value", "measure", "baseline",
    "threshold",
)  # fmt: skip

#: Seconds from a frame to the next if there is only one.
DEFAULT_FRAME_SECONDS = 0.04


class Found(NamedTuple):
    """What was found in a recording.

    Attributes:
        events: by their onset.
        people: figures of each person, by id: seconds in the picture, and PERCLOS.
        source: name of the file of statistics.
    """

    events: Sequence[Event]
    people: Mapping[str, Mapping[str, float | None]]
    source: str


def run(args: argparse.Namespace) -> int:
    """Find the events and write them. Returns the exit code."""
    out = Path(args.output)
    output.check_file(out, tuple(WRITERS), args.overwrite)
    table = read_stats(args.stats)
    if missing := [name for name in USED if name not in table]:
        raise SourceError(
            f"{args.stats}: has no column {missing[0]!r}; run facereg run --stats again"
        )
    tracks = list(read_tracks(table))
    end = float(table["time"].max()) + tracks[0].frame if tracks else 0.0
    events = [event for track in tracks for event in find_events(track, end, args.eyes_closed)]
    events.sort(key=lambda event: (event.onset, event.person))
    people = {
        str(track.person): {"seconds": len(track.times) * track.frame, "perclos": perclos(track)}
        for track in tracks
    }
    try:
        with output.AtomicFile(out, overwrite=args.overwrite) as target:
            found = Found(events, people, Path(args.stats).name)
            target.part.write_text(WRITERS[out.suffix.lower()](found), encoding="utf-8")
    except OSError as e:
        raise SinkError(f"{out}: {e.strerror or e}") from e
    return 0


def read_tracks(table: pd.DataFrame) -> Iterator[Track]:
    """Yield the measures of each person of a table of statistics."""
    times = np.unique(table["time"].to_numpy(np.float64))
    frame = float(np.median(np.diff(times))) if len(times) > 1 else DEFAULT_FRAME_SECONDS
    known = table[table["id"].notna()].sort_values("time", kind="stable")
    for person, rows in known.groupby("id"):
        usable = rows["usable"].fillna(0).to_numpy(np.int64) == 1
        measures = {
            name: np.where(usable | (name in ("yaw", "pitch")), rows[name], np.nan).astype(
                np.float64
            )
            for name in USED
        }
        yield Track(int(person), rows["time"].to_numpy(np.float64), measures, frame)


def _tsv(found: Found) -> str:
    lines = ["\t".join(COLUMNS)]
    for e in found.events:
        cells = (e.onset, e.duration, e.kind, e.person, e.side, e.peak, e.value, e.measure,
                 e.baseline, e.threshold)  # fmt: skip
        lines.append("\t".join(_cell(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    """Write a cell as BIDS wants it: ``n/a`` if there is nothing."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "n/a"
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _json(found: Found) -> str:
    events = [{name: _rounded(v) for name, v in event._asdict().items()} for event in found.events]
    people = {who: {k: _rounded(v) for k, v in sums.items()} for who, sums in found.people.items()}
    whole = {
        "facereg_version": __version__, "source": found.source, "people": people, "events": events,
    }  # fmt: skip
    return json.dumps(whole, indent=1) + "\n"


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _eaf(found: Found) -> str:
    """Write a document of ELAN: a tier for each person and kind."""
    document = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": f"facereg {__version__}",
            "DATE": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "FORMAT": "3.0", "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )  # fmt: skip
    header = ET.SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    ET.SubElement(header, "PROPERTY", {"NAME": "source"}).text = found.source
    order = ET.SubElement(document, "TIME_ORDER")
    tiers: dict[str, Any] = {}
    for number, event in enumerate(found.events):
        name = f"person {event.person} {event.kind}" + (f" {event.side}" if event.side else "")
        if name not in tiers:
            tiers[name] = ET.Element("TIER", {"LINGUISTIC_TYPE_REF": "event", "TIER_ID": name})
        slots = []
        for part, time in (("a", event.onset), ("b", event.onset + event.duration)):
            slot = {"TIME_SLOT_ID": f"ts{number}{part}", "TIME_VALUE": str(round(1000 * time))}
            ET.SubElement(order, "TIME_SLOT", slot)
            slots.append(slot["TIME_SLOT_ID"])
        annotation = ET.SubElement(
            ET.SubElement(tiers[name], "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            {"ANNOTATION_ID": f"a{number}", "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]},
        )
        value = "" if event.value is None else f" {event.value:.3g}"
        words = f"{event.kind}{value}"
        if event.threshold is not None:
            words += f" ({event.measure}, threshold {event.threshold:.3g})"
        ET.SubElement(annotation, "ANNOTATION_VALUE").text = words
    document.extend(tiers.values())
    ET.SubElement(
        document,
        "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "event", "TIME_ALIGNABLE": "true"},
    )
    ET.indent(document)
    return ET.tostring(document, encoding="unicode", xml_declaration=True) + "\n"


#: Writes events, by the ending of the file's name.
WRITERS: dict[str, Callable[[Found], str]] = {
    ".tsv": _tsv,
    ".json": _json,
    ".eaf": _eaf,
}
