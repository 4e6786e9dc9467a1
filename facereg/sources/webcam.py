"""Read a camera of this machine, newest frame first."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..components import Source
from ..errors import SourceError, UsageError
from ..hookspecs import hookimpl
from ..types import Frame, Image, SourceInfo
from .capture import open_capture, silent
from .live import LiveFrames, Moment

log = logging.getLogger(__name__)

#: Reads that may fail before a camera counts as silent: some wake up slowly.
MAX_FAILED_READS = 10


class WebcamSource(Source):
    """A camera: a number, or the path of its device."""

    name = "webcam"

    def __init__(
        self,
        spec: str,
        *,
        size: str | None = None,
        fps: float | None = None,
        fourcc: str | None = None,
        mirror: bool = True,
    ) -> None:
        """Open a camera and take its first frame.

        Args:
            spec: its number, or a path such as /dev/video0.
            size: the size to ask it for, such as 1280x720.
            fps: the frames a second to ask it for.
            fourcc: how it sends pictures, such as MJPG; many cameras are fast only with that.
            mirror: whether a window shows it as a mirror does; files are never mirrored.

        Raises:
            SourceError: there is no such camera, or it is in use.
            UsageError: ``size``, ``fps`` or ``fourcc`` is invalid.
        """
        wanted = _wanted(size, fps, fourcc)
        self._called = f"camera {spec}"
        self._stopped = threading.Event()
        self._capture = self._open(spec)
        try:
            self._ask_for(wanted)
            self._first = self._wake()
            rate = self._capture.get(_property("FPS"))
        except BaseException:
            self._capture.release()
            raise
        self.info = SourceInfo(
            name=self._called,
            width=self._first[0].shape[1],
            height=self._first[0].shape[0],
            fps=Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else None,
            live=True,
            mirror=mirror,
        )

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Accept a number and the path of a video device."""
        return bool(re.fullmatch(r"\d{1,3}|/dev/(video\d+|v4l/.+)", spec))

    def _open(self, spec: str) -> Any:
        import cv2

        backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
        capture = open_capture(int(spec) if spec.isdigit() else spec, backend)
        if not capture.isOpened():
            raise SourceError(f"{self._called}: {_why_closed(spec)}")
        return capture

    def _ask_for(self, wanted: dict[str, float]) -> None:
        """Set properties; a camera takes what it can of them."""
        with silent():
            for name, value in wanted.items():
                self._capture.set(_property(name), value)
        for name in wanted.keys() - {"BUFFERSIZE", "FOURCC"}:
            got = self._capture.get(_property(name))
            if got and round(got) != round(wanted[name]):
                what = name.lower().replace("_", " ")
                log.warning("%s: %s %g, not %g", self._called, what, got, wanted[name])

    def _wake(self) -> tuple[Image, Moment]:
        with silent():
            for _ in range(MAX_FAILED_READS):
                taken = self._take()
                if taken is not None:
                    return taken
        raise SourceError(
            f"{self._called} gives no picture: another program may be using it; close that first"
        )

    def _take(self) -> tuple[Image, Moment] | None:
        """Take a picture and the moment it came; None if there is none."""
        if not self._capture.grab():
            return None
        now = Moment.now()
        ok, image = self._capture.retrieve()
        return (np.asarray(image, np.uint8), now) if ok and image is not None else None

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the run ends.

        Raises:
            SourceError: the camera was unplugged, or taken away.
        """
        taken: tuple[Image, Moment] | None = self._first
        frames = LiveFrames()
        while not self._stopped.is_set():
            if taken is None:
                raise SourceError(
                    f"{self._called}: no more pictures after {frames.count} frames; it was "
                    f"unplugged, or another program took it ({_existing()})"
                )
            yield frames.make(*taken)
            with silent():
                taken = self._take()

    def stop(self) -> None:
        """Let `frames` end soon. May be called from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Release the camera."""
        self.stop()
        self._capture.release()


@hookimpl
def register_sources() -> Iterable[type[Source]]:
    """Return the sources of this module."""
    return [WebcamSource]


def cameras(root: Path = Path("/")) -> dict[str, str]:
    """List the video devices of a Linux machine: path -> the name that it gives itself."""
    found = {}
    devices = root.glob("dev/video[0-9]*")
    for device in sorted(devices, key=lambda d: int(re.sub(r"\D", "", d.name) or 0)):
        label = root / "sys/class/video4linux" / device.name / "name"
        found[str(device)] = label.read_text().strip() if label.is_file() else ""
    return found


def _existing() -> str:
    if sys.platform != "linux":
        return "try another number"
    named = [f"{path} ({label})" if label else path for path, label in cameras().items()]
    return f"cameras here: {', '.join(named) or 'none'}"


def _why_closed(spec: str) -> str:
    """Say why a device did not open."""
    path = Path(f"/dev/video{spec}" if spec.isdigit() else spec)
    if sys.platform != "linux" or not path.exists():
        return f"there is none; {_existing()}"
    try:
        path.open("rb").close()
    except PermissionError:
        return f"no permission to read {path}; add yourself to the group 'video'"
    except OSError as e:
        return f"{path}: {e.strerror}"
    return f"{path} gives no video, or another program is using it; {_existing()}"


def _wanted(size: str | None, fps: float | None, fourcc: str | None) -> dict[str, float]:
    """Turn the options into properties, in the order in which drivers want them."""
    wanted: dict[str, float] = {"BUFFERSIZE": 1}
    if fourcc is not None:
        if not re.fullmatch(r"[ -~]{4}", fourcc):
            raise UsageError(f"source webcam: fourcc={fourcc}: must be four letters, such as MJPG")
        wanted["FOURCC"] = int.from_bytes(fourcc.encode(), "little")
    if size is not None:
        sides = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
        if not sides:
            raise UsageError(f"source webcam: size={size}: must be WIDTHxHEIGHT, such as 1280x720")
        wanted["FRAME_WIDTH"], wanted["FRAME_HEIGHT"] = float(sides[1]), float(sides[2])
    if fps is not None:
        if not 0 < fps <= 1000:
            raise UsageError(f"source webcam: fps={fps:g}: must be above 0 and at most 1000")
        wanted["FPS"] = fps
    return wanted


def _property(name: str) -> int:
    import cv2

    return int(getattr(cv2, f"CAP_PROP_{name}"))
