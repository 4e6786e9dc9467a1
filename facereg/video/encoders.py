"""Choose a video encoder that the bundled ffmpeg has and that works on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import chain
from typing import Literal

from ..errors import MediaError, UsageError, nearest
from .formats import MP4, Format
from .run import NOWHERE, output_lines, run_ffmpeg

Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
           "veryslow")  # fmt: skip

#: Codecs that players know, the most widely played first, and the encoders whose quality and speed
#: facereg sets, the most predictable first.
CODECS: Mapping[str, tuple[str, ...]] = {
    "h264": ("libx264", "libopenh264"),
    "hevc": ("libx265",),
    "av1": ("libsvtav1", "libaom-av1"),
    "vp9": ("libvpx-vp9",),
}

#: Pictures that an encoder may hold back and threads that it may use: a killed run loses them.
LOOKAHEAD_PICTURES, THREADS = 6, 4

#: Bits a pixel of a recording: plenty for H.264 at crf 18.
BITS_PER_PIXEL = 0.2


@dataclass(frozen=True)
class Quality:
    """How pictures are encoded.

    Attributes:
        codec: ``auto``, a codec of `CODECS`, or the name of one of ffmpeg's encoders.
        crf: 0 (lossless) to 51, on x264's scale, whatever the encoder.
        preset: speed, in x264's words.
    """

    codec: str = "auto"
    crf: int = 18
    preset: Preset = "veryfast"


@dataclass(frozen=True)
class Shape:
    """What pictures are encoded.

    Attributes:
        width, height: in pixels, both even.
        rate: pictures a second.
        sar: width of a pixel over its height; None if unknown, so square.
    """

    width: int
    height: int
    rate: Fraction
    sar: Fraction | None = None

    @property
    def bits_per_second(self) -> float:
        """An estimate of the bits of a second, on the safe side."""
        return self.width * self.height * float(self.rate) * BITS_PER_PIXEL


#: What encoders are tried on if there is no recording yet.
EXAMPLE_SHAPE = Shape(256, 256, Fraction(25))


def choose_encoder(quality: Quality, shape: Shape, kind: Format) -> list[str]:
    """Find the first encoder that works here.

    Args:
        quality: what the user wants.
        shape: the pictures.
        kind: the container that they go into.

    Returns:
        ffmpeg's arguments for it, from ``-c:v`` on.

    Raises:
        MediaError: none works; the message lists those that do.
    """
    failed = []
    for name in _candidates(quality.codec, kind.codecs):
        options = encoder_arguments(name, quality, shape)
        reason = _try(name, tuple(options), shape, kind)
        if reason is None:
            return options
        failed.append(f"{name}: {reason}")
    tried = "; ".join(failed) or "this ffmpeg has no encoder for it"
    where = f"codec={quality.codec} at {shape.width}x{shape.height} in {kind.name}"
    raise MediaError(f"{where}: {tried}; {_offer()}")


def check_codec(codec: str) -> None:
    """Check that there is an encoder for a codec, before anything else is done.

    Raises:
        UsageError: there is no codec or encoder of that name.
        MediaError: this ffmpeg has no encoder for that codec.
    """
    if codec == "auto" or codec in CODECS:
        if not _candidates(codec, tuple(CODECS)):
            raise MediaError(f"codec={codec}: this ffmpeg has no encoder for it; {_offer()}")
    elif codec not in _listed():
        known = {"auto", *CODECS, *_listed()}
        raise UsageError(f"codec={codec}: no such codec or encoder; {nearest(codec, known)}")


def working_encoders() -> dict[str, list[str]]:
    """List the encoders that work on this machine, by codec, each tried on three pictures."""
    return {codec: list(_working(codec)) for codec in CODECS}


def encoder_arguments(name: str, quality: Quality, shape: Shape) -> list[str]:
    """Write an encoder's quality and speed options.

    An encoder that facereg does not know gets a bit rate that is plenty for H.264.
    """
    known = _KNOWN.get(name)
    options = known(quality) if known else ["-b:v", str(round(shape.bits_per_second))]
    tag = ["-tag:v", "hvc1"] if _listed().get(name) == "hevc" else []  # for Apple's players
    return ["-c:v", name, *options, *tag]


def _x264(quality: Quality) -> list[str]:
    threads = min(THREADS, os.cpu_count() or 1)
    return ["-crf", str(quality.crf), "-preset", quality.preset,
            "-rc-lookahead", str(LOOKAHEAD_PICTURES), "-threads", str(threads),
            "-x264-params", "sync-lookahead=0"]  # fmt: skip


def _x265(quality: Quality) -> list[str]:
    parameters = f"log-level=error:rc-lookahead={LOOKAHEAD_PICTURES}"
    return ["-crf", str(quality.crf), "-preset", quality.preset, "-x265-params", parameters]


def _openh264(quality: Quality) -> list[str]:
    return ["-rc_mode", "quality", "-qmin", str(quality.crf), "-qmax", str(quality.crf)]


def _svtav1(quality: Quality) -> list[str]:
    return ["-crf", _crf_of_63(quality), "-preset", str(12 - _slowness(quality))]


def _libaom(quality: Quality) -> list[str]:
    return ["-crf", _crf_of_63(quality), "-b:v", "0", "-row-mt", "1", "-usage", "realtime",
            "-cpu-used", str(max(2, 9 - _slowness(quality)))]  # fmt: skip


def _vp9(quality: Quality) -> list[str]:
    slowness = _slowness(quality)
    return ["-crf", _crf_of_63(quality), "-b:v", "0", "-row-mt", "1",
            "-deadline", "realtime" if slowness < 4 else "good",
            "-cpu-used", str(max(1, 8 - slowness))]  # fmt: skip


_KNOWN: Mapping[str, Callable[[Quality], list[str]]] = {
    "libx264": _x264, "libopenh264": _openh264, "libx265": _x265, "libsvtav1": _svtav1,
    "libaom-av1": _libaom, "libvpx-vp9": _vp9,
}  # fmt: skip


def _crf_of_63(quality: Quality) -> str:
    """Convert x264's scale of 0 to 51 into that of AV1 and VP9, which ends at 63."""
    return str(round(quality.crf * 63 / 51))


def _slowness(quality: Quality) -> int:
    return PRESETS.index(quality.preset)


def _candidates(codec: str, codecs: tuple[str, ...]) -> list[str]:
    """List the encoders of this ffmpeg that are meant by a codec's or an encoder's name."""
    if codec != "auto" and codec not in CODECS:
        return [codec] if codec in _listed() else []
    found = []
    for one in codecs if codec == "auto" else (codec,):
        others = [name for name, made in _listed().items() if made == one]
        found += [name for name in CODECS[one] if name in _listed()]
        found += [name for name in others if name not in CODECS[one]]
    return found


@cache
def _listed() -> Mapping[str, str]:
    """Ask ffmpeg for its video encoders, and the codec of each."""
    found = {}
    for line in output_lines("-encoders"):
        row = re.match(r" V\S* +(\w\S*) .*?(?:\(codec (\w+)\))?$", line.rstrip())
        if row:
            found[row[1]] = row[2] or row[1]
    return found


@cache
def _try(name: str, options: tuple[str, ...], shape: Shape, kind: Format = MP4) -> str | None:
    """Encode three pictures into a container; return why that failed, or None."""
    if name == "libx264" and "h264" in kind.codecs:
        return None  # takes every even size on every machine, and is what nearly every run uses
    rate = f"{shape.rate.numerator}/{shape.rate.denominator}"
    picture = f"color=size={shape.width}x{shape.height}:rate={rate}"
    encode = ("-frames:v", "3", "-pix_fmt", "yuv420p", *options)
    into = [(*encode, "-f", muxer, "-y", NOWHERE) for muxer in {kind.growing, kind.muxer}]
    try:
        run_ffmpeg("-f", "lavfi", "-i", picture, *chain.from_iterable(into))
    except MediaError as e:
        return str(e)
    return None


def _working(codec: str) -> Iterator[str]:
    for name in _candidates(codec, ()):
        options = encoder_arguments(name, Quality(), EXAMPLE_SHAPE)
        if _try(name, tuple(options), EXAMPLE_SHAPE) is None:
            yield name


def _offer() -> str:
    """List the codecs that work here, each with its encoder, as the end of an error."""
    first = {codec: next(_working(codec), None) for codec in CODECS}
    names = [f"{codec} ({name})" for codec, name in first.items() if name]
    return f"available here: {', '.join(names) or 'none'}"
