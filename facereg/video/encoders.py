"""Choose a video encoder that the bundled ffmpeg really has and that works on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Literal

from ..errors import MediaError, SinkError
from .run import output_lines, run_ffmpeg

Codec = Literal["auto", "h264", "hevc", "av1", "vp9"]
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
           "veryslow")  # fmt: skip

#: Encoders of each codec, the most predictable first; those that need a device come last.
ENCODERS: dict[str, tuple[str, ...]] = {
    "h264": ("libx264", "libopenh264", "h264_videotoolbox", "h264_nvenc", "h264_qsv", "h264_amf"),
    "hevc": ("libx265", "hevc_videotoolbox", "hevc_nvenc", "hevc_qsv", "hevc_amf"),
    "av1": ("libsvtav1", "libaom-av1", "av1_nvenc", "av1_qsv", "av1_amf"),
    "vp9": ("libvpx-vp9",),
}

#: Pictures that an encoder may hold back and threads it may use: a run that is killed loses them.
LOOKAHEAD, THREADS = 6, 4


def choose(
    codec: Codec, crf: int, preset: Preset, size: tuple[int, int], rate: Fraction
) -> tuple[str, list[str]]:
    """Find the first encoder of a codec that encodes pictures of that size here.

    Args:
        codec: ``auto`` means H.264 and, where there is no encoder for it, any other.
        crf: 0 (lossless) to 51, on x264's scale whatever the encoder.
        preset: speed, in x264's words.
        size: width and height in pixels, both even.
        rate: frames a second.

    Returns:
        The encoder's name, and ffmpeg's arguments for it.

    Raises:
        SinkError: none works; the message says what does.
    """
    failed = []
    for name in _candidates(codec):
        options = arguments(name, crf, preset)
        reason = _trial(name, tuple(options), size, rate)
        if reason is None:
            return name, options
        failed.append(f"{name}: {reason}")
    tried = "; ".join(failed) or "this ffmpeg has no encoder for it"
    raise SinkError(f"codec={codec} at {size[0]}x{size[1]}: {tried}; {_offer()}")


def check(codec: Codec) -> None:
    """Fail early where this ffmpeg has no encoder for a codec.

    Raises:
        SinkError: it has none.
    """
    if not _candidates(codec):
        raise SinkError(f"codec={codec}: this ffmpeg has no encoder for it; {_offer()}")


def working() -> dict[str, list[str]]:
    """List the encoders that work on this machine, by codec, each tried on three pictures."""
    size, rate = (256, 256), Fraction(25)
    return {
        codec: [
            name
            for name in _candidates(codec)
            if _trial(name, tuple(arguments(name, 23, "fast")), size, rate) is None
        ]
        for codec in ENCODERS
    }


def arguments(name: str, crf: int, preset: Preset) -> list[str]:
    """Write an encoder's quality and speed options."""
    wide = str(round(crf * 63 / 51))  # AV1 and VP9 count to 63
    speed = PRESETS.index(preset)
    by_name: dict[str, Callable[[], list[str]]] = {
        "libx264": lambda: [
            "-crf", str(crf), "-preset", preset, "-rc-lookahead", str(LOOKAHEAD),
            "-threads", str(min(THREADS, os.cpu_count() or 1)), "-x264-params", "sync-lookahead=0",
        ],
        "libx265": lambda: [
            "-crf", str(crf), "-preset", preset, "-tag:v", "hvc1",
            "-x265-params", f"log-level=error:rc-lookahead={LOOKAHEAD}",
        ],
        "libsvtav1": lambda: ["-crf", wide, "-preset", str(12 - speed)],
        "libaom-av1": lambda: [
            "-crf", wide, "-b:v", "0", "-cpu-used", str(max(2, 9 - speed)), "-row-mt", "1",
            "-usage", "realtime",
        ],
        "libvpx-vp9": lambda: [
            "-crf", wide, "-b:v", "0", "-deadline", "realtime" if speed < 4 else "good",
            "-cpu-used", str(max(1, 8 - speed)), "-row-mt", "1",
        ],
        "libopenh264": lambda: ["-rc_mode", "quality", "-qmin", str(crf), "-qmax", str(crf)],
    }  # fmt: skip
    by_device: dict[str, Callable[[], list[str]]] = {
        "nvenc": lambda: ["-rc", "vbr", "-cq", str(crf), "-b:v", "0"],
        "qsv": lambda: ["-global_quality", str(max(1, crf))],
        "amf": lambda: ["-rc", "cqp", "-qp_i", str(crf), "-qp_p", str(crf)],
        "videotoolbox": lambda: ["-q:v", str(round(100 - crf * 100 / 51)), "-allow_sw", "1"],
    }
    options = by_name.get(name) or by_device[name.rpartition("_")[2]]
    tag = ["-tag:v", "hvc1"] if name.startswith("hevc_") else []
    return ["-c:v", name, *options(), *tag]


def _candidates(codec: Codec | str) -> list[str]:
    codecs = tuple(ENCODERS) if codec == "auto" else (codec,)
    return [name for c in codecs for name in ENCODERS[c] if name in _listed()]


@cache
def _listed() -> frozenset[str]:
    """Ask ffmpeg for its video encoders."""
    rows = [line.split() for line in output_lines("-encoders")]
    return frozenset(row[1] for row in rows if len(row) > 1 and row[0].startswith("V"))


@cache
def _trial(
    name: str, options: tuple[str, ...], size: tuple[int, int], rate: Fraction
) -> str | None:
    """Encode three pictures; return why that failed, or None."""
    if name == "libx264":
        return None  # takes every even size on every machine, and is what nearly every run uses
    picture = f"color=size={size[0]}x{size[1]}:rate={rate.numerator}/{rate.denominator}"
    try:
        run_ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", "3", "-pix_fmt", "yuv420p",
                   *options, "-f", "null", "-")  # fmt: skip
    except MediaError as e:
        return str(e)
    return None


def _offer() -> str:
    names = [f"{codec} ({names[0]})" for codec, names in working().items() if names]
    return f"available here: {', '.join(names) or 'none'}"
