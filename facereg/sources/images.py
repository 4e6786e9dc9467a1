"""Read pictures: one file, a folder, or everything that a glob matches."""

from __future__ import annotations

import glob
import logging
import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

from ..components import Source
from ..errors import SourceError, UsageError
from ..hookspecs import hookimpl
from ..types import Frame, SourceInfo
from ..video.container import exact_rate
from .pictures import HEIF_CURE, HEIF_SUFFIXES, PictureFile, can_read_heif, read_header, read_pages

log = logging.getLogger(__name__)

# A text, as a list of literals would be a column of them.
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .dib .heic .heif .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif "  # noqa: SIM905
    ".tiff .webp".split()
)

#: How other programs name numbered pictures, as in img_%04d.png.
NUMBER_PATTERN = re.compile(r"%0?\d*d")

#: Pictures a second in a video that is made of separate pictures.
STILLS_RATE = 25

#: Files of other kinds in a folder that are named in the warning about them.
MAX_NAMED = 8


class ImagesSource(Source):
    """Pictures in natural order (img2 before img10), upright as their EXIF data says.

    Grey, 16-bit, decimal, paletted and CMYK pictures come out as (H, W, 3) uint8 BGR; what is
    transparent becomes black. Pictures may differ in size. Picture i has the time i / fps. Each
    page of a TIFF is a picture. An animated WebP or PNG is a video with times of its own, if it
    is the only file; in a folder each of its frames is a picture.
    """

    name = "images"

    def __init__(
        self,
        spec: str,
        *,
        fps: float | None = None,
        start: float = 0.0,
        damaged: Literal["stop", "skip"] = "stop",
    ) -> None:
        """List the pictures and read their headers.

        Args:
            spec: path of a picture or of a folder, or a glob such as ``shots/*.png``.
            fps: pictures a second, if they are the frames of a video, so that faces are followed
                from one to the next. Without it they are separate pictures, and those of a video
                made of them are shown for 1/25 s each.
            start: seconds to skip; the pictures that follow keep their own index and time.
            damaged: whether a picture that cannot be read ends the run, or is skipped with a
                warning.

        Raises:
            SourceError: nothing is there, or a file is not a picture.
            UsageError: ``fps`` is not positive, or ``start`` is negative.
        """
        if fps is not None and fps <= 0:
            raise UsageError(f"source images: fps={fps:g}: must be more than 0")
        if start < 0:
            raise UsageError(f"source images: start={start:g}: must not be negative")
        self._spec = spec
        self._start = start
        self._skips = damaged == "skip"
        self._files = list(self._read_headers(_find(spec)))
        if not self._files:
            raise SourceError(f"{spec}: none of its pictures can be read")
        first = self._files[0]
        self._animation = (
            first if fps is None and len(self._files) == 1 and first.animated else None
        )
        if self._animation:
            self._rate = exact_rate(1 / first.frame_seconds)
        else:
            self._rate = exact_rate(fps or STILLS_RATE)
        self.info = self._describe(stills=fps is None and self._animation is None)

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Accept a folder, a glob, and whatever is named like a picture."""
        path = Path(spec)
        if path.exists():
            return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES
        if "://" in spec:
            return False
        return glob.has_magic(spec) or path.suffix.lower() in IMAGE_SUFFIXES

    def _read_headers(self, paths: Iterable[Path]) -> Iterator[PictureFile]:
        for path in paths:
            try:
                yield read_header(path)
            except SourceError as e:
                self._skip(path, e)

    def _describe(self, *, stills: bool) -> SourceInfo:
        files = self._files
        sizes = [(file.path.name, *size) for file in files for size in file.sizes]
        _, width, height = sizes[0]
        odd = next((size for size in sizes if size[1:] != (width, height)), None)
        return SourceInfo(
            name=files[0].path.name if len(files) == 1 else Path(self._spec).resolve().name,
            width=width,
            height=height,
            fps=self._rate,
            frame_count=len(sizes),
            duration=float(len(sizes) / self._rate),
            stills=stills,
            sizes_vary=odd,
        )

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures from ``start`` on.

        Raises:
            SourceError: a picture is damaged, or none is left after ``start``.
        """
        if self._animation:
            yield from self._frames_of_animation(self._animation)
        else:
            yield from self._frames_of_pictures()

    def _frames_of_pictures(self) -> Iterator[Frame]:
        first = max(0, math.ceil((self._start - 1e-6) * self._rate))
        index = 0
        for file in self._files:
            begin = max(0, first - index)
            try:
                for page, found in enumerate(read_pages(file, begin), begin):
                    at, name = index + page, _page_name(file, page)
                    yield Frame(found.image, at, float(at / self._rate), name=name)
            except SourceError as e:
                self._skip(file.path, e)
            index += len(file.pages)
        if first >= index:
            self._refuse_start(float((index - 1) / self._rate), "picture")

    def _frames_of_animation(self, file: PictureFile) -> Iterator[Frame]:
        time, before = Fraction(0), Fraction(0)
        for index, page in enumerate(read_pages(file)):
            if time >= self._start - 1e-6:
                yield Frame(page.image, index, float(time))
            before = time
            time += Fraction(page.seconds).limit_denominator(1000)
        if before < self._start - 1e-6:
            self._refuse_start(float(before), "frame")

    def _refuse_start(self, last: float, what: str) -> None:
        raise SourceError(
            f"{self._spec}: starts at {self._start:g} s, but its last {what} is at {last:.3f} s"
        )

    def _skip(self, path: Path, error: SourceError) -> None:
        """Warn of a picture that cannot be read.

        Raises:
            SourceError: damaged pictures are not to be skipped.
        """
        if not self._skips:
            alone = path == Path(self._spec)
            cure = "" if alone else f"; images:{self._spec},damaged=skip goes on without it"
            raise SourceError(f"{error}{cure}") from error
        log.warning("%s; skipped", error)


def folders(spec: str) -> set[Path]:
    """Return the folders of the pictures that a path or a glob means."""
    return {path.resolve().parent for path in _find(spec, warn=False)}


@hookimpl
def register_sources() -> Iterable[type[Source]]:
    """Return the sources of this module."""
    return [ImagesSource]


def _find(spec: str, *, warn: bool = True) -> list[Path]:
    """List the pictures that a path or a glob means, in natural order.

    Args:
        spec: the path or glob.
        warn: say which other files are there.
    """
    path = Path(spec)
    if path.is_file():
        return [path]
    if path.is_dir():
        found, what = list(path.iterdir()), "no picture in this folder"
    elif glob.has_magic(spec):
        # Unlike Path.glob, this takes an absolute pattern.
        found = [Path(name) for name in glob.iglob(spec, recursive=True)]  # noqa: PTH207
        what = "no picture matches"
    elif pattern := NUMBER_PATTERN.sub("*", spec) if NUMBER_PATTERN.search(spec) else "":
        raise SourceError(
            f"{spec}: no such file; numbered pictures are named by a glob: '{pattern}'"
        )
    else:
        raise SourceError(f"{spec}: no such file")
    # Hidden files are thumbnails and the like that systems leave behind.
    files = [file for file in found if not file.name.startswith(".") and file.is_file()]
    pictures = [file for file in files if _is_read(file)]
    if not pictures:
        known = " ".join(sorted(IMAGE_SUFFIXES))
        raise SourceError(f"{spec}: {what} ({known}); for several videos: facereg batch")
    if warn and len(files) > len(pictures):
        _warn_of_others(spec, sorted(set(files) - set(pictures), key=_natural))
    return sorted(pictures, key=_natural)


def _is_read(file: Path) -> bool:
    suffix = file.suffix.lower()
    return suffix in IMAGE_SUFFIXES and (suffix not in HEIF_SUFFIXES or can_read_heif())


def _warn_of_others(spec: str, files: list[Path]) -> None:
    """Name the files that are left out: nobody is to believe that they were processed."""
    names = ", ".join(file.name for file in files[:MAX_NAMED])
    more = f" and {len(files) - MAX_NAMED} more" if len(files) > MAX_NAMED else ""
    heif = any(file.suffix.lower() in HEIF_SUFFIXES for file in files)
    log.warning(
        "%s: %d file%s of other kinds %s not read: %s%s%s",
        *(spec, len(files), "" if len(files) == 1 else "s", "is" if len(files) == 1 else "are"),
        *(names, more, f"; {HEIF_CURE}" if heif else ""),
    )


def _page_name(file: PictureFile, page: int) -> str:
    """Name a page: scan.tif of one page keeps its name, of twelve they are scan-01.tif, …."""
    if len(file.pages) == 1:
        return file.path.name
    digits = len(str(len(file.pages)))
    return f"{file.path.stem}-{page + 1:0{digits}d}{file.path.suffix}"


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Order numbers in names by value, capitals and small letters alike, all else by text."""
    parts = re.findall(r"\d+|\D+", str(path).casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], str(path)
