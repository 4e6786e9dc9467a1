"""Decide what becomes of a source's sound. It never costs the pictures.

Each track is tried before the first frame (`plan_tracks`): it is copied if the container holds its
codec, else encoded again, else mixed down to fewer channels, else left out with a warning. What
fails only later, when the whole of it is read, is tried again in the same order (`replan_tracks`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from ..errors import MediaError
from . import probe
from .formats import Format
from .run import NOWHERE, NoRoomError, run_ffmpeg, try_ffmpeg

Audio = Literal["copy", "aac", "none"]

#: What becomes of a track, in the order in which it is tried: its packets are copied; it is encoded
#: again; the same with at most eight channels in a common layout; the same with all of its channels
#: in two.
Way = Literal["copy", "encode", "downmix", "mix"]
WAYS: tuple[Way, ...] = ("copy", "encode", "downmix", "mix")

#: Bits a second of sound that is encoded again.
BITRATE = "192k"

#: Seconds of each track that are tried before the first frame.
TRIAL_SECONDS = 5

#: Seconds of sound after the last picture that are worth a warning.
MIN_REST_SECONDS = 0.5

#: Layouts of at most eight channels, for sound in others.
COMMON_LAYOUTS = "7.1|5.1|stereo|mono"

#: Errors of a decoder do not end ffmpeg: what can be decoded is kept.
TOLERANT = ("-max_error_rate", "1")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Track:
    """A sound track of a source, and what becomes of it.

    Attributes:
        number: its place among the file's sound tracks, from 0.
        codec, layout: ffmpeg's names of its codec and channel layout.
        in_band: whether its packets say how they are to be decoded, so that it may change.
        way: what becomes of it.
    """

    number: int
    codec: str
    layout: str = ""
    in_band: bool = False
    way: Way = "copy"


@dataclass(frozen=True)
class Part:
    """The part of a file that was recorded.

    Attributes:
        start: seconds of the file's own clock at which it starts.
        from_start: whether that is where the pictures of the file start.
        duration: in seconds.
    """

    start: Fraction
    from_start: bool
    duration: Fraction


@dataclass(frozen=True)
class Sound:
    """The sound of a recording: tracks of a file, and the part of them that belongs to it."""

    media: Path
    tracks: tuple[Track, ...]
    part: Part
    format: Format


def plan_tracks(media: Path, audio: Audio, kind: Format) -> tuple[Track, ...]:
    """Choose what becomes of each sound track of a file, each tried on its first seconds.

    A warning is logged for each track that is left out or mixed down.

    Args:
        media: the file.
        audio: ``copy`` encodes only what the container cannot hold, ``aac`` every track; ``none``
            leaves all out.
        kind: the container of the recording.

    Returns:
        The tracks that are kept.
    """
    if audio == "none":
        return ()
    try:
        streams = [s for s in probe.read_streams(media, headers_only=True) if s.kind == "audio"]
    except MediaError as e:
        log.warning("%s: its sound cannot be read: %s", media.name, e)
        return ()
    tracks = tuple(
        Track(i, s.codec, s.layout, s.in_band, _first_way(s.codec, audio, kind))
        for i, s in enumerate(streams)
    )
    if not tracks or _try(media, tracks, kind) is None:
        return tracks
    return tuple(_choose_ways(media, tracks, kind))


def pixel_shape(media: Path) -> Fraction | None:
    """Read the width of a file's pixels over their height; None if it does not say."""
    try:
        streams = probe.read_streams(media, headers_only=True)
    except MediaError:
        return None
    return next((s.sar for s in streams if s.kind == "video"), None)


def replan_tracks(sound: Sound) -> Sound:
    """Choose again what becomes of each track, each tried on all of the recorded part.

    Tracks that have no sound in that part are left out without a warning.
    """
    try:
        tracks = with_sound(sound)
    except MediaError:
        tracks = sound.tracks
    return replace(sound, tracks=tuple(_choose_ways(sound.media, tracks, sound.format, sound.part)))


def encode_changing(sound: Sound) -> Sound:
    """Encode tracks whose sample rate or channels change, as broadcasts' do.

    A container that describes a track once, at its beginning, cannot hold such a one as it is.
    """
    tracks = (
        replace(track, way="encode")
        if track.codec == "aac" and track.way == "copy" and track.in_band and _changes(sound, track)
        else track
        for track in sound.tracks
    )
    return replace(sound, tracks=tuple(tracks))


def with_sound(sound: Sound) -> tuple[Track, ...]:
    """List the tracks with sound in the recorded part; warn of those that have none at all.

    Raises:
        MediaError: the file cannot be read.
    """
    streams = [s for s in probe.read_streams(sound.media) if s.kind == "audio"]
    start, end = sound.part.start, sound.part.start + sound.part.duration
    found = []
    for track in sound.tracks:
        stream = streams[track.number]
        if not stream.packets:
            log.warning(
                "%s: sound track %d (%s) is left out: it is empty, or damaged",
                *(sound.media.name, track.number + 1, track.codec),
            )
        elif stream.start < end and stream.end > start:
            found.append(track)
    return tuple(found)


def warn_of_rest(sound: Sound) -> None:
    """Warn if the sound goes on after the source's last picture: a recording ends with that."""
    end = sound.part.start + sound.part.duration
    try:
        streams = [s for s in probe.read_streams(sound.media, since=end) if s.packets]
    except MediaError as e:  # the recording is good even so
        log.warning("%s: its end cannot be read: %s", sound.media.name, e)
        return
    pictures = max((s.end for s in streams if s.kind == "video"), default=end)
    rest = max((s.end for s in streams if s.kind == "audio"), default=end) - end
    if rest > MIN_REST_SECONDS and pictures < end + MIN_REST_SECONDS / 2:
        log.warning(
            "%s: its sound goes on for %.1f s after its last picture, and is cut off there",
            *(sound.media.name, rest),
        )


def input_arguments(sound: Sound) -> list[str | Path]:
    """Write ffmpeg's arguments that read the sound with the recording's first picture at 0."""
    start = sound.part.start
    offset = f"{float(-start):.6f}"
    return [*probe.seek_arguments(start), "-itsoffset", offset, "-i", sound.media]


def track_arguments(track: Track, place: int, kind: Format, part: Part | None) -> list[str]:
    """Write ffmpeg's arguments for one track of an output, cut to what was recorded.

    Args:
        track: the track, and what becomes of it.
        place: its place among the output's sound tracks.
        kind: the container of the recording.
        part: what was recorded; None keeps all.
    """
    if track.way == "copy":
        return [f"-c:a:{place}", "copy", *(_copied_part(place, part) if part else ())]
    filters = [f"atrim=start=0:end={float(part.duration):.6f}"] if part else []
    filters += ["aresample=async=1", *_layout_filter(track)]
    return [f"-c:a:{place}", kind.sound_encoder, f"-b:a:{place}", BITRATE,
            f"-filter:a:{place}", ",".join(filters)]  # fmt: skip


def _copied_part(place: int, part: Part) -> list[str]:
    # A decoder's run-up has negative timestamps at the start of a file: it must stay.
    first, end = "-0.1" if part.from_start else "0", f"{float(part.duration):.6f}"
    return [f"-bsf:a:{place}", f"noise=drop='lt(pts*tb,{first})+gte(pts*tb,{end})'"]


def _layout_filter(track: Track) -> list[str]:
    if track.way == "downmix":
        return [f"aformat=channel_layouts={COMMON_LAYOUTS}"]
    count = re.match(r"(\d+) channels", track.layout)
    if track.way == "mix" and count:  # of channels that nobody knows the places of
        left, right = ("+".join(f"c{i}" for i in range(k, int(count[1]), 2)) for k in (0, 1))
        return [f"pan=stereo|FL<{left}|FR<{right or 'c0'}"]
    return []


def _first_way(codec: str, audio: Audio, kind: Format) -> Way:
    return "copy" if audio == "copy" and kind.copies(codec) else "encode"


def _choose_ways(
    media: Path, tracks: Sequence[Track], kind: Format, part: Part | None = None
) -> Iterator[Track]:
    """Yield each track with the first way that works; warn of those that none works for."""
    for track in tracks:
        reasons = []
        for way in WAYS[WAYS.index(track.way) :]:
            chosen = replace(track, way=way)
            failed = _try(media, [chosen], kind, part)
            if failed is None:
                if way in ("downmix", "mix"):
                    log.warning(
                        "%s: sound track %d (%s, %s) is mixed down: %s holds no such channels",
                        *(media.name, track.number + 1, track.codec, track.layout, kind.name),
                    )
                yield chosen
                break
            reasons += [failed] if way != "copy" else []
        else:
            log.warning(
                "%s: sound track %d (%s) is left out: %s",
                *(media.name, track.number + 1, track.codec, reasons[0]),
            )


def _try(
    media: Path, tracks: Sequence[Track], kind: Format, part: Part | None = None
) -> str | None:
    """Make the sound of a recording, and keep nothing of it.

    Args:
        media: the file.
        tracks: which of its tracks, and how.
        kind: the container of the recording.
        part: what of it; None is its first seconds.

    Returns:
        Why it failed, or None.
    """
    args: list[str | Path]
    if part is None:
        args = ["-t", str(TRIAL_SECONDS), "-i", media]
    else:
        args = ["-copyts", *input_arguments(Sound(media, tuple(tracks), part, kind))]
    for place, track in enumerate(tracks):
        args += ["-map", f"0:a:{track.number}", *track_arguments(track, place, kind, part)]
    try:
        run_ffmpeg(*TOLERANT, *args, "-f", kind.muxer, "-y", NOWHERE)
    except NoRoomError:
        return None  # which says nothing of the track
    except MediaError as e:
        return str(e)
    return None


def _changes(sound: Sound, track: Track) -> bool:
    """Decode a track to find out whether its sample rate or channels change."""
    end = f"{float(sound.part.duration):.6f}"
    try:
        messages = try_ffmpeg(
            *("-copyts", *input_arguments(sound), "-map", f"0:a:{track.number}"),
            *("-t", end, "-f", "null", "-"),
            level="info",
        ).messages
    except MediaError:
        return False
    return "audio parameters changed" in messages
