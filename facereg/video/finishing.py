"""Turn a grown recording into the file that was asked for: add its sound, read it back."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..errors import MediaError
from . import probe
from . import sound as soundtrack
from .sound import Audio, Sound
from .timeline import Grid


@dataclass(frozen=True)
class Recorded:
    """What was recorded, and from what.

    Attributes:
        grid: where its frames are.
        first, last: times of the first and the last frame, in seconds from the source's first.
        media: the file that the frames are from, or None where there is none.
        tracks: the codecs of its sound.
        audio: what becomes of them.
        one_more: whether a picture may have been sent that was not counted.
    """

    grid: Grid
    first: float
    last: float
    media: Path | None
    tracks: tuple[str, ...]
    audio: Audio
    one_more: bool = False


def end_of_last(recorded: Recorded) -> float | None:
    """Find when the last frame ends, in seconds from the source's first; None: after one slot.

    Raises:
        MediaError: the source cannot be read.
    """
    grid, media = recorded.grid, recorded.media
    if media is None or not (grid.repeated or grid.skipped):
        return None  # every frame lasts a slot, so the last one does
    start, after = probe.first_picture(media), recorded.last + 1e-3
    following, end = None, 0.0
    for shown, length in probe.pictures(media):
        time = float(shown - start)
        end = max(end, time + float(length))
        if time > after and (following is None or time < following):
            following = time
    return end if following is None else following


def finish(part: Path, recorded: Recorded, out: Path) -> dict[str, object]:
    """Write ``out`` from the finished pictures in ``part``, and tell what is in it.

    Raises:
        MediaError: it cannot be written, or it does not hold what was sent.
    """
    sound = _sound(recorded)
    soundtrack.mux(part, sound, out)
    if sound is not None:
        soundtrack.warn_of_rest(sound)
    return _verify(out, recorded, sound)


def _sound(recorded: Recorded) -> Sound | None:
    """Say which part of the source's sound belongs to the recording."""
    if recorded.media is None or not recorded.tracks:
        return None
    first = Fraction(recorded.first).limit_denominator(10**6)
    return Sound(
        media=recorded.media,
        codecs=recorded.tracks,
        start=probe.first_picture(recorded.media) + first,
        from_start=first < Fraction(1, 2) / recorded.grid.rate,
        duration=recorded.grid.duration,
        encode=recorded.audio == "aac",
    )


def _verify(out: Path, recorded: Recorded, sound: Sound | None) -> dict[str, object]:
    """Read a file back and compare it with what was sent.

    Raises:
        MediaError: they differ.
    """
    streams = probe.read(out)
    picture = next((s for s in streams if s.kind == "video"), probe.Stream())
    tracks = tuple(s.codec for s in streams if s.kind == "audio")
    sent, rate = recorded.grid.filled, recorded.grid.rate
    if recorded.one_more and picture.packets == sent + 1:
        sent += 1
    if picture.packets != sent or picture.duration != sent / rate:
        raise MediaError(
            f"reading it back gives {picture.packets} frames in {float(picture.duration):.3f} s, "
            f"but {sent} frames in {float(sent / rate):.3f} s were sent"
        )
    expected = sound.kept if sound is not None else ()
    if sound is not None and tracks != expected:
        expected = soundtrack.recorded(sound)  # a track may end before the recorded part begins
    if tracks != expected:
        raise MediaError(
            f"reading it back gives sound {', '.join(tracks) or 'none'}, but "
            f"{', '.join(expected) or 'none'} was to be kept"
        )
    return {
        "frames": picture.packets,
        "duration": round(float(picture.duration), 6),
        "rate": f"{rate.numerator}/{rate.denominator}",
        "codec": picture.codec,
        "audio": list(tracks),
        "repeated": recorded.grid.repeated,
        "skipped": recorded.grid.skipped,
        "verified": True,
    }
