"""Ask ffmpeg what is in a media file, packet by packet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from ..errors import MediaError
from .media import choose_video, open_file
from .run import output_lines

#: Copy every packet as it is, in the file's own time, and print one line about each.
PRINT_PACKETS = ("-c", "copy", "-f", "framecrc", "-")

#: Seconds to start reading before what is wanted: seeking is inexact in some containers.
RUN_UP_SECONDS = 5

#: How ffmpeg writes that a packet has no time, and that an edit list hides it.
NO_TIME, DISCARD_FLAG = -(2**63), 4


@dataclass
class Stream:
    """A stream of a file, and what its packets add up to.

    Attributes:
        kind: ``video`` or ``audio``.
        codec: ffmpeg's name of it; ``none`` if ffmpeg does not know it.
        layout: ffmpeg's name of the channel layout of sound, such as ``stereo``.
        in_band: whether its packets say how they are to be decoded, not the file's header.
        clock: seconds of a tick of its timestamps.
        sar: width of a pixel over its height; None if the file does not say.
        packets: how many there are.
        ticks: when the first packet is shown and when the last one ends.
    """

    kind: str = ""
    codec: str = ""
    layout: str = ""
    in_band: bool = True
    clock: Fraction = Fraction(1)
    sar: Fraction | None = None
    packets: int = 0
    ticks: tuple[int, int] = (0, 0)

    @property
    def start(self) -> Fraction:
        """Seconds at which the first packet is shown."""
        return self.ticks[0] * self.clock

    @property
    def end(self) -> Fraction:
        """Seconds at which the last packet ends."""
        return self.ticks[1] * self.clock

    @property
    def duration(self) -> Fraction:
        """Seconds from the start to the end."""
        return self.end - self.start


def read_streams(
    path: Path, *, headers_only: bool = False, since: Fraction = Fraction(0)
) -> list[Stream]:
    """List the streams of a file: its picture first, then its sound tracks.

    Args:
        path: the file.
        headers_only: read no packets.
        since: read from somewhat before here, in seconds of the file's own clock.

    Raises:
        MediaError: it cannot be read.
    """
    limit = ("-t", "0") if headers_only else ()
    streams: dict[int, Stream] = {}
    head: list[str | Path] = ["-copyts", *seek_arguments(since), "-i", path]
    try:
        video = video_stream(path)
    except MediaError:  # it has none
        video = "0:V:0?"
    for line in output_lines(*head, "-map", video, "-map", "0:a?", *limit, *PRINT_PACKETS):
        if line.startswith("#"):
            _read_header(streams, line[1:])
        elif not headers_only:
            _count_packet(streams, line)
    return [streams[i] for i in sorted(streams)]


def video_stream(path: Path) -> str:
    """Name the video that sources read from a file, as ffmpeg's ``-map`` takes it.

    Raises:
        MediaError: there is none that can be decoded.
    """
    with open_file(path) as container:
        return f"0:{choose_video(container).index}"


def seek_arguments(time: Fraction) -> tuple[str, ...]:
    """Write, before ``-i``, that a file is read from somewhat before a time of its own clock."""
    start = float(time - RUN_UP_SECONDS)
    return ("-seek_timestamp", "1", "-noaccurate_seek", "-ss", f"{start:.6f}") if start > 0 else ()


def first_picture_time(path: Path) -> Fraction:
    """Find when the first picture that decodes is shown, in seconds of the file's own clock.

    Raises:
        MediaError: none decodes.
    """
    head = ("-copyts", "-i", path, "-map", video_stream(path), "-frames:v", "1")
    packets = list(_packets(head, PRINT_PACKETS))
    if packets and packets[0].pts is None:
        # AVI has no times to show pictures at; its sound runs beside the order of its packets.
        return packets[0].dts
    decode = ("-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "framecrc", "-")
    for picture in _packets(head, decode):
        if picture.pts is not None:
            return picture.pts
    raise MediaError(f"{path}: no picture decodes")


def picture_times(path: Path) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield when each picture is shown and how long, in seconds, in the order of the file.

    Raises:
        MediaError: the file cannot be read.
    """
    for packet in _packets(("-copyts", "-i", path, "-map", video_stream(path)), PRINT_PACKETS):
        if packet.pts is not None and not packet.hidden:
            yield packet.pts, packet.length


class _Packet(NamedTuple):
    """A packet of the first stream: its times in seconds, None if it has none."""

    pts: Fraction | None
    dts: Fraction
    length: Fraction
    hidden: bool


def _packets(head: Sequence[str | Path], tail: Sequence[str]) -> Iterator[_Packet]:
    streams: dict[int, Stream] = {}
    for line in output_lines(*head, *tail):
        if line.startswith("#"):
            _read_header(streams, line[1:])
            continue
        _, dts, pts, length, rest = line.split(",", 4)
        flags = int(rest.partition("F=0x")[2].partition(",")[0] or "0", 16)
        clock = streams[0].clock
        yield _Packet(
            None if int(pts) == NO_TIME else int(pts) * clock,
            int(dts) * clock,
            int(length) * clock,
            bool(flags & DISCARD_FLAG),
        )


def _read_header(streams: dict[int, Stream], line: str) -> None:
    key, _, value = line.partition(":")
    name, _, number = key.partition(" ")
    if not number.isdigit():
        return
    stream, value = streams.setdefault(int(number), Stream()), value.strip()
    if name == "tb":
        stream.clock = Fraction(value)
    elif name == "media_type":
        stream.kind = value
    elif name == "codec_id":
        stream.codec = value
    elif name == "channel_layout_name":
        stream.layout = value
    elif name == "extradata":
        stream.in_band = False
    elif name == "sar":
        width, _, height = value.partition("/")
        stream.sar = Fraction(int(width), int(height)) if int(width) and int(height) else None


def _count_packet(streams: dict[int, Stream], line: str) -> None:
    number, _, pts, length, _ = line.split(",", 4)
    stream, start = streams[int(number)], int(pts)
    end = start + int(length)
    first, last = stream.ticks if stream.packets else (start, end)
    stream.ticks = min(first, start), max(last, end)
    stream.packets += 1
