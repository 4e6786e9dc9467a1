"""Read pictures: one file, a folder, or everything that a glob matches."""

from __future__ import annotations

import glob
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from ..components import Source
from ..errors import SourceError, UsageError
from ..hookspecs import hookimpl
from ..types import Frame, Image, SourceInfo
from ..video.container import exact_rate

if TYPE_CHECKING:
    import PIL.Image

log = logging.getLogger(__name__)

T = TypeVar("T")

# A text, as a list of literals would be a column of them.
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .dib .jfif .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff "  # noqa: SIM905
    ".webp".split()
)

#: How other programs name numbered pictures, as in img_%04d.png.
NUMBER_PATTERN = re.compile(r"%0?\d*d")

#: Pictures a second in a video that is made of separate pictures.
STILLS_RATE = 25

#: EXIF tag of how a camera was held, and the values by which width and height change places.
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)


class ImagesSource(Source):
    """Pictures in natural order (img2 before img10), upright as their EXIF data says.

    Grey, 16-bit, paletted and CMYK pictures come out as (H, W, 3) uint8 BGR; what is transparent
    becomes black. Pictures may differ in size. Picture i has the time i / fps.
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
            fps: pictures a second, where they are the frames of a video, so that faces are
                followed from one to the next. Without it they are separate pictures, and those
                of a video made of them are shown for 1/25 s each.
            start: seconds to skip; the pictures that follow keep their own index and time.
            damaged: whether a picture that cannot be read ends the run or is told and left out.

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
        self._rate = exact_rate(fps or STILLS_RATE)
        self._skips = damaged == "skip"
        found = {path: self._attempt(_size, path) for path in _find(spec)}
        known = {path: size for path, size in found.items() if size is not None}
        if not known:
            raise SourceError(f"{spec}: none of its pictures can be read")
        self._paths, sizes = list(known), list(known.values())
        odd = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
        self.info = SourceInfo(
            name=self._paths[0].name if len(self._paths) == 1 else Path(spec).resolve().name,
            width=sizes[0][0],
            height=sizes[0][1],
            fps=self._rate,
            frame_count=len(sizes),
            duration=float(len(sizes) / self._rate),
            stills=fps is None,
            sizes_vary=None if odd is None else (self._paths[odd].name, *sizes[odd]),
        )

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Accept a folder, a glob, and whatever is named like a picture."""
        path = Path(spec)
        if path.exists():
            return path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES
        if "://" in spec:
            return False
        return glob.has_magic(spec) or path.suffix.lower() in IMAGE_SUFFIXES

    def frames(self) -> Iterator[Frame]:
        """Yield the pictures from ``start`` on.

        Raises:
            SourceError: a picture is damaged, or none is left after ``start``.
        """
        first = max(0, math.ceil((self._start - 1e-6) * self._rate))
        if first >= len(self._paths):
            raise SourceError(
                f"{self._spec}: starts at {self._start:g} s, "
                f"but its last picture is at {float((len(self._paths) - 1) / self._rate):.3f} s"
            )
        for index in range(first, len(self._paths)):
            path = self._paths[index]
            image = self._attempt(_read, path)
            if image is not None:
                yield Frame(image, index, float(index / self._rate), name=path.name)

    def _attempt(self, read: Callable[[Path], T], path: Path) -> T | None:
        """Read something of a picture; None where that fails and is to be passed over."""
        try:
            return read(path)
        except SourceError as e:
            if not self._skips:
                cure = f"; images:{self._spec},damaged=skip goes on without it"
                raise SourceError(f"{e}{'' if path == Path(self._spec) else cure}") from e
            log.warning("%s; left out", e)
            return None


def folders(spec: str) -> set[Path]:
    """Tell in which folders the pictures are that a path or a glob means."""
    return {path.resolve().parent for path in _find(spec)}


@hookimpl
def register_sources() -> Iterable[type[Source]]:
    """Return the sources of this module."""
    return [ImagesSource]


def _find(spec: str) -> list[Path]:
    """List the pictures that a path or a glob means, in natural order."""
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
    pictures = [
        file
        for file in found
        if file.suffix.lower() in IMAGE_SUFFIXES
        and not file.name.startswith(".")  # thumbnails and the like that systems leave behind
        and file.is_file()
    ]
    if not pictures:
        known = " ".join(sorted(IMAGE_SUFFIXES))
        raise SourceError(f"{spec}: {what} ({known}); for several videos: facereg batch")
    return sorted(pictures, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Order numbers in names by value, capitals beside small letters, and anything else by text."""
    parts = re.findall(r"\d+|\D+", str(path).casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], str(path)


def _size(path: Path) -> tuple[int, int]:
    """Read width and height, upright, from a picture's header."""
    import PIL.Image

    try:
        with PIL.Image.open(path) as picture:
            width, height = picture.size
            if "exif" in picture.info and picture.getexif().get(ORIENTATION) in LYING:
                return height, width
            return width, height
    except Exception as e:  # decoders raise all sorts of errors for a damaged file
        raise SourceError(f"{path}: {_why(path, e)}") from e


def _read(path: Path) -> Image:
    """Decode a picture, upright, as (H, W, 3) uint8 BGR."""
    import PIL.Image

    try:
        with PIL.Image.open(path) as picture:
            return np.ascontiguousarray(to_rgb(picture)[..., ::-1])
    except Exception as e:  # decoders raise all sorts of errors for a damaged file
        raise SourceError(f"{path}: {_why(path, e)}") from e


def to_rgb(picture: PIL.Image.Image) -> Image:
    """Convert any picture, upright, to (H, W, 3) uint8 RGB; what is transparent becomes black."""
    import PIL.Image
    import PIL.ImageOps

    upright = PIL.ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):  # 16 bits of grey, which convert() would clip at 255
        grey = np.asarray(upright) >> 8
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, -1)
    if upright.has_transparency_data:
        flat = PIL.Image.new("RGBA", upright.size, (0, 0, 0, 255))
        flat.alpha_composite(upright.convert("RGBA"))
        upright = flat
    return np.asarray(upright.convert("RGB"), np.uint8)


def _why(path: Path, error: Exception) -> str:
    """Say in a few words why a picture could not be read."""
    if isinstance(error, OSError) and error.strerror:  # gone, or not ours to read
        return error.strerror.lower()
    if not path.stat().st_size:
        return "is empty"
    if type(error).__name__ == "UnidentifiedImageError":
        return "is not a picture that can be read"
    return f"cannot be read as a picture: {str(error).splitlines()[0] if str(error) else error!r}"
