"""Encode pictures as they come into a fragmented MP4 that browsers play at once, with PyAV.

Every picture is a fragment of its own, as ISO/IEC 14496-12 has them, so that none waits for the
next one. ffmpeg's own muxer writes a fragment only when the one after it begins.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..errors import MediaError
from ..types import Image

#: Ticks a second of the times in the file.
TICKS = 90_000

#: Seconds that a picture lasts, as the file says: longer than any pause in a stream that goes on,
#: since a player stops at a gap. The next picture cuts it short.
LONGEST_SECONDS = 2.0

#: A key picture comes at least this often, in pictures.
KEY_EVERY = 250

#: The colours, as ITU-T H.273 numbers them: BT.709, in which browsers show what has no label.
BT709, LIMITED_RANGE = 1, 1

#: Quality on x264's scale, and the most bits a second for each pixel.
CRF, MAX_BITS_PER_PIXEL = 23, 3.0


@dataclass(frozen=True)
class Fragment:
    """One encoded picture.

    Attributes:
        data: a movie fragment.
        key: whether it can be decoded without any other.
        at: its time in the file, in seconds.
    """

    data: bytes
    key: bool
    at: float


class LiveEncoder:
    """Encodes pictures of one size with H.264, without holding any back.

    Args:
        width, height: of the pictures, both even.

    Attributes:
        codec: what browsers call it, such as ``avc1.42c01f``.
        init: the beginning of the file.

    Raises:
        MediaError: there is no encoder.
    """

    def __init__(self, width: int, height: int) -> None:
        import av

        self.width, self.height = width, height
        most = f"{round(width * height * MAX_BITS_PER_PIXEL / 1000)}k"
        options = {
            "preset": "superfast", "tune": "zerolatency", "crf": str(CRF), "maxrate": most,
            "bufsize": most, "x264-params": "scenecut=0", "forced-idr": "1", "threads": "1",
        }  # fmt: skip
        out = io.BytesIO()
        flags = {"movflags": "empty_moov+default_base_moof"}
        try:
            self._file = av.open(out, "w", format="mp4", container_options=flags)
            stream: Any = self._file.add_stream("libx264", rate=30, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.gop_size = KEY_EVERY
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED_RANGE
            context.time_base = stream.time_base = Fraction(1, TICKS)
            self._file.start_encoding()
        except (av.FFmpegError, ValueError) as e:
            raise MediaError(f"H.264 cannot be encoded for browsers: {e}") from e
        self._stream, self._count, self._last = stream, 0, -1
        self.init = out.getvalue()
        place = self.init.index(b"avcC") + 5
        self.codec = f"avc1.{self.init[place : place + 3].hex()}"

    def encode(self, picture: Image, at: float, *, key: bool = False) -> list[Fragment]:
        """Encode a picture.

        Args:
            picture: (height, width, 3) uint8 BGR.
            at: its time in seconds; times must rise.
            key: whether it must stand alone.
        """
        import av

        frame: Any = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(
            format="yuv420p", dst_colorspace="ITU709"
        )
        self._last = max(self._last + 1, round(at * TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        if key:
            frame.pict_type = av.video.frame.PictureType.I
        try:
            packets = self._stream.encode(frame)
            return [self._fragment(packet) for packet in packets]
        except av.FFmpegError as e:
            raise MediaError(f"H.264 cannot be encoded for browsers: {e}") from e

    def _fragment(self, packet: Any) -> Fragment:
        self._count += 1
        sample = with_lengths(bytes(packet))
        data = movie_fragment(self._count, packet.pts, sample, key=packet.is_keyframe)
        return Fragment(data, bool(packet.is_keyframe), packet.pts / TICKS)

    def close(self) -> None:
        """Release the encoder."""
        with contextlib.suppress(Exception):  # nothing was muxed, which ffmpeg may complain about
            self._file.close()


def with_lengths(encoded: bytes) -> bytes:
    """Write the units of an encoded picture with their lengths, as MP4 has them.

    >>> with_lengths(bytes([0, 0, 0, 1, 9, 8, 0, 0, 1, 7])).hex(" ", 1)
    '00 00 00 02 09 08 00 00 00 01 07'
    """
    units = re.split(b"\x00\x00\x00?\x01", encoded)[1:]
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units)


def movie_fragment(number: int, time: int, sample: bytes, *, key: bool) -> bytes:
    """Write one picture as a movie fragment: the boxes ``moof`` and ``mdat``.

    Args:
        number: of the fragment, from 1.
        time: of the picture, in ticks.
        sample: the encoded picture.
        key: whether it stands alone.
    """
    header = _box(b"mfhd", bytes(4) + struct.pack(">I", number))
    track = _box(b"tfhd", struct.pack(">II", 0x020000, 1))  # default-base-is-moof, track 1
    start = _box(b"tfdt", struct.pack(">IQ", 0x01000000, time))
    flags = 0x02000000 if key else 0x01010000  # depends on no other; depends, and is no key
    # data-offset, and for each sample its duration, size and flags
    run_bytes = 8 + 4 + 4 + 4 + 12
    offset = 8 + len(header) + 8 + len(track) + len(start) + run_bytes + 8
    duration = round(LONGEST_SECONDS * TICKS)
    run = _box(b"trun", struct.pack(">IIIIII", 0x000701, 1, offset, duration, len(sample), flags))
    moof = _box(b"moof", header + _box(b"traf", track + start + run))
    return moof + _box(b"mdat", sample)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content
