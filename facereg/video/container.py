"""What a video file says of itself, before anything is decoded."""

from __future__ import annotations

import dataclasses
import logging
import re
import statistics
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MediaError
from .damage import is_cut_off
from .media import choose_video, open_file, real_videos
from .timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

#: Ticks a second of the clock in which a container says its length.
MICROSECONDS = 1_000_000

#: Packets that are looked at to learn a file's rhythm.
RHYTHM_PACKETS = 300

#: Frames a second that a variable-rate file may be brought to; the next faster one loses no frame.
USUAL_RATES = (1, 2, 5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)

#: Fraction of the frames that a recording's rate may leave out, if two are a moment apart.
MAX_LOST = 0.01

#: Largest difference between the gaps of evenly spaced frames: the tick of a millisecond clock.
STEADY_SECONDS = 0.0021


@dataclasses.dataclass(frozen=True)
class Container:
    """The video of a file, and its first packets.

    Attributes:
        times: when these packets are shown, in seconds, sorted; empty if any does not say.
        shown: packets that are shown.
        hidden: packets that an edit list hides.
        whole: whether these are all packets, read without an error.
        claimed_rate: frames a second that the file claims, or None.
        claimed_count: frames that the file claims, or None.
        counted: whether that is a table's or a tag's number, not a guess from the length.
        length: seconds that the file claims: of its pictures, else of everything in it; or None.
        has_audio: whether there is sound.
    """

    times: tuple[float, ...]
    shown: int
    hidden: int
    whole: bool
    claimed_rate: Fraction | None = None
    claimed_count: int | None = None
    length: float | None = None
    has_audio: bool = False

    @cached_property
    def gaps(self) -> list[float]:
        """Seconds between the frames."""
        pairs = zip(self.times, self.times[1:], strict=False)
        return [later - earlier for earlier, later in pairs if later > earlier]

    @property
    def steady(self) -> bool:
        """Whether the frames are evenly spaced."""
        return bool(self.gaps) and max(self.gaps) - min(self.gaps) <= STEADY_SECONDS

    def rate(self) -> Fraction | None:
        """Take the rate that the file claims, unless the frames have quite another rhythm.

        For a variable-rate file the claim is the mean over all pauses, or the tick of its clock: a
        recording at the mean would leave out frames of the faster parts.
        """
        claimed = self.claimed_rate
        fps = exact_rate(float(claimed)) if claimed is not None and 0 < claimed <= 1000 else None
        if len(self.gaps) < 3:
            return fps
        short, middle, long = statistics.quantiles(self.gaps, n=4)
        usual = (r for r in USUAL_RATES if r >= 0.97 / middle)  # a clock of 1 ms rounds
        rates = [Fraction(r) for r in usual] or [Fraction(USUAL_RATES[-1])]
        if fps is not None and 0.9 / long <= fps <= 1.1 / short:
            if self.steady:
                return fps
            rates.insert(0, fps)
        whole = (rate for rate in rates if self._lost_at(rate) <= MAX_LOST)
        return next(whole, rates[0])  # a faster one would not save frames that are a moment apart

    def _lost_at(self, rate: Fraction) -> float:
        """Return the fraction of frames that a recording of this rate would leave out."""
        timeline = Timeline(rate)
        for time in self.times:
            timeline.place(time)
        return timeline.skipped / len(self.times)

    def count(self, fps: Fraction | None) -> int | None:
        """Return how many frames there will be; None if that would be a wild guess."""
        if self.whole and self.shown:
            return self.shown
        if self.claimed_count is not None:
            return self.claimed_count
        even = self.steady or not self.gaps
        return round(self.length * fps) if even and self.length and fps else None

    def duration(self, count: int | None, fps: Fraction | None) -> float | None:
        """Return how many seconds the pictures last, as far as the file knows."""
        if count and fps and (self.steady or not self.gaps):
            return float(count / fps)
        if self.whole and self.gaps:
            return self.times[-1] - self.times[0] + statistics.median(self.gaps)
        return self.length


def exact_rate(fps: float) -> Fraction:
    """Find the rational that a rate was before it became a float: 23.976… is 24000/1001.

    The rates of cameras come first, because a container that stores the length of a frame in whole
    nanoseconds or milliseconds makes an odd neighbour of them. ffmpeg's own denominators end at
    60,000.
    """
    exact = Fraction(fps).limit_denominator(60_000)
    for common in (Fraction(round(fps)), Fraction(round(fps) * 1000, 1001)):
        if abs(common - exact) < exact / (100_000 if exact.denominator > 1001 else 1_000_000):
            return common
    return exact


def look_into(path: Path) -> Container:
    """Read the description and the first packets of a file.

    Warns if it has several videos, as only one of them is read.

    Raises:
        MediaError: it is missing, or holds no video.
    """
    with open_file(path) as container:
        try:
            stream = choose_video(container)
        except MediaError as e:
            raise MediaError(f"{path}: {e}") from e
        others = [s.index for s in real_videos(container) if s is not stream]
        if others:
            context = stream.codec_context
            log.warning(
                "%s has %d videos: stream %d (%dx%d) is read, not %s",
                *(path.name, len(others) + 1, stream.index, context.width, context.height),
                ", ".join(map(str, others)),
            )
        found = describe(container, stream, RHYTHM_PACKETS)
    return dataclasses.replace(found, whole=False) if is_cut_off(path) else found


def describe(container: InputContainer, stream: VideoStream, packets: int = 0) -> Container:
    """Describe an open container; the packets that are looked at are consumed.

    Args:
        container: the file or stream.
        stream: its video.
        packets: how many to look at.
    """
    read, whole = _first_packets(container, stream, packets)
    shown = [packet.pts for packet in read if not packet.is_discard]
    tick = stream.time_base or Fraction(1)
    times = sorted(float(pts * tick) for pts in shown if pts is not None)
    hidden = len(read) - len(shown)
    return Container(
        times=() if None in shown else tuple(times),
        shown=len(shown),
        hidden=hidden,
        whole=whole,
        claimed_rate=stream.guessed_rate,
        claimed_count=_claimed_count(container, stream, hidden),
        length=_length(container, stream),
        has_audio=len(container.streams.audio) > 0,
    )


def _first_packets(
    container: InputContainer, stream: VideoStream, count: int
) -> tuple[list[Packet[VideoStream]], bool]:
    """Read up to ``count`` packets; return them, and whether there are no more, all undamaged."""
    import av

    read: list[Packet[VideoStream]] = []
    if not count:
        return read, False
    try:
        for packet in container.demux(stream):
            if packet.size:
                read.append(packet)
            if len(read) == count:
                return read, False
    except av.FFmpegError:
        return read, False
    return read, not any(packet.is_corrupt for packet in read)


def _claimed_count(container: InputContainer, stream: VideoStream, hidden: int) -> int | None:
    """Return how many frames a table or a tag of the file counts, without the hidden ones."""
    if "mov" in container.format.name:
        return stream.frames - hidden if stream.frames > hidden else None
    tag = _tag(stream, "NUMBER_OF_FRAMES")
    return int(tag) if tag and tag.isdigit() else None


def _length(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the seconds that a file claims: of its pictures, else of everything in it."""
    tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", _tag(stream, "DURATION") or "")
    if tag:
        length = int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    elif container.duration:
        length = container.duration / MICROSECONDS
    else:
        return None
    if "matroska" in container.format.name and container.start_time:
        # Matroska says when it ends, all others how long it takes.
        length -= max(0.0, container.start_time / MICROSECONDS)
    return length


def _tag(stream: VideoStream, name: str) -> str | None:
    """Find a tag of the stream, in whatever language it is written (``DURATION-eng``)."""
    tags = stream.metadata.items()
    return next((value for key, value in tags if key.partition("-")[0] == name), None)
