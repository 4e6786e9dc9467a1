"""The three containers of a mask dump: PNG files, chunks in NPZ, FFV1 videos.

A container takes a frame's line and maps, and returns the lines whose maps are in its files; only
those may be written into ``frames.jsonl``.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError, SinkError
from ..output import create_file, write_file
from ..video.run import FrameWriter
from . import png
from .lines import Line
from .manifest import Manifest, MapKind

#: The maps of a frame, (H, W).
FrameMaps = Mapping[MapKind, NDArray[Any]]

DTYPES: dict[MapKind, np.dtype[Any]] = {"labels": np.dtype(np.uint8), "instances": np.dtype("<u2")}

#: Most frames, and most bytes of label maps, in an NPZ chunk.
MAX_CHUNK_FRAMES, MAX_CHUNK_BYTES = 64, 16_000_000

#: Most pictures that an ffmpeg that is killed takes with it; 24 were seen.
MAX_BUFFERED_FRAMES = 32

VIDEOS: dict[MapKind, str] = {"labels": "masks.mkv", "instances": "instances.mkv"}


def part_of(video: str) -> str:
    """Name the file that a video is written to until it is complete."""
    return f".{video}.part"


def png_name(line: Line, kind: MapKind) -> str:
    """Name the PNG of a frame's map."""
    name: str = line["file"]
    return name if kind == "labels" else name.replace(".png", ".instances.png")


class Container(ABC):
    """Takes a dump's maps, in order.

    Args:
        folder: where its files are written.
        manifest: of the dump.

    Attributes:
        buffered: how many of the last lines it returned may have maps that a crash would lose.
    """

    buffered = 0

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @abstractmethod
    def add(self, line: Line, maps: FrameMaps) -> list[Line]:
        """Take one frame's maps; return the lines whose maps are in files now.

        Raises:
            SinkError: they cannot be written.
        """

    def close(self) -> list[Line]:
        """Write what is left, and return its lines.

        Raises:
            SinkError: it cannot be written.
        """
        return []

    def abandon(self) -> None:
        """Release everything after a failure."""


class PngFiles(Container):
    """A PNG a map."""

    def add(self, line: Line, maps: FrameMaps) -> list[Line]:
        line["file"] = f"{line['index']:06d}.png"
        for kind in reversed(self.manifest.kinds):
            write_file(self.folder / png_name(line, kind), png.encode(maps[kind]))
        return [line]


class NpzChunks(Container):
    """Compressed chunks of frames of one size, each named after its first frame."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        self._waiting: list[tuple[Line, FrameMaps]] = []

    def add(self, line: Line, maps: FrameMaps) -> list[Line]:
        size = maps["labels"].shape
        changed = self._waiting and self._waiting[0][1]["labels"].shape != size
        done = self.close() if changed else []
        self._waiting.append((line, maps))
        if len(self._waiting) >= frames_in_chunk(size):
            done += self.close()
        return done

    def close(self) -> list[Line]:
        if not self._waiting:
            return []
        lines, waiting = [line for line, _ in self._waiting], self._waiting
        self._waiting = []
        arrays: dict[str, Any] = {"index": np.array([line["index"] for line in lines], np.int64)}
        for kind in self.manifest.kinds:
            arrays[kind] = np.stack([maps[kind] for _, maps in waiting])
        data, name = io.BytesIO(), f"{lines[0]['index']:06d}.npz"
        np.savez_compressed(data, **arrays)
        write_file(self.folder / name, data.getvalue())
        return [{**line, "file": name} for line in lines]


class Videos(Container):
    """One lossless FFV1 video for each kind of map, a picture a frame, in order."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        self.buffered = MAX_BUFFERED_FRAMES
        self._pipes: dict[MapKind, FrameWriter] = {}

    def add(self, line: Line, maps: FrameMaps) -> list[Line]:
        line["file"] = VIDEOS["labels"]
        (height, width), (h, w) = self.manifest.size, maps["labels"].shape
        if (h, w) != (height, width):
            raise SinkError(
                f"{self.folder}: frame {line['index']} is {w}x{h}, and the video of masks is "
                f"{width}x{height}; format=png takes mixed sizes"
            )
        for kind in self.manifest.kinds:
            self._send(kind, maps[kind])
        return [line]

    def close(self) -> list[Line]:
        for kind, pipe in self._pipes.items():
            try:
                pipe.finish()
            except MediaError as e:
                raise SinkError(f"{self.folder / VIDEOS[kind]}: {e}") from e
        for kind in self._pipes:
            os.replace(self.folder / part_of(VIDEOS[kind]), self.folder / VIDEOS[kind])
        self.buffered = 0
        return []

    def abandon(self) -> None:
        for pipe in self._pipes.values():
            pipe.kill()

    def _send(self, kind: MapKind, values: NDArray[Any]) -> None:
        values = np.ascontiguousarray(values, DTYPES[kind])
        try:
            if kind not in self._pipes:
                path = self.folder / part_of(VIDEOS[kind])
                create_file(path).close()  # ffmpeg itself would write through a link
                args = video_arguments(self.manifest.size, kind, self.manifest.rate, path)
                self._pipes[kind] = FrameWriter(args, values.nbytes)
            self._pipes[kind].write(values.data.cast("B"))
        except MediaError as e:
            raise SinkError(f"{self.folder / VIDEOS[kind]}: {e}") from e


#: The container of each format.
CONTAINERS: dict[str, type[Container]] = {"png": PngFiles, "npz": NpzChunks, "ffv1": Videos}


def video_arguments(
    size: tuple[int, int], kind: MapKind, rate: Fraction, path: Path
) -> list[str | Path]:
    """Return ffmpeg's arguments for a lossless video: the same bytes for the same pictures."""
    return [
        "-f", "rawvideo", "-pix_fmt", "gray" if kind == "labels" else "gray16le",
        "-s", f"{size[1]}x{size[0]}",
        "-framerate", f"{rate.numerator}/{rate.denominator}", "-i", "pipe:0",
        "-c:v", "ffv1", "-level", "3", "-g", "1", "-slicecrc", "1",
        *(("-slices", "4") if min(size) > 1 else ()), "-threads", "4", "-bitexact",
        "-cluster_time_limit", "500", "-flush_packets", "1", "-f", "matroska", "-y", path,
    ]  # fmt: skip


def frames_in_chunk(size: tuple[int, ...]) -> int:
    """Return how many frames of a size, (H, W), make a whole NPZ chunk."""
    return max(1, min(MAX_CHUNK_FRAMES, MAX_CHUNK_BYTES // (size[0] * size[1])))
