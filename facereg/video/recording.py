"""Encode pictures into a growing, fragmented MP4 that plays at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .. import output
from ..errors import MediaError
from ..types import Image
from . import encoders, probe
from .encoders import Codec, Preset
from .run import FrameWriter

#: Bits a pixel of a recording, for the estimate of its size: plenty at crf 18.
BITS_PER_PIXEL = 0.2

#: Microseconds of a fragment: what a crash may lose, beside what the encoder holds back.
FRAGMENT = 400_000


@dataclass(frozen=True)
class Quality:
    """What a user wishes of an encoder; `encoders.choose` says what the values mean."""

    codec: Codec = "auto"
    crf: int = 18
    preset: Preset = "veryfast"


@dataclass(frozen=True)
class Shape:
    """What pictures are encoded.

    Attributes:
        width, height: in pixels, both even.
        rate: a second.
        sar: width of a pixel over its height; None where nothing is known, so square.
    """

    width: int
    height: int
    rate: Fraction
    sar: Fraction | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    def estimate(self, seconds: float) -> float:
        """Guess the bytes of so many seconds, on the safe side."""
        return self.width * self.height * float(self.rate) * seconds * BITS_PER_PIXEL / 8


def start(part: Path, shape: Shape, quality: Quality) -> FrameWriter:
    """Start an encoder that takes BGR pictures and writes ``part``.

    Raises:
        SinkError: no encoder works, or it cannot be started.
    """
    _, options = encoders.choose(quality.codec, quality.crf, quality.preset, shape.size, shape.rate)
    return FrameWriter(_command(part, shape, options), shape.width * shape.height * 3)


def check_room(path: Path, shape: Shape, duration: float | None) -> None:
    """Check that the disk has room for the first minute, or all of a shorter recording.

    Raises:
        SinkError: it has not.
    """
    seconds = min(60.0, duration or 60.0)
    what = "its first minute" if seconds == 60 else f"a recording of {seconds:.1f} s"
    # Twice: while it is finished, it is on the disk once more.
    output.check_room(path, 2 * shape.estimate(seconds), what)


def even(picture: Image) -> Image:
    """Repeat the last row and column of an odd size: yuv420p has no odd sizes."""
    import cv2
    import numpy as np

    down, right = picture.shape[0] % 2, picture.shape[1] % 2
    if not (down or right):
        return np.ascontiguousarray(picture)
    return np.asarray(
        cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_REPLICATE), np.uint8
    )


def _command(part: Path, shape: Shape, options: list[str]) -> list[str | Path]:
    # Players that know no better take BT.709 from this size on; here it is said and done.
    colors = "bt709" if shape.width >= 1280 or shape.height > 576 else "smpte170m"
    filters = [
        f"scale=in_range=pc:out_color_matrix={colors}:out_range=tv:flags=bicubic+accurate_rnd",
        "format=yuv420p",
        f"setparams=colorspace={colors}:color_primaries={colors}:color_trc={colors}:range=tv",
    ]
    if shape.sar is not None:
        filters.append(f"setsar={shape.sar.numerator}/{shape.sar.denominator}")
    return [
        "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{shape.width}x{shape.height}",
        "-framerate", f"{shape.rate.numerator}/{shape.rate.denominator}", "-i", "pipe:0",
        "-vf", ",".join(filters), *options,
        "-movflags", "+empty_moov+delay_moov+default_base_moof",
        "-frag_duration", str(FRAGMENT), "-flush_packets", "1", "-f", "mp4", "-y", part,
    ]  # fmt: skip


def salvage(part: Path) -> str:
    """Say where what was recorded is, for the end of an error; remove what does not play."""
    try:
        if any(True for _ in probe.pictures(part)):
            return f"; what was recorded is in {part}"
    except MediaError:
        pass
    output.discard(part)
    return ""
