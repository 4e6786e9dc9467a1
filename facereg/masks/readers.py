"""Read single maps from the three containers of a mask dump."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError
from ..video.run import FrameReader
from . import png
from .lines import Line
from .writers import INSTANCES_VIDEO, VIDEO, instances_name, part_of

#: Frames to read on from where a video is, rather than to seek.
READ_ON = 30

#: What reading a damaged map raises.
DAMAGES = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class Maps(ABC):
    """Reads the maps of one container."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest

    @abstractmethod
    def read(self, position: int, line: Line, instances: bool) -> NDArray[Any]:
        """Read a map by its line's position; one of `DAMAGES` where it is damaged."""

    def close(self) -> None:
        """Release everything."""


class PngMaps(Maps):
    """Reads one file a frame."""

    def read(self, position: int, line: Line, instances: bool) -> NDArray[Any]:
        name = instances_name(line["file"]) if instances else line["file"]
        return png.decode(self.folder / name)


class NpzMaps(Maps):
    """Keeps the chunks that were read last."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        super().__init__(folder, manifest)
        self._kept: OrderedDict[tuple[str, str], tuple[NDArray[Any], dict[int, int]]]
        self._kept = OrderedDict()

    def read(self, position: int, line: Line, instances: bool) -> NDArray[Any]:
        key = (line["file"], "instances" if instances else "labels")
        if key not in self._kept:
            with (self.folder / key[0]).open("rb") as file, np.load(file) as chunk:
                places = {int(index): i for i, index in enumerate(chunk["index"])}
                self._kept[key] = (chunk[key[1]], places)
            if len(self._kept) > 2:
                self._kept.popitem(last=False)
        maps, places = self._kept[key]
        return np.asarray(maps[places[line["index"]]])

    def close(self) -> None:
        self._kept.clear()


class VideoMaps(Maps):
    """Keeps a decoder running where the last frame was read, one for each video."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        super().__init__(folder, manifest)
        self._decoders: dict[bool, VideoDecoder] = {}

    def read(self, position: int, line: Line, instances: bool) -> NDArray[Any]:
        if instances not in self._decoders:
            self._decoders[instances] = self._open(instances)
        return self._decoders[instances].read(position)

    def close(self) -> None:
        while self._decoders:
            self._decoders.popitem()[1].close()

    def _open(self, instances: bool) -> VideoDecoder:
        path = self.folder / (INSTANCES_VIDEO if instances else VIDEO)
        if not path.exists() and not self.manifest.get("complete"):
            path = path.with_name(part_of(path.name))
        source = self.manifest["source"]
        size = (source["height"], source["width"])
        rate = Fraction(self.manifest["rate"])
        return VideoDecoder(path, size, rate, np.dtype("<u2" if instances else np.uint8))


class VideoDecoder:
    """Decodes a gray video frame by frame, from any position."""

    def __init__(
        self, path: Path, size: tuple[int, int], rate: Fraction, dtype: np.dtype[Any]
    ) -> None:
        self._path, self._size, self._rate, self._dtype = path, size, rate, dtype
        self._reader: FrameReader | None = None
        self._next = 0

    def read(self, position: int) -> NDArray[Any]:
        """Decode the picture at a position.

        Raises:
            OSError: there is none that decodes.
        """
        if self._reader is None or not 0 <= position - self._next <= READ_ON:
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
        pixels = "gray" if self._dtype == np.uint8 else "gray16le"
        # Half a picture early: timestamps in Matroska are rounded to milliseconds.
        start = max(0.0, (position - 0.5) / float(self._rate))
        self._reader = FrameReader(
            ["-ss", f"{start:.6f}", "-i", self._path, "-map", "0:v:0",
             "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", pixels, "pipe:1"],
            self._size[0] * self._size[1] * self._dtype.itemsize,
        )  # fmt: skip
        self._next = position

    def _decode(self) -> NDArray[Any]:
        assert self._reader is not None
        try:
            data = self._reader.read()
        except MediaError as e:
            self.close()
            raise OSError(str(e)) from e
        if data is None:
            self.close()
            raise OSError(f"no picture {self._next} in it")
        self._next += 1
        return np.frombuffer(data, self._dtype).reshape(self._size)


#: The reader of each format that a manifest may name.
READERS: dict[str, type[Maps]] = {"png": PngMaps, "npz": NpzMaps, "ffv1": VideoMaps}
