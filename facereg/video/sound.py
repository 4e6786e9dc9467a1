"""Bring a finished picture and its source's sound together in an MP4."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from ..errors import MediaError
from . import probe
from .run import run_ffmpeg

log = logging.getLogger(__name__)

Audio = Literal["copy", "aac", "none"]

#: Codecs that MP4 holds and players play from it; all others become AAC.
COPIED = frozenset(("aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts"))

#: Bits a second of sound that is encoded again.
BITRATE = "192k"

#: Seconds of sound after the last picture that are worth a word.
REST = 0.5


@dataclass(frozen=True)
class Sound:
    """The sound tracks of a source and the part of them that was recorded.

    Attributes:
        media: the file that they are in.
        codecs: ffmpeg's name of each track's codec.
        start: seconds of the file's own clock at which the recording starts.
        from_start: whether the recording starts where the source does.
        duration: seconds recorded.
        encode: whether to encode every track again.
    """

    media: Path
    codecs: tuple[str, ...]
    start: Fraction = Fraction(0)
    from_start: bool = True
    duration: Fraction = Fraction(0)
    encode: bool = False
    kept: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", tuple(c if self.copies(c) else "aac" for c in self.codecs))

    def copies(self, codec: str) -> bool:
        """Whether a track of that codec is copied as it is."""
        return codec in COPIED and not self.encode


def mux(picture: Path, sound: Sound | None, out: Path) -> None:
    """Write picture and sound into one MP4, with its index at the front.

    Raises:
        MediaError: ffmpeg failed.
    """
    inputs: list[str | Path] = ["-copyts", "-i", picture]
    outputs: list[str | Path] = ["-map", "0:v", "-c:v", "copy"]
    if sound is not None:
        inputs += _input(sound)
        outputs += ["-map", "1:a"]
        for i, codec in enumerate(sound.codecs):
            outputs += _track(i, sound, sound.copies(codec))
    # Chapters and tags of the source do not belong to a part of it, and tags may tell a place.
    outputs += ["-map_metadata", "0", "-map_chapters", "-1", "-movflags", "+faststart"]
    run_ffmpeg(*inputs, *outputs, "-f", "mp4", "-y", out)


def _input(sound: Sound) -> list[str | Path]:
    """Read the sound with the recording's first picture at 0."""
    return [*probe.seek(sound.start), "-itsoffset", _seconds(-sound.start), "-i", sound.media]


def _track(number: int, sound: Sound, copied: bool) -> list[str]:
    """Cut one track to what was recorded."""
    end = _seconds(sound.duration)
    if copied:
        # A decoder's run-up has negative timestamps at the start of a file: it must stay.
        first = "-0.1" if sound.from_start else "0"
        drop = f"noise=drop='lt(pts*tb,{first})+gte(pts*tb,{end})'"
        return [f"-c:a:{number}", "copy", f"-bsf:a:{number}", drop]
    return [f"-c:a:{number}", "aac", f"-b:a:{number}", BITRATE,
            f"-filter:a:{number}", f"atrim=start=0:end={end},aresample=async=1"]  # fmt: skip


def recorded(sound: Sound) -> tuple[str, ...]:
    """Say which codecs the tracks that have any sound in the recorded part are kept in."""
    streams = probe.read(sound.media)
    tracks = [s for s in streams if s.kind == "audio"]
    return tuple(
        codec
        for codec, track in zip(sound.kept, tracks, strict=True)
        if track.packets and track.start < sound.start + sound.duration and track.end > sound.start
    )


def warn_of_rest(sound: Sound) -> None:
    """Tell where the sound goes on after the source's last picture: a recording ends with that."""
    end = sound.start + sound.duration
    try:
        streams = [s for s in probe.read(sound.media, since=end) if s.packets]
    except MediaError as e:  # the recording is good even so
        log.warning("%s: its end cannot be read: %s", sound.media, e)
        return
    pictures = max((s.end for s in streams if s.kind == "video"), default=end)
    rest = max((s.end for s in streams if s.kind == "audio"), default=end) - end
    if rest > REST and pictures < end + REST / 2:
        log.warning(
            "%s: its sound goes on for %.1f s after its last picture, and is cut off there",
            *(sound.media.name, rest),
        )


def _seconds(value: Fraction) -> str:
    return f"{float(value):.6f}"


def find(media: Path | None, audio: Audio) -> tuple[tuple[str, ...], Fraction | None]:
    """Ask what sound a source has, and the shape of its pixels.

    Returns:
        The codec of each track to be kept, and width over height of a pixel, where known.
    """
    if media is None:
        return (), None
    try:
        streams = probe.read(media, headers_only=True)
    except MediaError as e:
        if audio != "none":
            log.warning("%s: its sound cannot be read: %s", media, e)
        return (), None
    sar = next((s.sar for s in streams if s.kind == "video"), None)
    codecs = tuple(s.codec for s in streams if s.kind == "audio")
    return (() if audio == "none" else codecs), sar
