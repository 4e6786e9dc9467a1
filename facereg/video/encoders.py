"""Choose a video encoder that the bundled ffmpeg has and that works on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import chain
from typing import Literal

from ..errors import MediaError, UsageError, nearest
from .formats import FORMATS, MP4, Format
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
    "prores": ("prores_ks",),
    "prores4444": ("prores_ks",),
    "ffv1": ("ffv1",),
}

#: What editors and archives want: no other encoder is tried than those above.
STUDIO_CODECS = ("prores", "prores4444", "ffv1")


@dataclass(frozen=True)
class Pixels:
    """How an encoder stores pixels, as ffmpeg names it.

    Attributes:
        plain: of pictures without alpha.
        alpha: of pictures with alpha; None if it takes none.
    """

    plain: str = "yuv420p"
    alpha: str | None = None

    def of(self, shape: Shape) -> str | None:
        """Return the one for some pictures; None if there is none."""
        return self.alpha if shape.alpha else self.plain


#: Of each codec.
PIXELS: Mapping[str, Pixels] = {
    "h264": Pixels(),
    "hevc": Pixels(),
    "av1": Pixels(),
    "vp9": Pixels(alpha="yuva420p"),
    "prores": Pixels("yuv422p10le"),
    "prores4444": Pixels("yuv444p10le", "yuva444p10le"),
    "ffv1": Pixels("bgr0", "bgra"),
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
        alpha: whether they have alpha.
    """

    width: int
    height: int
    rate: Fraction
    sar: Fraction | None = None
    alpha: bool = False

    @property
    def input(self) -> str:
        """The name that ffmpeg has for their pixels as they are sent."""
        return "bgra" if self.alpha else "bgr24"

    @property
    def frame_bytes(self) -> int:
        """Bytes of a picture as it is sent."""
        return self.width * self.height * (4 if self.alpha else 3)

    @property
    def bits_per_second(self) -> float:
        """An estimate of the bits of a second in H.264, on the safe side."""
        return self.width * self.height * float(self.rate) * BITS_PER_PIXEL


#: What encoders are tried on if there is no recording yet.
EXAMPLE_SHAPE = Shape(256, 256, Fraction(25))


@dataclass(frozen=True)
class Encoder:
    """An encoder that works, and how it is given its pictures.

    Attributes:
        arguments: ffmpeg's, from ``-c:v`` on.
        pixels: ffmpeg's name of the pixels that it stores.
        growing: ffmpeg's name of a container that holds them while they grow.
    """

    arguments: tuple[str, ...]
    pixels: str = "yuv420p"
    growing: str = "mp4"

    @property
    def is_rgb(self) -> bool:
        """Whether it stores colours as they are drawn, without loss."""
        return self.pixels.startswith(("bgr", "gbr"))


def choose_encoder(quality: Quality, shape: Shape, kind: Format) -> Encoder:
    """Find the first encoder that works here.

    Args:
        quality: what the user wants.
        shape: the pictures.
        kind: the container that they go into.

    Raises:
        MediaError: none works; the message lists those that do.
    """
    failed = []
    codecs = kind.alpha_codecs if shape.alpha else kind.codecs
    for codec, name in _candidates(quality.codec, codecs):
        pixels = PIXELS.get(codec, Pixels()).of(shape)
        if pixels is None:
            continue
        chosen = replace(quality, codec=codec)
        encoder = Encoder(
            tuple(encoder_arguments(name, chosen, shape)), pixels, _growing(codec, shape, kind)
        )
        reason = _try(name, encoder, shape, kind)
        if reason is None:
            return encoder
        failed.append(f"{name}: {reason}")
    tried = "; ".join(failed) or "this ffmpeg has no encoder for it"
    where = f"codec={quality.codec} at {shape.width}x{shape.height} in {kind.name}"
    raise MediaError(f"{where}: {tried}; {_offer()}")


def holds_alpha(quality: Quality, kind: Format) -> bool:
    """Whether a recording in a container keeps transparency."""
    if quality.codec == "auto":
        return bool(kind.alpha_codecs)
    codec = quality.codec if quality.codec in CODECS else _listed().get(quality.codec, "")
    return codec in kind.alpha_codecs


def _growing(codec: str, shape: Shape, kind: Format) -> str:
    """Name a container for the growing file: MP4 holds no FFV1, no ProRes and no alpha of VP9."""
    if codec.startswith("prores"):
        return "mov"
    return "matroska" if codec == "ffv1" or (codec == "vp9" and shape.alpha) else kind.growing


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


def _prores(quality: Quality) -> list[str]:
    # Its data rate belongs to its profile: HQ, or 4444.
    profile = "4444" if quality.codec == "prores4444" else "hq"
    return ["-profile:v", profile, "-vendor", "apl0", "-alpha_bits", "16"]


def _ffv1(_: Quality) -> list[str]:
    # What archives use: every picture by itself, with checksums.
    return ["-level", "3", "-g", "1", "-slices", "16", "-slicecrc", "1"]


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
    "libaom-av1": _libaom, "libvpx-vp9": _vp9, "prores_ks": _prores, "ffv1": _ffv1,
}  # fmt: skip


def _crf_of_63(quality: Quality) -> str:
    """Convert x264's scale of 0 to 51 into that of AV1 and VP9, which ends at 63."""
    return str(round(quality.crf * 63 / 51))


def _slowness(quality: Quality) -> int:
    return PRESETS.index(quality.preset)


def _candidates(codec: str, codecs: tuple[str, ...]) -> list[tuple[str, str]]:
    """List codecs and encoders of this ffmpeg that are meant by a codec's or an encoder's name."""
    if codec != "auto" and codec not in CODECS:
        return [(_listed()[codec], codec)] if codec in _listed() else []
    found = []
    for one in codecs if codec == "auto" else (codec,):
        others = [name for name, made in _listed().items() if made == one]
        names = [name for name in CODECS[one] if name in _listed()]
        if one not in STUDIO_CODECS:
            names += [name for name in others if name not in CODECS[one]]
        found += [(one, name) for name in names]
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
def _try(name: str, encoder: Encoder, shape: Shape, kind: Format = MP4) -> str | None:
    """Encode three pictures into a container; return why that failed, or None."""
    if name == "libx264" and "h264" in kind.codecs:
        return None  # takes every even size on every machine, and is what nearly every run uses
    rate = f"{shape.rate.numerator}/{shape.rate.denominator}"
    picture = f"color=size={shape.width}x{shape.height}:rate={rate},format={shape.input}"
    encode = ("-frames:v", "3", "-pix_fmt", encoder.pixels, *encoder.arguments)
    into = [(*encode, "-f", muxer, "-y", NOWHERE) for muxer in {encoder.growing, kind.muxer}]
    try:
        run_ffmpeg("-f", "lavfi", "-i", picture, *chain.from_iterable(into))
    except MediaError as e:
        return str(e)
    return None


def _working(codec: str) -> Iterator[str]:
    kind = FORMATS[".mkv"] if codec in STUDIO_CODECS else MP4
    for codec_, name in _candidates(codec, ()):
        quality = Quality(codec_)
        arguments = tuple(encoder_arguments(name, quality, EXAMPLE_SHAPE))
        growing = _growing(codec_, EXAMPLE_SHAPE, kind)
        encoder = Encoder(arguments, PIXELS[codec_].plain, growing)
        if _try(name, encoder, EXAMPLE_SHAPE, kind) is None:
            yield name


def _offer() -> str:
    """List the codecs that work here, each with its encoder, as the end of an error."""
    first = {codec: next(_working(codec), None) for codec in CODECS}
    names = [f"{codec} ({name})" for codec, name in first.items() if name]
    return f"available here: {', '.join(names) or 'none'}"
