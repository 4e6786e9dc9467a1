"""What happens in a recording: blinks, closed eyes, an open mouth, speech, turns of the head.

Every threshold is relative to the person's own baseline, and stands in the event that it made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: An eye is open as wide as usual at this percentile of its openings.
OPEN_PERCENTILE = 75
#: Shares of that opening below which an eye blinks, and from which a blink has begun and ended.
BLINK_SHARE, BLINK_EDGE_SHARE = 0.5, 0.8
#: Longest blink in seconds; an eye that is shut for longer is closed.
MAX_BLINK_SECONDS = 0.5
#: Share of that opening below which an eye counts as closed for PERCLOS (80 % closed; Wierwille
#: and Ellsworth 1994).
PERCLOS_SHARE = 0.2
#: Percentile at which a mouth is shut, and how much wider an open one is, in mouth openings.
SHUT_PERCENTILE, MOUTH_STEP = 25, 0.1
#: Shortest time in seconds for which a mouth is open.
MIN_MOUTH_SECONDS = 0.1
#: Speech: seconds over which the mouth's slow movement is taken away and its fast one is measured,
#: the standard deviation of openings above which it moves, and the shortest time.
SLOW_SECONDS, SPEECH_SECONDS, SPEECH_DEVIATION, MIN_SPEECH_SECONDS = 0.6, 0.8, 0.02, 0.4
#: Degrees from the usual pose at which somebody looks away, and at which the head is turned.
AWAY_DEGREES, TURNED_DEGREES = 20.0, 30.0
#: Shortest time in seconds for which somebody looks away or turns.
MIN_POSE_SECONDS = 0.3
#: Longest gap in seconds that an event or a person's presence goes on through.
MAX_GAP_SECONDS = 0.5


class Event(NamedTuple):
    """Something that a person did.

    Attributes:
        kind: ``blink``, ``eye_closed``, ``mouth_open``, ``speech``, ``looked_away``,
            ``head_turned``, ``face_present`` or ``face_absent``.
        person: the id of the face.
        onset: seconds.
        duration: seconds.
        side: ``left`` or ``right``; empty if it has none.
        peak: seconds at which it was strongest; None if it has no peak.
        value: how strong: a blink's completeness from 0 to 1, the widest opening, the largest
            turn in degrees; None if it has no strength.
        measure: what it was found in; empty for presence.
        baseline, threshold: of that measure, in its unit; None for presence.
    """

    kind: str
    person: int
    onset: float
    duration: float
    side: str = ""
    peak: float | None = None
    value: float | None = None
    measure: str = ""
    baseline: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Track:
    """The measures of one person.

    Attributes:
        person: the id of the face.
        times: (n,) seconds of the frames that it is in, rising.
        measures: (n,) values by name; NaN where something could not be measured.
        frame: seconds from a frame to the next.
    """

    person: int
    times: Floats
    measures: Mapping[str, Floats]
    frame: float

    def span(self, first: int, last: int) -> tuple[float, float]:
        """Return onset and duration of frames ``first`` to ``last``."""
        onset = float(self.times[first])
        return onset, float(self.times[last]) + self.frame - onset


def find_events(track: Track, end: float, eyes_closed: float = MAX_BLINK_SECONDS) -> list[Event]:
    """Find all events of a person, by their onset.

    Args:
        track: the person's measures.
        end: seconds at which the recording ends.
        eyes_closed: seconds from which on a shut eye is closed; a shorter one blinks.
    """
    events = [*_presence(track, end), *_mouth(track), *_speech(track), *_turns(track)]
    for side in ("left", "right"):
        events += _eye(track, side, eyes_closed)
    return sorted(events, key=lambda event: (event.onset, event.kind, event.side))


def perclos(track: Track) -> float | None:
    """Return the share of frames in which both eyes are at least 80 % closed; None if unknown."""
    shut = []
    for side in ("left", "right"):
        openings = track.measures[f"{side}_eye_opening"]
        if np.isnan(openings).all():
            return None
        usual = np.nanpercentile(openings, OPEN_PERCENTILE)
        shut.append(np.where(np.isnan(openings), np.nan, openings < PERCLOS_SHARE * usual))
    both = shut[0] * shut[1]
    return None if np.isnan(both).all() else float(np.nanmean(both))


def _presence(track: Track, end: float) -> Iterator[Event]:
    gaps = np.flatnonzero(np.diff(track.times) > MAX_GAP_SECONDS)
    firsts = [0, *(int(i) + 1 for i in gaps)]
    lasts = [*(int(i) for i in gaps), len(track.times) - 1]
    for first, last in zip(firsts, lasts, strict=True):
        yield Event("face_present", track.person, *track.span(first, last))
    stops = [float(track.times[last]) + track.frame for last in lasts]
    starts = [*(float(track.times[first]) for first in firsts[1:]), end]
    for stop, start in zip(stops, starts, strict=True):
        if start - stop > MAX_GAP_SECONDS:
            yield Event("face_absent", track.person, stop, start - stop)


def _eye(track: Track, side: str, eyes_closed: float) -> Iterator[Event]:
    name = f"{side}_eye_opening"
    openings = track.measures[name]
    if np.isnan(openings).all():
        return
    usual = float(np.nanpercentile(openings, OPEN_PERCENTILE))
    low = BLINK_SHARE * usual
    for first, last in _runs(track, openings < low, 0.0):
        lowest = first + int(np.nanargmin(openings[first : last + 1]))
        edge = BLINK_EDGE_SHARE * usual
        begins, ends = _walk(openings, first, -1, edge), _walk(openings, last, 1, edge)
        onset, duration = track.span(begins, ends)
        kind = "blink" if duration <= eyes_closed else "eye_closed"
        completeness = 1 - float(openings[lowest]) / usual
        peak = float(track.times[lowest])
        yield Event(kind, track.person, onset, duration, side, peak, completeness, name, usual, low)


def _walk(openings: Floats, at: int, step: int, edge: float) -> int:
    """Go on while an eye is neither open nor lost; return the last such frame."""
    while 0 <= at + step < len(openings) and openings[at + step] < edge:
        at += step
    return at


def _mouth(track: Track) -> Iterator[Event]:
    name = "mouth_opening"
    openings = track.measures[name]
    if np.isnan(openings).all():
        return
    shut = float(np.nanpercentile(openings, SHUT_PERCENTILE))
    wide = shut + MOUTH_STEP
    for first, last in _runs(track, openings > wide, MIN_MOUTH_SECONDS):
        at = first + int(np.nanargmax(openings[first : last + 1]))
        peak, value = float(track.times[at]), float(openings[at])
        onset, duration = track.span(first, last)
        yield Event("mouth_open", track.person, onset, duration, "", peak, value, name, shut, wide)


def _speech(track: Track) -> Iterator[Event]:
    name = "mouth_opening"
    openings = track.measures[name]
    if np.count_nonzero(~np.isnan(openings)) < 3:
        return
    fast = openings - _moving_mean(openings, SLOW_SECONDS / track.frame)
    power = _moving_mean(fast**2, SPEECH_SECONDS / track.frame)
    moves = np.sqrt(power) > SPEECH_DEVIATION
    for first, last in _runs(track, moves, MIN_SPEECH_SECONDS):
        onset, duration = track.span(first, last)
        value = float(np.sqrt(np.nanmax(power[first : last + 1])))
        yield Event(
            "speech", track.person, onset, duration, "", None, value, name, 0.0, SPEECH_DEVIATION
        )


def _turns(track: Track) -> Iterator[Event]:
    for kind, limit, names in (
        ("looked_away", AWAY_DEGREES, ("yaw", "pitch")),
        ("head_turned", TURNED_DEGREES, ("yaw",)),
    ):
        known = [track.measures[name] for name in names]
        if any(np.isnan(angles).all() for angles in known):
            continue
        usual = [float(np.nanmedian(angles)) for angles in known]
        off = [np.abs(angles - middle) for angles, middle in zip(known, usual, strict=True)]
        most = np.fmax.reduce(off)
        for first, last in _runs(track, most > limit, MIN_POSE_SECONDS):
            at = first + int(np.nanargmax(most[first : last + 1]))
            which = int(np.nanargmax([angles[at] for angles in off]))
            side = ""
            if names[which] == "yaw":
                side = "left" if known[which][at] > usual[which] else "right"
            onset, duration = track.span(first, last)
            peak, value = float(track.times[at]), float(most[at])
            yield Event(
                kind, track.person, onset, duration, side, peak, value,
                names[which], usual[which], limit,
            )  # fmt: skip


def _runs(track: Track, chosen: Mask, shortest: float) -> Iterator[tuple[int, int]]:
    """Find runs of chosen frames that a gap in time does not interrupt, as first and last."""
    first: int | None = None
    for i in range(len(chosen) + 1):
        broken = i == len(chosen) or (
            i > 0 and track.times[i] - track.times[i - 1] > MAX_GAP_SECONDS
        )
        if first is not None and (broken or not chosen[i]):
            if track.span(first, i - 1)[1] >= shortest - 1e-9:
                yield first, i - 1
            first = None
        if i < len(chosen) and chosen[i] and first is None:
            first = i


def _moving_mean(values: Floats, width: float) -> Floats:
    """Average over a window of about ``width`` values, without those that are missing."""
    size = min(2 * max(1, round(width / 2)) + 1, 2 * ((len(values) - 1) // 2) + 1)
    known = ~np.isnan(values)
    kernel = np.ones(size)
    total = np.convolve(np.where(known, values, 0.0), kernel, "same")
    count = np.convolve(known.astype(np.float64), kernel, "same")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count > 0, total / count, np.nan), np.float64)
