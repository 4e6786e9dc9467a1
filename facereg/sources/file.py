"""Read a recorded video: any container and codec that ffmpeg reads."""

from __future__ import annotations

import glob
import itertools
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..components import Source
from ..errors import MediaError, SourceError, UsageError
from ..hookspecs import hookimpl
from ..types import Frame, Image, SourceInfo
from ..video.clock import FrameClock
from ..video.container import Container, look_into
from ..video.cropping import read_crop
from ..video.damage import describe_damage, find_structural_damage, report_damage
from ..video.decoder import Decoder
from ..video.media import choose_video, open_file
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
    What cannot be decoded is skipped and reported at the end.
    """

    name = "file"

    def __init__(self, spec: str, *, start: float = 0.0) -> None:
        """Open a video and decode its first frame.

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
        self._read = 0
        try:
            description = look_into(self._path)
            container = open_file(self._path)
        except MediaError as e:
            raise SourceError(str(e)) from e
        stream = choose_video(container)
        crop = read_crop(self._path, stream.id, stream.index)
        self._decoder = Decoder(container, stream, crop=crop)
        try:
            self._pictures = self._decoder.pictures()
            self._first = next(self._pictures)
            self._orientation = self._first.orientation
            self.info = self._describe(description, self._first.image(self._orientation))
        except StopIteration:
            self._decoder.close()
            raise SourceError(f"{self._path}: none of its frames can be decoded") from None
        except MediaError as e:
            self._decoder.close()
            raise SourceError(f"{self._path}: {e}") from e
        except BaseException:
            self._decoder.close()
            raise

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Accept a file that is not an image, and a missing one that is named like a video."""
        path = Path(spec)
        if path.is_file():
            return path.suffix.lower() not in IMAGE_SUFFIXES
        missing = not (path.is_dir() or "://" in spec or glob.has_magic(spec))
        return missing and path.suffix.lower() in VIDEO_SUFFIXES

    def _describe(self, container: Container, image: Image) -> SourceInfo:
        fps = container.rate()
        count = container.count(fps)
        return SourceInfo(
            name=self._path.name,
            width=image.shape[1],
            height=image.shape[0],
            fps=fps,
            frame_count=count,
            has_audio=container.has_audio,
            duration=container.duration(count, fps),
            rotation=self._orientation.degrees,
            media=str(self._path),
        )

    def frames(self) -> Iterator[Frame]:
        """Yield the frames from ``start`` on; warn at the end if some could not be read.

        Raises:
            SourceError: the video ends before ``start``.
        """
        clock, start = FrameClock(self.info.fps), Fraction(self._start) - Fraction(1, 1_000_000)
        time = Fraction(0)
        for index, picture in enumerate(itertools.chain([self._first], self._pictures)):
            self._read, time = index + 1, clock.read(picture.time)
            if time >= start:
                try:
                    image = picture.image(self._orientation)
                except MediaError as e:
                    raise SourceError(f"{self._path}: frame {index}: {e}") from e
                yield Frame(self._fitted(image, index), index, float(time))
        if time < start:
            raise SourceError(
                f"{self._path}: starts at {self._start:g} s, "
                f"but its last frame is at {float(time):.3f} s"
            )
        self._report_damage(find_structural_damage(self._path), self.info.frame_count)

    def _fitted(self, image: Image, index: int) -> Image:
        """Resize a frame of another size, as some broadcasts have, to the size of the first."""
        size = self.info.width, self.info.height
        if (image.shape[1], image.shape[0]) == size:
            return image
        import cv2

        was = f"{image.shape[1]}x{image.shape[0]}"
        log.debug("%s: frame %d of %s is resized to %dx%d", self.info.name, index, was, *size)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _report_damage(self, structure: str = "", expected: int | None = None) -> None:
        """Report once if frames are damaged, or missing because the file is cut off."""
        damage = self._decoder.damage
        text = describe_damage(damage, self._read, expected, structure)
        if text and self._read and not self.report:
            log.warning("%s is cut off or damaged: %s", self.info.name, text)
            self.report = report_damage(damage, self._read, text)

    def close(self) -> None:
        """Close the file; warn if what was read of it is damaged."""
        self._report_damage()
        self._decoder.close()


@hookimpl
def register_sources() -> Iterable[type[Source]]:
    """Return the sources of this module."""
    return [FileSource]
