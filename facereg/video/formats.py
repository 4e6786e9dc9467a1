"""The containers that a recording can be finished in, by the ending of its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Codecs of sound that MP4 holds and players play from it.
MP4_SOUND = frozenset(("aac", "mp3", "ac3", "eac3", "ac4", "alac", "opus", "flac", "dts"))


@dataclass(frozen=True)
class Format:
    """A container.

    Attributes:
        name: what users call it.
        muxer: ffmpeg's name of it.
        codecs: codecs that pictures are encoded in unless the user names one, best first.
        alpha_codecs: the same of pictures with alpha; none if it holds no alpha.
        sound: codecs of sound that it holds; None: whatever ffmpeg writes into it.
        sound_encoder: what other sound is encoded with.
        growing: ffmpeg's name of the container of the recording while it grows, fragmented.
        arguments: ffmpeg's, for the finished file.
    """

    name: str
    muxer: str
    codecs: tuple[str, ...]
    alpha_codecs: tuple[str, ...]
    sound: frozenset[str] | None
    sound_encoder: str = "aac"
    growing: str = "mp4"
    arguments: tuple[str, ...] = ()

    def copies(self, codec: str) -> bool:
        """Whether sound of a codec is copied as it is."""
        return self.sound is None or codec in self.sound


_FAST_START = ("-movflags", "+faststart")
MP4 = Format("MP4", "mp4", ("h264", "hevc", "av1", "vp9"), (), MP4_SOUND, arguments=_FAST_START)

#: The container of each ending.
FORMATS: Mapping[str, Format] = {
    ".mp4": MP4,
    ".mov": Format("MOV", "mov", ("h264", "hevc"), ("prores4444", "ffv1"), None, growing="mov",
                   arguments=_FAST_START),
    ".mkv": Format("Matroska", "matroska", MP4.codecs, ("vp9", "prores4444", "ffv1"), None),
    ".webm": Format("WebM", "webm", ("vp9", "av1"), ("vp9",),
                    frozenset(("opus", "vorbis")), "libopus"),
}  # fmt: skip
