"""What a recording keeps of the tags of its source: when it was made, and its timecode."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

from ..errors import MediaError
from .media import choose_video, open_file

TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;])(\d\d)")


def tag_arguments(media: Path | None, first: Fraction, rate: Fraction, comment: str) -> list[str]:
    """Write ffmpeg's arguments for the tags of a recording.

    Args:
        media: the file that its frames are from, if they are from one.
        first: seconds from that file's first picture to the recording's.
        rate: frames a second of the recording.
        comment: what the file says of itself; empty for nothing.
    """
    creation, timecode = (None, None) if media is None else _read(media)
    arguments = ["-metadata", f"comment={comment}"] if comment else []
    if creation is not None:
        arguments += ["-metadata", f"creation_time={creation}"]
    shown = None if timecode is None else shift_timecode(timecode, first, rate)
    if shown is not None:
        arguments += ["-metadata:s:v:0", f"timecode={shown}"]
    return arguments


def shift_timecode(timecode: str, first: Fraction, rate: Fraction) -> str | None:
    """Return the timecode of a frame that comes some seconds later; None if it cannot be said.

    Args:
        timecode: of the first frame, ``HH:MM:SS:FF``; with a semicolon it drops numbers.
        first: seconds from that frame.
        rate: frames a second.

    >>> shift_timecode("01:00:00:00", Fraction(3, 2), Fraction(24))
    '01:00:01:12'
    """
    match = TIMECODE.fullmatch(timecode)
    base = round(rate)
    if match is None or int(match[5]) >= base:
        return None  # another rate than the one that it counts in
    frames = round(first * rate)
    if not frames:
        return timecode
    if match[4] == ";":
        return None
    hours, minutes, seconds, count = (int(match[i]) for i in (1, 2, 3, 5))
    total = ((hours * 60 + minutes) * 60 + seconds) * base + count + frames
    rest, count = divmod(total, base)
    return f"{rest // 3600 % 24:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}:{count:02d}"


def _read(media: Path) -> tuple[str | None, str | None]:
    """Read a file's time of creation and its timecode; None if it has none."""
    try:
        with open_file(media) as container:
            tags = [container.metadata, choose_video(container).metadata]
            tags += [s.metadata for s in container.streams if s.type == "data"]
    except MediaError:  # it is gone: its tags are not worth the recording
        return None, None
    found = [next((t[k] for t in tags if k in t), None) for k in ("creation_time", "timecode")]
    return found[0], found[1]


def read_comment(media: Path) -> str:
    """Read what a file says of itself; empty if it says nothing.

    Raises:
        MediaError: it cannot be read.
    """
    with open_file(media) as container:
        tags = [value for key, value in container.metadata.items() if key.casefold() == "comment"]
    return str(tags[0]) if tags else ""
