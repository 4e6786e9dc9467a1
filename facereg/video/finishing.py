"""Turn finished pictures into the file that was asked for: add the sound, read it back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..errors import MediaError
from . import probe
from . import sound as soundtrack
from .formats import Format
from .run import NoRoomError, run_ffmpeg
from .sound import Part, Sound, Track
from .tags import tag_arguments
from .timeline import Timeline

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """What was recorded, and from what.

    Attributes:
        timeline: where its frames are.
        first, last: times of the first and the last frame, in seconds from the source's first.
        media: the file that the frames are from, if they are from one.
        tracks: the sound tracks of that file that belong into the recording.
        format: the container.
        one_more: whether a picture may have been sent that was not counted.
        comment: what the file says of itself.
    """

    timeline: Timeline
    first: float
    last: float
    media: Path | None
    tracks: tuple[Track, ...]
    format: Format
    one_more: bool = False
    comment: str = ""


def end_of_last(recorded: Recorded) -> float | None:
    """Find when the last frame ends, in seconds from the source's first; None: after one slot."""
    timeline, media = recorded.timeline, recorded.media
    if media is None or not (timeline.repeated or timeline.skipped):
        return None  # every frame lasts a slot, so the last one does
    after, following, end = recorded.last + 1e-3, None, 0.0
    try:
        start = probe.first_picture_time(media)
        for shown, length in probe.picture_times(media):
            time = float(shown - start)
            end = max(end, time + float(length))
            if time > after and (following is None or time < following):
                following = time
    except MediaError as e:
        log.warning("%s: how long its last picture is shown cannot be read: %s", media.name, e)
        return None
    return end if following is None else following


def finish(part: Path, recorded: Recorded, out: Path) -> dict[str, object]:
    """Write ``out`` from the finished pictures in ``part``, and report what is in it.

    Sound that cannot be added is left out with a warning.

    Returns:
        Frames, duration, rate, codec and sound as they were read back, as plain JSON values.

    Raises:
        MediaError: it cannot be written, or its pictures are not those that were sent.
    """
    sound = _add_sound(part, recorded, out)
    if sound is not None:
        soundtrack.warn_of_rest(sound)
    return _verify(out, recorded, sound)


def mux(
    picture: Path, sound: Sound | None, kind: Format, out: Path, tags: Sequence[str] = ()
) -> None:
    """Write picture and sound into one file.

    Args:
        picture: the file with the pictures.
        sound: what is added, if anything.
        kind: the container.
        out: the file.
        tags: ffmpeg's arguments for its tags.

    Raises:
        NoRoomError: there is no room for it.
        MediaError: ffmpeg failed.
    """
    inputs: list[str | Path] = [*soundtrack.TOLERANT, "-copyts", "-i", picture]
    outputs: list[str | Path] = ["-map", "0:v", "-c:v", "copy"]
    if sound is not None:
        inputs += soundtrack.input_arguments(sound)
        for place, track in enumerate(sound.tracks):
            outputs += ["-map", f"1:a:{track.number}"]
            outputs += soundtrack.track_arguments(track, place, kind, sound.part)
    # Chapters and tags of the source do not belong to a part of it, and tags may tell a place.
    outputs += ["-map_metadata", "0", "-map_chapters", "-1", *tags, *kind.arguments]
    run_ffmpeg(*inputs, *outputs, "-f", kind.muxer, "-y", out)


def _add_sound(part: Path, recorded: Recorded, out: Path) -> Sound | None:
    """Write the file with all of the sound that can be added; return that sound.

    Raises:
        MediaError: it cannot even be written without sound.
    """
    sound = _sound_of(recorded)
    first = Fraction(recorded.first).limit_denominator(10**6)
    tags = tag_arguments(recorded.media, first, recorded.timeline.rate, recorded.comment)
    if sound is not None:
        try:
            mux(part, sound, recorded.format, out, tags)
        except NoRoomError:
            raise
        except MediaError as e:
            log.debug("%s: adding its sound failed: %s", sound.media.name, e)
            sound = _add_other_sound(part, soundtrack.replan_tracks(sound), out, tags)
    if sound is None:
        mux(part, None, recorded.format, out, tags)
    return sound


def _add_other_sound(part: Path, sound: Sound, out: Path, tags: Sequence[str]) -> Sound | None:
    if not sound.tracks:
        return None
    try:
        mux(part, sound, sound.format, out, tags)
    except NoRoomError:
        raise
    except MediaError as e:
        log.warning("%s: its sound is left out: %s", sound.media.name, e)
        return None
    return sound


def _sound_of(recorded: Recorded) -> Sound | None:
    """Find out which part of the source's sound belongs to the recording."""
    media = recorded.media
    if media is None or not recorded.tracks:
        return None
    first = Fraction(recorded.first).limit_denominator(10**6)
    try:
        start = probe.first_picture_time(media) + first
    except MediaError as e:
        log.warning("%s: its sound is left out: %s", media.name, e)
        return None
    from_start = first < Fraction(1, 2) / recorded.timeline.rate
    part = Part(start, from_start, recorded.timeline.duration)
    return soundtrack.encode_changing(Sound(media, recorded.tracks, part, recorded.format))


def _verify(out: Path, recorded: Recorded, sound: Sound | None) -> dict[str, object]:
    """Read a file back and compare it with what was sent.

    Raises:
        MediaError: its pictures differ.
    """
    streams = probe.read_streams(out)
    picture = next((s for s in streams if s.kind == "video"), probe.Stream())
    tracks = tuple(s.codec for s in streams if s.kind == "audio")
    sent, rate = recorded.timeline.filled, recorded.timeline.rate
    if recorded.one_more and picture.packets == sent + 1:
        sent += 1
    if picture.packets != sent or abs(picture.duration - sent / rate) > _rounding(picture, rate):
        raise MediaError(
            f"reading it back gives {picture.packets} frames in {float(picture.duration):.3f} s, "
            f"but {sent} frames in {float(sent / rate):.3f} s were sent"
        )
    _check_sound(tracks, sound)
    return {
        "frames": picture.packets,
        "duration": round(float(picture.duration), 6),
        "rate": f"{rate.numerator}/{rate.denominator}",
        "codec": picture.codec,
        "audio": list(tracks),
        "repeated": recorded.timeline.repeated,
        "skipped": recorded.timeline.skipped,
        "verified": True,
    }


def _rounding(picture: probe.Stream, rate: Fraction) -> Fraction:
    """Say by how much a container's clock may change a duration."""
    exact = (1 / rate / picture.clock).denominator == 1
    return Fraction(0) if exact else 2 * picture.clock


def _check_sound(tracks: tuple[str, ...], sound: Sound | None) -> None:
    """Warn if a file has fewer sound tracks than it was to have."""
    if sound is None or len(tracks) >= len(sound.tracks):
        return
    try:  # a track may end before the recorded part begins
        kept = soundtrack.with_sound(sound)
    except MediaError:
        kept = sound.tracks
    if len(tracks) < len(kept):
        log.warning(
            "%s: its sound is not complete: the recording has %d of %d tracks",
            *(sound.media.name, len(tracks), len(kept)),
        )
