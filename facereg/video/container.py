"""What a video file says of itself, before anything is decoded: asked of ffmpeg, not guessed."""

from __future__ import annotations

import logging
import re
import statistics
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from ..errors import MediaError
from .run import try_ffmpeg
from .timeline import Grid

log = logging.getLogger(__name__)

#: How many packets are looked at, to learn a file's rhythm.
PACKETS = 300

#: Bit of a packet that an edit list hides: it is decoded, but never shown.
DISCARD = 4

#: Frames a second that a variable-rate file may be brought to; the next faster one loses no frame.
USUAL_RATES = (1, 2, 5, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 90, 100, 120, 240)

#: Share of the frames that may be left out at a rate, as where two are a moment apart.
LOSSES = 0.01

#: How ffmpeg writes that a packet has no time of its own.
NO_TIME = -(2**63)


@dataclass(frozen=True)
class Container:
    """The streams of a file, and its first packets of video.

    Attributes:
        text: ffmpeg's description of the file.
        times: when these packets are shown, in seconds, sorted; empty where any does not say.
        shown: packets that are shown.
        hidden: packets that an edit list hides.
        whole: whether these are all packets, read without an error.
    """

    text: str
    times: tuple[float, ...]
    shown: int
    hidden: int
    whole: bool

    @property
    def has_audio(self) -> bool:
        """Whether there is a stream of sound."""
        return any(": Audio: " in stream for stream in self._streams)

    @cached_property
    def gaps(self) -> list[float]:
        """Seconds between the frames."""
        pairs = zip(self.times, self.times[1:], strict=False)
        return [later - earlier for earlier, later in pairs if later > earlier]

    @property
    def steady(self) -> bool:
        """Whether the frames are evenly spaced, to the tick of a millisecond clock."""
        return bool(self.gaps) and max(self.gaps) - min(self.gaps) <= 0.0021

    def rate(self, claimed: float) -> Fraction | None:
        """Take the rate that OpenCV claims, unless the frames have quite another rhythm.

        For a variable-rate file the claim is the mean over all pauses, or the tick of its clock: a
        recording at the mean would leave out frames of the faster parts.
        """
        fps = exact_rate(claimed) if 0 < claimed <= 1000 else None
        if len(self.gaps) < 3:
            return fps
        short, middle, long = statistics.quantiles(self.gaps, n=4)
        usual = (r for r in USUAL_RATES if r >= 0.97 / middle)  # a clock of 1 ms rounds
        rates = [Fraction(r) for r in usual] or [Fraction(USUAL_RATES[-1])]
        if fps is not None and 0.9 / long <= fps <= 1.1 / short:
            if self.steady:
                return fps
            rates.insert(0, fps)
        whole = (rate for rate in rates if self._lost_at(rate) <= LOSSES)
        return next(whole, rates[0])  # a faster one would not save frames that are a moment apart

    def _lost_at(self, rate: Fraction) -> float:
        """Tell the share of frames that a recording of a rate would leave out."""
        grid = Grid(rate)
        for time in self.times:
            grid.place(time)
        return grid.skipped / len(self.times)

    def count(self, claimed: int, fps: Fraction | None) -> int | None:
        """Say how many frames there will be; None where that would be a wild guess."""
        if self.whole and self.shown:
            return self.shown
        if "Input #0, mov" in self.text:  # it has a table of its frames
            return claimed - self.hidden if claimed > self.hidden else None
        counted = re.search(r"NUMBER_OF_FRAMES\S*\s*: (\d+)", self._video)
        if counted:
            return int(counted[1])
        length = self._length
        even = self.steady or not self.gaps
        return round(length * fps) if even and length and fps else None

    def duration(self, count: int | None, fps: Fraction | None) -> float | None:
        """Say how many seconds the pictures last, as far as the file knows."""
        if count and fps and (self.steady or not self.gaps):
            return float(count / fps)
        if self.whole and self.gaps:
            return self.times[-1] - self.times[0] + statistics.median(self.gaps)
        return self._length

    @property
    def _streams(self) -> list[str]:
        return self.text.split("Stream #0:")[1:]

    @property
    def _video(self) -> str:
        return next((stream for stream in self._streams if ": Video: " in stream), "")

    @property
    def _length(self) -> float | None:
        """Seconds that the file claims: of its pictures, else of everything in it."""
        file = re.search(r"Duration: ([\d:.]+)(?:, start: ([-\d.]+))?", self.text)
        found = re.search(r"DURATION\S*\s*: ([\d:.]+)", self._video) or file
        if found is None:
            return None
        hours, minutes, seconds = found[1].split(":")
        length = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        if "Input #0, matroska" in self.text and file and file[2]:
            length -= max(
                0.0, float(file[2])
            )  # Matroska says when it ends, all others how long it takes
        return length


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

    Raises:
        MediaError: it is missing, or holds no video.
    """
    if not path.is_file():
        raise MediaError(
            f"{path}: {'is a folder, not a video' if path.is_dir() else 'no such file'}"
        )
    if not path.stat().st_size:
        raise MediaError(f"{path}: is empty")
    args: list[str | Path] = ["-copyts", "-i", path, "-map", "0:V:0", "-c", "copy"]
    done = try_ffmpeg(*args, "-frames:v", str(PACKETS), "-f", "framecrc", "-", level="level+info")
    if done.code < 0:  # as that of imageio-ffmpeg 0.6 and 0.7 does on MPEG-TS
        log.warning("%s: ffmpeg crashes on it; its length is not known, its sound is lost", path)
        return Container("", (), 0, 0, whole=False)
    text = done.messages.partition("Output #0")[0]
    if ": Video: " not in text or "matches no streams" in text:
        raise MediaError(f"{path}: {_why(path, text)}")
    clock = re.search(r"#tb 0: (\d+)/(\d+)", done.output)
    tick = int(clock[1]) / int(clock[2]) if clock else 0.0
    rows = re.findall(r"^0, *-?\d+, *(-?\d+),.*?(?:F=0x(\w+).*)?$", done.output, re.MULTILINE)
    shown = sorted(int(pts) for pts, flags in rows if not int(flags or "0", 16) & DISCARD)
    return Container(
        text,
        times=() if NO_TIME in shown else tuple(tick * pts for pts in shown),
        shown=len(shown),
        hidden=len(rows) - len(shown),
        whole=len(rows) < PACKETS and not re.search(r"\[error\]|Packet corrupt", done.messages),
    )


def _why(path: Path, text: str) -> str:
    """Say why a file holds no video, from what ffmpeg printed."""
    with path.open("rb") as file:
        head = file.read(12)
    if "moov atom not found" in text and head[4:8] == b"ftyp":
        return "is cut off: its index (the moov atom) was never written or copied"
    if ": Audio: " in text:
        return "has sound, but no pictures"
    if "Input #0" in text:
        return "has no frames"
    reason = re.search(r"Error opening input: (.+)", text)
    return f"is not a video ({reason[1].lower()})" if reason else "is not a video"
