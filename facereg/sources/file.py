"""Read a recorded video: any container and codec that OpenCV's ffmpeg reads."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..components import Source
from ..errors import MediaError, SourceError, UsageError
from ..hookspecs import hookimpl
from ..types import Frame, Image, SourceInfo
from ..video.container import Container, look_into
from ..video.run import file_url, try_ffmpeg
from .capture import open_capture
from .images import IMAGE_SUFFIXES

log = logging.getLogger(__name__)

# A text, as a list of literals would be a column of them.
VIDEO_SUFFIXES = frozenset(
    ".3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m2ts .m2v .m4v "  # noqa: SIM905
    ".mjpeg .mjpg .mkv .mov .mp4 .mpeg .mpg .mts .mxf .nut .ogg .ogv .rm .rmvb .ts .vob "
    ".webm .wmv .y4m".split()
)


class FileSource(Source):
    """A video file, upright, with the time of each frame as the file has it.

    Grey, 10-bit and 4-channel video comes out as (H, W, 3) uint8 BGR; an alpha channel is dropped.
    """

    name = "file"

    def __init__(self, spec: str, *, start: float = 0.0) -> None:
        """Open a video.

        Args:
            spec: path of the file.
            start: seconds to skip, counted from the first frame; the frames that follow keep
                their own index and time.

        Raises:
            SourceError: the file is missing or is not a video with at least one frame.
            UsageError: ``start`` is negative.
        """
        if start < 0:
            raise UsageError(f"source file: start={start:g}: must not be negative")
        self._path = Path(spec)
        self._start = start
        try:
            container = look_into(self._path)
        except MediaError as e:
            raise SourceError(str(e)) from e
        self._capture = _open(self._path)
        try:
            self.info = self._describe(container)
        except BaseException:
            self._capture.release()
            raise

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Accept a file that is not an image, and a missing one that is named like a video."""
        path = Path(spec)
        if path.is_file():
            return path.suffix.lower() not in IMAGE_SUFFIXES
        missing = not (path.is_dir() or "://" in spec or glob.has_magic(spec))
        return missing and path.suffix.lower() in VIDEO_SUFFIXES

    def _describe(self, container: Container) -> SourceInfo:
        """Grab the first frame, which `frames` begins with, and describe the video."""
        import cv2

        if not self._capture.grab():
            raise SourceError(f"{self._path}: none of its frames can be decoded")
        fps = container.rate(self._capture.get(cv2.CAP_PROP_FPS))
        count = container.count(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), fps)
        image = self._retrieve()
        if image is None:
            raise SourceError(f"{self._path}: its frames cannot be turned into pictures")
        return SourceInfo(
            name=self._path.name,
            width=image.shape[1],
            height=image.shape[0],
            fps=fps,
            frame_count=count,
            has_audio=container.has_audio,
            duration=container.duration(count, fps),
            rotation=round(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360,
            media=str(self._path),
        )

    def frames(self) -> Iterator[Frame]:
        """Yield the frames from ``start`` on; warn at the end where some could not be read.

        Raises:
            SourceError: the video ends before ``start``.
        """
        import cv2

        capture, start = self._capture, self._start - 1e-6
        clock = _Clock(capture.get(cv2.CAP_PROP_POS_MSEC), self.info.fps)
        index, time = 0, 0.0
        while True:
            if time >= start:
                image = self._retrieve()
                if image is not None:
                    yield Frame(self._fitted(image, index), index, time)
            index += 1
            if not capture.grab():
                break
            time = clock.read(capture.get(cv2.CAP_PROP_POS_MSEC))
        if time < start:
            raise SourceError(
                f"{self._path}: starts at {self._start:g} s, but its last frame is at {time:.3f} s"
            )
        self._check_complete(index)

    def _retrieve(self) -> Image | None:
        ok, image = self._capture.retrieve()
        return np.asarray(image, np.uint8) if ok and image is not None and image.size else None

    def _fitted(self, image: Image, index: int) -> Image:
        """Bring a frame of another size, as some broadcasts have, to the size of the first."""
        size = self.info.width, self.info.height
        if (image.shape[1], image.shape[0]) == size:
            return image
        import cv2

        was = f"{image.shape[1]}x{image.shape[0]}"
        log.debug("%s: frame %d of %s is resized to %dx%d", self.info.name, index, was, *size)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _check_complete(self, read: int) -> None:
        """Warn of a damaged file: too few frames came, and ffmpeg stumbles over it as well.

        Too few alone proves nothing: many containers can only guess how many frames they have.
        """
        expected = self.info.frame_count
        if expected is None or read >= expected:
            return
        damage = try_ffmpeg("-i", self._path, "-map", "0:V:0", "-f", "framecrc", "-").messages
        if damage.strip():
            log.warning(
                "%s is cut off or damaged: %d of its %d frames could be read",
                *(self.info.name, read, expected),
            )

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


@hookimpl
def register_sources() -> Iterable[type[Source]]:
    """Return the sources of this module."""
    return [FileSource]


class _Clock:
    """Turns what OpenCV reports into seconds from the first frame that only ever advance.

    OpenCV's CAP_PROP_POS_MSEC is exact between grab() and the next grab(); before the first it is
    0. It is also 0 for a frame without a time of its own (raw H.264, the last frame of an AVI),
    and jumps back where recordings were joined; such frames follow the one before by 1 / fps.
    """

    def __init__(self, first: float, fps: Fraction | None) -> None:
        self._shift = -first
        self._step = 1000 / float(fps or 25)
        self._latest = first
        self._now = 0.0

    def read(self, reported: float) -> float:
        """Return the seconds of a frame for which OpenCV reports these milliseconds."""
        now = reported + self._shift
        if now <= self._now:
            now = self._now + self._step
            if 0 < reported < self._latest:  # the clock was set back
                self._shift = now - reported
        self._now, self._latest = now, reported or self._latest
        return now / 1000


def _open(path: Path) -> Any:
    """Open a cv2.VideoCapture, without the lines that OpenCV and ffmpeg print on stderr.

    Raises:
        SourceError: OpenCV cannot read it.
    """
    import cv2

    capture = open_capture(file_url(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise SourceError(f"{path}: OpenCV cannot read a video of this kind")
    return capture
