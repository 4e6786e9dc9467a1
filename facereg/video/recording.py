"""Encode pictures, each at its time, into a growing file that plays at any moment."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import MediaError
from ..types import Image
from . import probe
from .encoders import Encoder, Shape
from .run import FrameWriter
from .timeline import Timeline

#: Microseconds of a fragment: what a crash may lose, besides what the encoder holds back.
FRAGMENT_MICROSECONDS = 400_000

#: Seconds of a recording that the disk must have room for before it starts.
ROOM_SECONDS = 60.0


class Recorder:
    """Pictures on a timeline, encoded into a fragmented file that plays at any moment.

    Args:
        shape: the pictures, all alike.
        timeline: where they go.
        arguments: ffmpeg's, as `encoding_arguments` writes them.

    Attributes:
        shape, timeline: as given.
        first, last: times of the first and the last picture, in seconds.
        interrupted: whether a picture may have been sent that was not counted.

    Raises:
        MediaError: the encoder cannot be started.
    """

    def __init__(self, shape: Shape, timeline: Timeline, arguments: Sequence[str | Path]) -> None:
        self.shape, self.timeline = shape, timeline
        self.first, self.last = math.nan, math.nan
        self.interrupted = False
        self._picture: Image | None = None  # as it was sent last
        self._writer = FrameWriter(arguments, shape.frame_bytes)

    @property
    def pid(self) -> int:
        """The process id of the encoder."""
        return self._writer.pid

    def add(self, picture: Image, time: float) -> None:
        """Show a picture from its time on.

        Args:
            picture: (height, width, 3) uint8 BGR, or as the recording's shape says.
            time: in seconds.

        Raises:
            MediaError: the encoder failed.
        """
        repeats, wanted = self.timeline.place(time)
        before = [] if self._picture is None else [self._picture] * repeats
        self.first = time if math.isnan(self.first) else self.first
        self.last, self._picture = time, picture
        self._send([*before, picture] if wanted else before)

    def hold(self, time: float) -> None:
        """Go on with the last picture up to a time.

        Raises:
            MediaError: the encoder failed.
        """
        assert self._picture is not None, "there is no picture yet"
        self.add(self._picture, time)

    def finish(self, end: float | None) -> None:
        """Hold the last picture to the end, and let the encoder finish.

        Args:
            end: seconds at which the recording ends; None: after the last picture's slot.

        Raises:
            MediaError: the encoder failed.
        """
        if end is not None and self._picture is not None:
            self._send([self._picture] * self.timeline.extend(end))
        self._writer.finish()

    def abandon(self) -> None:
        """Let the encoder finish what it has, after a failure."""
        with contextlib.suppress(MediaError):
            self._writer.finish()

    def _send(self, pictures: Iterable[Image]) -> None:
        try:
            for picture in pictures:
                self._writer.write(picture.data.cast("B"))
        except MediaError as e:
            raise MediaError(f"the encoder failed: {e}") from e
        except BaseException:
            self.interrupted = True  # by Ctrl-C: a picture may have been sent and not counted
            raise


def room_needed(shape: Shape, duration: float | None) -> tuple[float, str]:
    """Estimate the bytes of the first minute, or all of a shorter recording, and name it."""
    seconds = min(ROOM_SECONDS, duration or ROOM_SECONDS)
    what = "its first minute" if seconds == ROOM_SECONDS else f"a recording of {seconds:.1f} s"
    # Twice: while it is finished, it is on the disk once more.
    return 2 * shape.bits_per_second * seconds / 8, what


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


def plays(part: Path) -> bool:
    """Whether a recording that was cut off has any picture."""
    try:
        return any(True for _ in probe.picture_times(part))
    except MediaError:
        return False


def encoding_arguments(part: Path, shape: Shape, encoder: Encoder) -> list[str | Path]:
    """Write ffmpeg's arguments that encode pictures from its stdin into a growing file.

    Args:
        part: the file.
        shape: the pictures.
        encoder: as `choose_encoder` returns it.
    """
    movie = ("-movflags", "+empty_moov+delay_moov+default_base_moof",
             "-frag_duration", str(FRAGMENT_MICROSECONDS))  # fmt: skip
    matroska = ("-cluster_time_limit", str(FRAGMENT_MICROSECONDS // 1000))
    return [
        *picture_arguments(shape, encoder),
        *(matroska if encoder.growing == "matroska" else movie),
        "-flush_packets", "1", "-f", encoder.growing, "-y", part,
    ]  # fmt: skip


def picture_arguments(shape: Shape, encoder: Encoder) -> list[str]:
    """Write ffmpeg's arguments that encode pictures from its stdin, in their colours."""
    # Players that know no better take BT.709 from this size on; here it is said and done.
    colors = "bt709" if shape.width >= 1280 or shape.height > 576 else "smpte170m"
    filters = [
        f"scale=in_range=pc:out_color_matrix={colors}:out_range=tv:flags=bicubic+accurate_rnd",
        f"format={encoder.pixels}",
        f"setparams=colorspace={colors}:color_primaries={colors}:color_trc={colors}:range=tv",
    ]
    if encoder.is_rgb:
        filters = [f"format={encoder.pixels}"]
    if shape.sar is not None:
        filters.append(f"setsar={shape.sar.numerator}/{shape.sar.denominator}")
    return [
        "-f", "rawvideo", "-pix_fmt", shape.input, "-s", f"{shape.width}x{shape.height}",
        "-framerate", f"{shape.rate.numerator}/{shape.rate.denominator}", "-i", "pipe:0",
        "-vf", ",".join(filters), *encoder.arguments,
    ]  # fmt: skip
