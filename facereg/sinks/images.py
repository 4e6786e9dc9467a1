"""Write a view of every frame as a picture of its own, named as the source names it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

from .. import output
from ..components import FindView, Run, Sink, View, draw_with_alpha
from ..errors import SinkError, UsageError
from ..hookspecs import hookimpl
from ..output import AtomicFile, FolderLock, write_file
from ..sources.images import IMAGE_SUFFIXES
from ..types import Frame, FrameResult, Image, SourceInfo
from ..views import view as built_in

#: Endings of JPEG and PNG, which a frame's picture keeps; one of any other kind becomes a PNG.
JPEG, PNG = (".jpg", ".jpeg", ".jpe", ".jfif"), ".png"

#: Endings of pictures that hold transparency.
WITH_ALPHA = (PNG, ".webp", ".tif", ".tiff")

#: Endings that the name of a single picture may have.
PICTURES = (*JPEG, PNG, ".webp", ".bmp", ".tif", ".tiff")


class ImagesSink(Sink):
    """Writes a folder of pictures, or one picture if the source is one.

    The pixels are upright as the frames are, and no EXIF data is written, so that no program
    turns them again.
    """

    name = "images"

    def __init__(
        self,
        *,
        path: Path,
        view: str = "overlay",
        quality: int = 95,
        overwrite: bool = False,
        find_view: FindView = built_in,
    ) -> None:
        """Name the folder.

        Args:
            path: the folder, which is made in one that exists; or a picture's name, such as
                OUT.png, .jpg or .webp.
            view: the picture, as ``--view`` takes it.
            quality: of a JPEG, 1 to 100.
            overwrite: whether to write into a folder that is not empty, over files of the same
                name.
            find_view: finds the view by name; the registry gives its own.

        Raises:
            UsageError: an unknown view, or a quality out of range.
        """
        if not 1 <= quality <= 100:
            raise UsageError(f"sink images: quality={quality}: must be 1 to 100")
        self.path, self._overwrite, self._quality = path, overwrite, quality
        self._draw: View = find_view(view)
        self.report: dict[str, object] = {}
        self._target: Target | None = None  # while it is open

    def open(self, info: SourceInfo, run: Run) -> None:
        """Make the folder, or check that one picture is all that comes."""
        if self.path.suffix.lower() in IMAGE_SUFFIXES and not self.path.is_dir():
            self._target = PictureFile(self.path, info, self._overwrite)
        else:
            self._target = PictureFolder(self.path, self._overwrite)

    def write(self, result: FrameResult) -> None:
        """Write one picture."""
        assert self._target is not None, "open comes first"
        picture = draw_with_alpha(self._draw, result)
        name = self._target.name_of(result.frame, alpha=picture.shape[2] == 4)
        suffix = Path(name).suffix.lower()
        if picture.shape[2] == 4 and suffix not in WITH_ALPHA:
            picture = self._draw(result)
        self._target.write(name, encode(picture, suffix, self._quality))

    def close(self) -> None:
        """Report what was written."""
        if self._target is None:
            return
        count = self._target.close()
        self._target = None
        if count:
            self.outputs = (str(self.path),)
            self.report = {"path": str(self.path), "frames": count}


class Target(Protocol):
    """Where pictures go."""

    def name_of(self, frame: Frame, *, alpha: bool) -> str:
        """Name the file of a frame's picture, one with alpha or without.

        Raises:
            SinkError: it can have none.
        """

    def write(self, name: str, data: bytes) -> None:
        """Write a picture.

        Raises:
            SinkError: it cannot be written.
        """

    def close(self) -> int:
        """Release everything; return how many pictures were written."""


class PictureFolder:
    """A folder of pictures, which one run writes at a time.

    Raises:
        SinkError: it cannot be made, another run uses it, or it is not empty and may not be
            written over.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        output.check_parent(path)
        if path.exists() and not path.is_dir():
            raise SinkError(f"{path} is a file; name a folder")
        self._path, self._written = path, set[str]()
        try:
            self._made = not path.is_dir()
            path.mkdir(exist_ok=True)
            empty = not any(path.iterdir())
        except OSError as e:
            raise SinkError(f"{path}: {e.strerror or e}") from e
        if not empty and not overwrite:
            raise SinkError(f"{path} is not empty; --overwrite replaces equal names")
        self._lock = FolderLock(path)

    def name_of(self, frame: Frame, *, alpha: bool) -> str:
        """Name the file of a frame's picture, which no other one has."""
        name = file_name(frame, alpha=alpha)
        if Path(name).name != name or "\0" in name:
            raise SinkError(
                f"{self._path}: frame {frame.index} has the name {name!r}, which leads out of it"
            )
        if name.casefold() in self._written:
            raise SinkError(
                f"{self._path}: a second picture of the name {name}; run folder by folder"
            )
        return name

    def write(self, name: str, data: bytes) -> None:
        """Write a picture."""
        write_file(self._path / name, data)
        self._written.add(name.casefold())

    def close(self) -> int:
        """Let others in, and remove a folder that was made in vain."""
        self._lock.release()
        if self._made and not self._written:
            with contextlib.suppress(OSError):
                self._path.rmdir()
        return len(self._written)


class PictureFile:
    """One picture, of a source that is one.

    Raises:
        UsageError: the source has more pictures than one.
        SinkError: the file may not be written.
    """

    def __init__(self, path: Path, info: SourceInfo, overwrite: bool) -> None:
        output.check_file(path, PICTURES, overwrite)
        if not info.stills or info.frame_count != 1:
            raise UsageError(
                f"{path} would be one picture, and {info.name} has more: name a folder for a "
                f"picture a frame: -o {path.with_suffix('')}/"
            )
        self._file = AtomicFile(path, overwrite=overwrite)
        self._count = 0

    def name_of(self, frame: Frame, *, alpha: bool) -> str:
        """Name the file."""
        return self._file.path.name

    def write(self, name: str, data: bytes) -> None:
        """Write the picture."""
        with self._file.open() as file:
            file.write(data)
        self._file.commit()
        self._count += 1

    def close(self) -> int:
        """Leave nothing behind if there was no picture."""
        self._file.discard()
        return self._count


def encode(picture: Image, suffix: str, quality: int) -> bytes:
    """Encode a picture.

    Args:
        picture: (H, W, 3) uint8 BGR, or (H, W, 4) BGRA.
        suffix: the ending of its name, one of `PICTURES`.
        quality: of a JPEG, 1 to 100.

    Raises:
        SinkError: there is no such picture of this size.
    """
    import cv2

    jpeg = suffix.lower() in JPEG
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if jpeg else []
    try:
        done, data = cv2.imencode(JPEG[0] if jpeg else suffix.lower(), picture, options)
    except cv2.error:
        done = False
    if not done:
        height, width = picture.shape[:2]
        raise SinkError(f"a picture of {width}x{height} cannot be written as {suffix}; use {PNG}")
    return data.tobytes()


def file_name(frame: Frame, *, alpha: bool = False) -> str:
    """Name a frame's picture: as its source does, if that is a PNG, or a JPEG without alpha."""
    name = frame.name or f"{frame.index:06d}{PNG}"
    kept = (PNG,) if alpha else (*JPEG, PNG)
    return name if Path(name).suffix.lower() in kept else f"{name}{PNG}"


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (ImagesSink,)
