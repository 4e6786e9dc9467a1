"""Write a view of every frame as a picture of its own, named as the source names it."""

from __future__ import annotations

from pathlib import Path

from .. import output
from ..components import FindView, Run, Sink, View
from ..errors import SinkError, UsageError
from ..hookspecs import hookimpl
from ..output import write_file
from ..sources.images import IMAGE_SUFFIXES
from ..types import Frame, FrameResult, Image, SourceInfo
from ..views import view as built_in

#: Endings that are written as JPEG and as PNG; a picture of any other kind becomes a PNG.
JPEG, PNG = (".jpg", ".jpeg", ".jpe", ".jfif"), ".png"


#: What a picture of its own name may be.
PICTURES = (*JPEG, PNG, ".webp", ".bmp", ".tif", ".tiff")


class ImagesSink(Sink):
    """Writes a folder of pictures, or one picture of a source that is one.

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
                OUT.png.
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
        self._written: set[str] = set()
        self._single = False

    def open(self, info: SourceInfo, run: Run) -> None:
        """Make the folder."""
        self._single = self.path.suffix.lower() in IMAGE_SUFFIXES and not self.path.is_dir()
        if self._single:
            self._check_single(info)
            return
        output.check_parent(self.path)
        if self.path.exists() and not self.path.is_dir():
            raise SinkError(f"{self.path} is a file; name a folder")
        try:
            self.path.mkdir(exist_ok=True)
            empty = not any(self.path.iterdir())
        except OSError as e:
            raise SinkError(f"{self.path}: {e.strerror or e}") from e
        if not empty and not self._overwrite:
            raise SinkError(f"{self.path} is not empty; --overwrite replaces equal names")

    def _check_single(self, info: SourceInfo) -> None:
        output.check_file(self.path, PICTURES, self._overwrite)
        if not info.stills or info.frame_count != 1:
            raise UsageError(
                f"{self.path} would be one picture, and {info.name} has more: name a folder for a "
                f"picture a frame: -o {self.path.with_suffix('')}/"
            )

    def write(self, result: FrameResult) -> None:
        """Write one picture."""
        if self._single:
            self._written.add(self.path.name)
            data = self._encode(self._draw(result), self.path.suffix)
            with output.AtomicFile(self.path, overwrite=self._overwrite) as file:
                file.part.write_bytes(data)
            return
        name = file_name(result.frame)
        if name.casefold() in self._written:
            raise SinkError(
                f"{self.path}: a second picture of the name {name}; run folder by folder"
            )
        self._written.add(name.casefold())
        write_file(self.path / name, self._encode(self._draw(result), Path(name).suffix))

    def close(self) -> None:
        """Say what was written."""
        if self._written:
            self.outputs = (str(self.path),)
            self.report = {"path": str(self.path), "frames": len(self._written)}

    def _encode(self, picture: Image, suffix: str) -> bytes:
        import cv2

        jpeg = suffix.lower() in JPEG
        options = [cv2.IMWRITE_JPEG_QUALITY, self._quality] if jpeg else []
        done, data = cv2.imencode(JPEG[0] if jpeg else suffix.lower(), picture, options)
        if not done:
            raise SinkError(f"{self.path}: OpenCV cannot write a {suffix} of {picture.shape}")
        return data.tobytes()


def file_name(frame: Frame) -> str:
    """Name a frame's picture: as its source did where that is a JPEG or PNG."""
    name = frame.name or f"{frame.index:06d}{PNG}"
    return name if Path(name).suffix.lower() in (*JPEG, PNG) else f"{name}{PNG}"


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (ImagesSink,)
