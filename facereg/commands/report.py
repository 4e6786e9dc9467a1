"""``facereg report``: statistics as one page, with its script inside, for any browser."""

from __future__ import annotations

import argparse
import base64
import html
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import output
from .._api.files import read_stats
from .._version import __version__
from ..errors import FaceregError, SinkError, SourceError, UsageError, missing_extra
from ..measures.events import find_events, perclos
from ..regions import CLASSES, COLORS, GROUPS
from ..types import Box
from .events import read_tracks

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped,unused-ignore]

#: What a person's panel shows over time: a title, and the measures in it.
PANELS: Mapping[str, tuple[str, ...]] = {
    "Eyes: height over width": ("left_eye_opening", "right_eye_opening"),
    "Mouth: inner height over width": ("mouth_opening",),
    "Head in degrees": ("yaw", "pitch", "roll"),
}
#: Regions whose areas are shown as shares of the face.
SHOWN_REGIONS = ("skin", "eyes", "eyebrows", "lips", "mouth_interior", "hair")
#: Events that the summary counts, and what it calls them.
COUNTED = {
    "blink": "blinks (both eyes)",
    "mouth_open": "mouth opened",
    "looked_away": "looked away",
}
#: Most people of a file that get a section, those that are seen longest.
MAX_PEOPLE = 12
#: Most points of a line; more are thinned out.
MAX_POINTS = 4000
#: Height of a person's picture in pixels.
THUMBNAIL_HEIGHT = 120

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #1d2125; background: #fff; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .35rem .6rem; text-align: right;
       border-bottom: 1px solid #d5d9dd; } th:first-child, td:first-child { text-align: left; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
img { height: 120px; border-radius: 6px; } .note { color: #555; }
"""


def run(args: argparse.Namespace) -> int:
    """Write the page. Returns the exit code."""
    out = Path(args.output)
    output.check_file(out, (".html", ".htm"), args.overwrite)
    if args.video and len(args.video) != len(args.stats):
        raise UsageError(
            f"--video: {len(args.video)} recordings for {len(args.stats)} files of statistics"
        )
    videos = args.video or [None] * len(args.stats)
    sections = [
        section
        for stats, video in zip(args.stats, videos, strict=True)
        for section in read_sections(Path(stats), video)
    ]
    if not sections:
        raise SourceError(f"{', '.join(args.stats)}: contains no face")
    try:
        with output.AtomicFile(out, overwrite=args.overwrite) as target:
            target.part.write_text(make_page(sections), encoding="utf-8")
    except OSError as e:
        raise SinkError(f"{out}: {e.strerror or e}") from e
    return 0


@dataclass(frozen=True)
class Section:
    """What the page says of a person in a recording.

    Attributes:
        recording: the name of the file of statistics.
        person: the id of the face.
        rows: the person's rows of the statistics.
        figures: what the summary says, by title.
        picture: a JPEG of the person; empty if there is none.
    """

    recording: str
    person: int
    rows: pd.DataFrame
    figures: Mapping[str, str]
    picture: bytes = b""

    @property
    def title(self) -> str:
        """Name of recording and person."""
        return f"{self.recording}, person {self.person}"


def read_sections(path: Path, video: str | None) -> Iterator[Section]:
    """Yield a section for each person of a file of statistics, those seen longest."""
    table = read_stats(path)
    if "usable" not in table:
        raise SourceError(f"{path}: has no measures; run facereg run --stats again")
    tracks = sorted(read_tracks(table), key=lambda track: -len(track.times))[:MAX_PEOPLE]
    for track in sorted(tracks, key=lambda track: track.person):
        rows = table[table["id"] == track.person]
        end = float(table["time"].max()) + track.frame
        events = find_events(track, end)
        counts = {
            title: str(sum(event.kind == kind for event in events))
            for kind, title in COUNTED.items()
        }
        shut = perclos(track)
        figures = {
            "seen, seconds": f"{len(rows) * track.frame:.1f}",
            "from, to": f"{track.times[0]:.1f}, {track.times[-1] + track.frame:.1f}",
            "usable frames": f"{100 * float(rows['usable'].fillna(0).mean()):.0f} %",
            "mouth opening": _mean(rows["mouth_opening"]),
            "eye opening": _mean(rows[["left_eye_opening", "right_eye_opening"]].mean(axis=1)),
            **counts,
            "eyes closed": "" if shut is None else f"{100 * shut:.1f} %",
        }
        picture = b"" if video is None else picture_of(video, rows)
        yield Section(path.stem, track.person, rows, figures, picture)


def _mean(values: pd.Series) -> str:
    mean, deviation = values.mean(), values.std()
    return "" if np.isnan(mean) else f"{mean:.2f} ± {0 if np.isnan(deviation) else deviation:.2f}"


def picture_of(video: str, rows: pd.DataFrame) -> bytes:
    """Cut the face out of the frame of a recording in which it is largest, as a JPEG."""
    import cv2

    from ..registry.registry import Registry

    best = rows.loc[((rows["x1"] - rows["x0"]) * (rows["y1"] - rows["y0"])).idxmax()]
    source = Registry().open_source(video)
    try:
        for frame in source.frames():
            if frame.index == best["index"]:
                box = Box(*(int(best[side]) for side in ("x0", "y0", "x1", "y1")))
                inside = box.grown(round(0.2 * box.width)).clip(frame.width, frame.height)
                if not inside.area:
                    break
                part = frame.image[inside.slices]
                size = (round(part.shape[1] * THUMBNAIL_HEIGHT / part.shape[0]), THUMBNAIL_HEIGHT)
                small = cv2.resize(part, (max(1, size[0]), size[1]), interpolation=cv2.INTER_AREA)
                return bytes(cv2.imencode(".jpg", small)[1])
    finally:
        source.close()
    raise FaceregError(f"{video}: has no frame {best['index']}: it is another recording")


def make_page(sections: Sequence[Section]) -> str:
    """Write the page."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Faces in {len({s.recording for s in sections})} recordings</title>",
        f"<style>{STYLE}</style></head><body>",
        "<h1>Faces over time</h1>",
        _summary(sections),
    ]
    script: bool | str = True  # plotly's own script is written once
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        if section.picture:
            data = base64.b64encode(section.picture).decode()
            name = html.escape(section.title)
            parts.append(f'<img alt="{name}" src="data:image/jpeg;base64,{data}">')
        parts.append(_figure(section).to_html(full_html=False, include_plotlyjs=script))
        script = False
    parts.append(
        f'<p class="note">Written by facereg {__version__}. Openings are ratios, areas are shares '
        "of the face. Frames that should not be used (blurred, covered, turned away) leave gaps. "
        "docs/measures.md defines every measure.</p></body></html>\n"
    )
    return "\n".join(parts)


def _summary(sections: Sequence[Section]) -> str:
    heads = ["", *sections[0].figures]
    rows = [
        f"<tr><td>{html.escape(s.title)}</td>"
        + "".join(f"<td>{html.escape(value)}</td>" for value in s.figures.values())
        + "</tr>"
        for s in sections
    ]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _figure(section: Section) -> Any:
    """Draw a person's measures and areas, one below the other, over a common time."""
    try:
        graphs = importlib.import_module("plotly.graph_objects")
        subplots = importlib.import_module("plotly.subplots")
    except ImportError:
        raise missing_extra("plotly", "plot", "facereg report") from None
    titles = [*PANELS, "Areas: share of the face"]
    figure = subplots.make_subplots(
        len(titles), 1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.05
    )
    rows = section.rows.iloc[:: max(1, len(section.rows) // MAX_POINTS)]
    usable = rows["usable"] == 1
    for number, names in enumerate(PANELS.values(), 1):
        for name in names:
            line = graphs.Scatter(
                x=rows["time"], y=rows[name].where(usable), name=name.replace("_", " "),
                mode="lines", line_width=1.3,
            )  # fmt: skip
            figure.add_trace(line, number, 1)
    whole = rows[[f"{name}_area" for name in GROUPS["face"]]].sum(axis=1)
    for region in SHOWN_REGIONS:
        members = GROUPS.get(region, (region,))
        area = rows[[f"{name}_area" for name in members]].sum(axis=1) / whole.where(whole > 0)
        colour = f"rgb{COLORS[CLASSES.index(members[0])]}"
        line = graphs.Scatter(
            x=rows["time"], y=area, name=region.replace("_", " "), mode="lines",
            line={"width": 1.3, "color": colour},
        )  # fmt: skip
        figure.add_trace(line, len(titles), 1)
    figure.update_xaxes(title_text="time in seconds", row=len(titles), col=1)
    figure.update_layout(
        height=760, margin={"l": 50, "r": 10, "t": 40, "b": 40}, template="plotly_white"
    )
    return figure
