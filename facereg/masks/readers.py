"""Read single maps from the three containers of a mask dump.

Nothing is trusted: a map is read only from a file in the dump's folder, only if it has the size
that its line says, and only if it has the checksum that its line says.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError, SourceError
from ..output import open_inside
from ..video.run import FrameReader
from . import png
from .lines import CHECKSUMS, Line, checksum, map_size
from .manifest import Manifest, MapKind
from .writers import DTYPES, VIDEOS, frames_in_chunk, part_of, png_name

#: A frame this many ahead in a video is decoded up to; for any other, the video is searched.
MAX_DECODED_AHEAD = 30

#: What the libraries below raise for a damaged map.
DAMAGES = (
    OSError, ValueError, KeyError, IndexError, TypeError, EOFError, SyntaxError, RuntimeError,
    OverflowError, MemoryError, MediaError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Maps(ABC):
    """Reads the maps of one container.

    Args:
        folder: the dump.
        manifest: its manifest.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    def read(self, position: int, line: Line, kind: MapKind) -> NDArray[Any]:
        """Read a map.

        Args:
            position: of the line, from 0.
            line: the frame's.
            kind: which map.

        Returns:
            (H, W) uint8 class ids or uint16 face ids.

        Raises:
            SourceError: it is missing or damaged, or another one.
        """
        size = map_size(line, self.manifest)
        try:
            values = self._read(position, line, kind)
            if values.shape != size:
                raise ValueError(
                    f"it is {values.shape[1]}x{values.shape[0]}, not {size[1]}x{size[0]}"
                )
            expected = line.get(CHECKSUMS[kind])
            if expected is not None and checksum(values) != expected:
                raise ValueError("it is not the map that was written")
        except DAMAGES as e:
            name = self.folder / line["file"]
            raise SourceError(f"{name}, frame {line['index']}: damaged: {e}") from e
        return values

    @abstractmethod
    def _read(self, position: int, line: Line, kind: MapKind) -> NDArray[Any]:
        """Read a map; raise one of `DAMAGES` if it is damaged."""

    def close(self) -> None:
        """Release everything."""


class PngMaps(Maps):
    """Reads one file a frame."""

    def _read(self, position: int, line: Line, kind: MapKind) -> NDArray[Any]:
        with open_inside(self.folder / png_name(line, kind)) as file:
            return png.decode(file, map_size(line, self.manifest)).astype(DTYPES[kind], copy=False)


class NpzMaps(Maps):
    """Keeps the chunks that were read last."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        self._kept: OrderedDict[tuple[str, MapKind], dict[int, NDArray[Any]]] = OrderedDict()

    def _read(self, position: int, line: Line, kind: MapKind) -> NDArray[Any]:
        key = (line["file"], kind)
        if key not in self._kept:
            size = map_size(line, self.manifest)
            self._kept[key] = read_chunk(self.folder / line["file"], size, kind)
            if len(self._kept) > 2:
                self._kept.popitem(last=False)
        return self._kept[key][line["index"]]

    def close(self) -> None:
        self._kept.clear()


class VideoMaps(Maps):
    """Keeps a decoder running after the last frame that was read, one for each video."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        self._decoders: dict[MapKind, VideoDecoder] = {}

    def _read(self, position: int, line: Line, kind: MapKind) -> NDArray[Any]:
        if kind not in self._decoders:
            self._decoders[kind] = VideoDecoder(self._path(kind), self.manifest, kind)
        return self._decoders[kind].read(position)

    def close(self) -> None:
        while self._decoders:
            self._decoders.popitem()[1].close()

    def _path(self, kind: MapKind) -> Path:
        path = self.folder / VIDEOS[kind]
        if not path.exists() and not self.manifest.complete:
            path = path.with_name(part_of(path.name))
        open_inside(path).close()  # ffmpeg would follow a link
        return path


class VideoDecoder:
    """Decodes a video of maps frame by frame, from any position."""

    def __init__(self, path: Path, manifest: Manifest, kind: MapKind) -> None:
        self._path, self._size, self._rate = path, manifest.size, manifest.rate
        self._dtype = DTYPES[kind]
        self._reader: FrameReader | None = None
        self._next = 0

    def read(self, position: int) -> NDArray[Any]:
        """Decode the map at a position.

        Raises:
            OSError: there is none that decodes.
            MediaError: ffmpeg cannot be run.
        """
        if self._reader is None or not 0 <= position - self._next <= MAX_DECODED_AHEAD:
            self._seek(position)
        while self._next < position:
            self._decode()
        return self._decode()

    def close(self) -> None:
        """End the decoder."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _seek(self, position: int) -> None:
        self.close()
        # Half a picture early: timestamps in Matroska are rounded to milliseconds.
        start = max(Fraction(0), (position - Fraction(1, 2)) / self._rate)
        self._reader = FrameReader(
            # Matroska names no other files, as other kinds of file might.
            ["-ss", f"{float(start):.6f}", "-f", "matroska", "-i", self._path, "-map", "0:v:0",
             "-fps_mode", "passthrough", "-f", "rawvideo",
             "-pix_fmt", "gray" if self._dtype == np.uint8 else "gray16le", "pipe:1"],
            self._size[0] * self._size[1] * self._dtype.itemsize,
        )  # fmt: skip
        self._next = position

    def _decode(self) -> NDArray[Any]:
        assert self._reader is not None
        try:
            data = self._reader.read()
        except MediaError:
            self.close()
            raise
        if data is None:
            self.close()
            raise OSError(f"no picture {self._next} in it")
        self._next += 1
        return np.frombuffer(data, self._dtype).reshape(self._size)


#: The reader of each format that a manifest may name.
READERS: dict[str, type[Maps]] = {"png": PngMaps, "npz": NpzMaps, "ffv1": VideoMaps}


def read_chunk(path: Path, size: tuple[int, int], kind: MapKind) -> dict[int, NDArray[Any]]:
    """Read the maps of an NPZ chunk, by the frame's index; no more bytes than a chunk may have.

    Args:
        path: the chunk.
        size: height and width of its maps.
        kind: which maps.

    Raises:
        OSError, ValueError, …: one of `DAMAGES`: it is missing, damaged, or has other maps.
    """
    with open_inside(path) as file, zipfile.ZipFile(file) as archive:
        indices = _read_array(archive, "index", np.dtype(np.int64), (frames_in_chunk(size),))
        maps = _read_array(archive, kind, DTYPES[kind], (len(indices), *size))
    if len(maps) != len(indices):
        raise ValueError(f"it has {len(maps)} maps of {len(indices)} frames")
    return dict(zip(map(int, indices), maps, strict=True))


def _read_array(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], most: tuple[int, ...]
) -> NDArray[Any]:
    """Read an array as ``np.savez`` wrote it, if it is no longer than ``most``."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise ValueError(f"{name} is in version {version} of NumPy's format")
        shape, by_columns, found = np.lib.format.read_array_header_1_0(member)
        if found != dtype or by_columns or shape[1:] != most[1:] or not 0 < shape[0] <= most[0]:
            raise ValueError(f"{name} is {found} {shape}, not {dtype} {most} at most")
        count = int(np.prod(shape)) * dtype.itemsize
        data = member.read(count)
    if len(data) != count:
        raise ValueError(f"{name} is cut off")
    return np.frombuffer(data, dtype).reshape(shape)
