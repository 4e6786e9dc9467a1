"""Read picture files: their pages and animations, upright, as 8-bit BGR."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import SourceError
from ..types import Image

if TYPE_CHECKING:
    import PIL.Image

log = logging.getLogger(__name__)

#: Kinds that need the package pillow-heif.
HEIF_SUFFIXES = (".heic", ".heif")
HEIF_CURE = "to read HEIC pictures: pip install pillow-heif"

#: Most pixels of a picture: its pixels alone take a gigabyte.
MAX_PIXELS = 350_000_000
#: Above this size, a picture may have this many pixels a byte: only one that is made to fill the
#: memory has more.
SUSPICIOUS_PIXELS = 50_000_000
MAX_PIXELS_PER_BYTE = 1500

#: EXIF tag of how a camera was held, and the values by which width and height change places.
ORIENTATION, LYING = 0x0112, (5, 6, 7, 8)

#: TIFF tags: bits of a sample; the largest sample; the kind of a page, whose first bit says that
#: it is a smaller copy of another page.
BITS, LARGEST_SAMPLE, PAGE_KIND, REDUCED = 258, 341, 254, 1

#: Seconds that a frame of an animation is shown if it does not say, as browsers do it.
USUAL_FRAME_SECONDS = 0.1

#: Frames of an animation that are read to learn its rate.
RHYTHM_FRAMES = 8

_limit = threading.Lock()


class PictureFile(NamedTuple):
    """What is in a picture file.

    Attributes:
        path: the file.
        pages: its pages or frames, as Pillow numbers them.
        sizes: width and height of each, upright.
        animated: whether they are the frames of an animation.
        frame_seconds: how long the shortest of the first few frames is shown.
    """

    path: Path
    pages: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    animated: bool = False
    frame_seconds: float = USUAL_FRAME_SECONDS


class Page(NamedTuple):
    """A page or a frame of a picture file.

    Attributes:
        image: (H, W, 3) uint8 BGR, upright.
        seconds: how long it is shown, if it is a frame of an animation.
    """

    image: Image
    seconds: float


def read_header(path: Path) -> PictureFile:
    """Read what is in a picture file, without decoding its pixels.

    Raises:
        SourceError: it is damaged, larger than the limit, or not a picture.
    """
    with _explained(path):
        try:
            with _opened(path) as picture:
                return _read_header(path, picture)
        except Exception:
            image = _read_with_opencv(path)
            if image is None:
                raise
            return PictureFile(path, (0,), ((image.shape[1], image.shape[0]),))


def _read_header(path: Path, picture: PIL.Image.Image) -> PictureFile:
    count = _count_pages(picture)
    if count == 1:
        return PictureFile(path, (0,), (_upright_size(picture),))
    if picture.format != "TIFF":
        seconds = min(_shown(picture, i) for i in range(min(count, RHYTHM_FRAMES)))
        size = _upright_size(picture)
        return PictureFile(path, tuple(range(count)), (size,) * count, True, seconds)
    sizes = {}
    for page in range(count):
        _turn_to(picture, page)
        if not _tag(picture, PAGE_KIND) & REDUCED:
            sizes[page] = _upright_size(picture)
    return PictureFile(path, tuple(sizes), tuple(sizes.values()))


def read_pages(file: PictureFile, first: int = 0) -> Iterator[Page]:
    """Decode the pages of a file, one after the other.

    Args:
        file: from `read_header`.
        first: the first page to decode, as an index into ``file.pages``.

    Raises:
        SourceError: a page is damaged; those before it have been yielded.
    """
    if first >= len(file.pages):
        return
    with _explained(file.path):
        try:
            with _opened(file.path) as picture:
                for page in file.pages[first:]:
                    seconds = _shown(picture, page) if file.animated else USUAL_FRAME_SECONDS
                    if not file.animated:
                        _turn_to(picture, page)
                    yield Page(np.ascontiguousarray(to_rgb(picture)[..., ::-1]), seconds)
        except Exception as e:
            image = _read_with_opencv(file.path) if first == 0 and len(file.pages) == 1 else None
            if image is None:
                raise
            log.debug("%s: read with OpenCV: %s", file.path, e)
            yield Page(image, USUAL_FRAME_SECONDS)


def to_rgb(picture: PIL.Image.Image) -> Image:
    """Convert any picture, upright, to (H, W, 3) uint8 RGB; what is transparent becomes black."""
    import PIL.Image
    import PIL.ImageOps

    upright = PIL.ImageOps.exif_transpose(picture)
    if upright.mode[0] in "IF":  # grey of 16 or 32 bits, which convert() would clip at 255
        grey = to_8_bits(np.asarray(upright), _largest_sample(picture))
        return np.repeat(grey[..., None], 3, -1)
    if upright.has_transparency_data:
        flat = PIL.Image.new("RGBA", upright.size, (0, 0, 0, 255))
        flat.alpha_composite(upright.convert("RGBA"))
        upright = flat
    return np.asarray(upright.convert("RGB"), np.uint8)


def to_8_bits(values: NDArray[np.generic], largest: float | None = None) -> NDArray[np.uint8]:
    """Scale samples to 0 to 255; negative ones and those that are not numbers become 0.

    Args:
        values: of any shape and type.
        largest: the value that means white, if it is known. Otherwise it is the first of 1, 255,
            4095, 65535 and 2^32 - 1 that no decimal number exceeds, or of 4095, 65535 and
            2^32 - 1 that no whole number of more than 8 bits does.
    """
    if values.dtype == np.uint8:
        return np.asarray(values, np.uint8)
    decimal = np.issubdtype(values.dtype, np.floating)
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0) if decimal else values
    top = float(finite.max(initial=0))
    if largest is None or not 0 < top <= largest:
        whites = (1.0, 255.0, 4095.0, 65535.0) if decimal else (4095.0, 65535.0)
        largest = next((white for white in whites if top <= white), max(top, 2.0**32 - 1))
    if largest == 65535.0 and not decimal:
        return (np.asarray(finite, np.int64).clip(0, 65535) >> 8).astype(np.uint8)
    scaled = np.asarray(finite, np.float64) * (255 / largest)
    return (scaled.clip(0, 255) + 0.5).astype(np.uint8)


def can_read_heif() -> bool:
    """Say whether the package that reads HEIC pictures is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[PIL.Image.Image]:
    """Open a picture, within limits of facereg's own.

    Raises:
        SourceError: it has too many pixels.
    """
    import PIL.Image

    if path.suffix.lower() in HEIF_SUFFIXES and can_read_heif():
        import pillow_heif  # type: ignore[import-not-found,unused-ignore]

        pillow_heif.register_heif_opener()
    with _no_limit_of_pillow():
        picture = PIL.Image.open(path)
    with picture:
        _check_size(picture, path)
        yield picture


@contextlib.contextmanager
def _no_limit_of_pillow() -> Iterator[None]:
    """Keep Pillow from warning of large pictures, which is one setting of the whole process."""
    import PIL.Image

    with _limit:
        before, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = before


def _check_size(picture: PIL.Image.Image, path: Path) -> None:
    """Refuse what would fill the memory.

    Raises:
        SourceError: it has too many pixels.
    """
    width, height = picture.size
    pixels, size = width * height, path.stat().st_size
    if pixels > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise SourceError(
            f"is {width}x{height}, and the limit is {limit} megapixels; scale it down first"
        )
    if pixels > SUSPICIOUS_PIXELS and pixels > size * MAX_PIXELS_PER_BYTE:
        raise SourceError(
            f"is {width}x{height} pixels in {size // 1000} kB: it would fill the memory; above "
            f"{SUSPICIOUS_PIXELS // 1_000_000} megapixels the limit is {MAX_PIXELS_PER_BYTE} "
            "pixels a byte"
        )


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises for a damaged file into an error that names it."""
    try:
        yield
    except SourceError as e:
        raise SourceError(f"{path}: {e}") from e
    except Exception as e:  # decoders raise all sorts of errors
        raise SourceError(f"{path}: {_why(path, e)}") from e


def _why(path: Path, error: Exception) -> str:
    """Say in a few words why a picture could not be read."""
    if isinstance(error, OSError) and error.strerror:  # gone, or not ours to read
        return error.strerror.lower()
    if not path.stat().st_size:
        return "is empty"
    if path.suffix.lower() in HEIF_SUFFIXES and not can_read_heif():
        return f"is of a kind that is not read by itself; {HEIF_CURE}"
    if type(error).__name__ == "UnidentifiedImageError":
        return "is not a picture that can be read"
    return f"cannot be read as a picture: {str(error).splitlines()[0] if str(error) else error!r}"


def _count_pages(picture: PIL.Image.Image) -> int:
    """Count pages or frames. A camera's MPO has copies of one picture behind the first."""
    return 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))


def _turn_to(picture: PIL.Image.Image, page: int) -> None:
    with _no_limit_of_pillow():
        picture.seek(page)


def _shown(picture: PIL.Image.Image, page: int) -> float:
    """Turn to a frame of an animation, and return the seconds for which it is shown."""
    _turn_to(picture, page)
    picture.load()
    milliseconds = picture.info.get("duration") or 0
    return float(milliseconds) / 1000 or USUAL_FRAME_SECONDS


def _upright_size(picture: PIL.Image.Image) -> tuple[int, int]:
    width, height = picture.size
    if "exif" in picture.info and picture.getexif().get(ORIENTATION) in LYING:
        return height, width
    return width, height


def _tag(picture: PIL.Image.Image, tag: int) -> int:
    """Read a number of a TIFF's page; 0 if it has none."""
    value = getattr(picture, "tag_v2", {}).get(tag, 0)
    value = value[0] if isinstance(value, tuple) else value
    return int(value) if isinstance(value, (int, float)) else 0


def _largest_sample(picture: PIL.Image.Image) -> float | None:
    """Return the sample that means white, if the file says so."""
    declared = _tag(picture, LARGEST_SAMPLE)
    if declared > 0:
        return float(declared)
    bits = _tag(picture, BITS)
    return float(2**bits - 1) if 8 < bits < 16 else None


def _read_with_opencv(path: Path) -> Image | None:
    """Read a TIFF of 16-bit or decimal colours, which Pillow does not know; None if that fails."""
    import cv2

    from .capture import silent

    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        with silent():  # its decoder prints about every damaged file
            data = np.frombuffer(path.read_bytes(), np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if image is None or image.ndim != 3 or image.shape[2] < 3:
        return None
    return np.ascontiguousarray(to_8_bits(np.asarray(image[..., :3])))
