"""The three containers of label maps in a mask dump: PNG files, chunks in NPZ, one FFV1 video.

A container takes a frame's line and maps, and hands the line back when its maps are on the disk;
only then may it be written into ``frames.jsonl``.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MediaError, SinkError
from ..output import discard, open_new, write_file
from ..types import Labels
from ..video.run import FrameWriter
from . import png
from .lines import Line

Instances = NDArray[np.uint16]

#: An NPZ chunk ends at so many frames, or so many bytes of label maps.
CHUNK_FRAMES, CHUNK_BYTES = 64, 16_000_000

#: Pictures that ffmpeg may still have in hand when it is killed: up to 24 were seen.
IN_HAND = 32

VIDEO, INSTANCES_VIDEO = "masks.mkv", "instances.mkv"


def part_of(video: str) -> str:
    """Name the file that a video is written to until it is complete."""
    return f".{video}.part"


def instances_name(png_name: str) -> str:
    """Name the file of face ids that belongs to a PNG of class ids."""
    return png_name.replace(".png", ".instances.png")


class Writer(ABC):
    """Takes label maps, in order.

    Attributes:
        behind: by how many frames the disk may be behind the lines that were handed back.
    """

    behind = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def add(self, line: Line, labels: Labels, instances: Instances | None) -> list[Line]:
        """Take one frame's maps; return the lines whose maps are on the disk now.

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


class PngWriter(Writer):
    """A PNG a frame."""

    def add(self, line: Line, labels: Labels, instances: Instances | None) -> list[Line]:
        line["file"] = f"{line['index']:06d}.png"
        if instances is not None:
            write_file(self.folder / instances_name(line["file"]), png.encode(instances))
        write_file(self.folder / line["file"], png.encode(labels))
        return [line]


class NpzWriter(Writer):
    """Compressed chunks of frames of one size, each named after its first frame."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._lines: list[Line] = []
        self._labels: list[Labels] = []
        self._instances: list[Instances] = []

    def add(self, line: Line, labels: Labels, instances: Instances | None) -> list[Line]:
        changed = bool(self._labels) and self._labels[0].shape != labels.shape
        done = self.close() if changed else []
        self._lines.append(line)
        self._labels.append(labels)
        if instances is not None:
            self._instances.append(instances)
        if len(self._lines) >= frames_in_chunk(labels.shape):
            done += self.close()
        return done

    def close(self) -> list[Line]:
        if not self._lines:
            return []
        lines, self._lines = self._lines, []
        name = f"{lines[0]['index']:06d}.npz"
        arrays: dict[str, Any] = {
            "index": np.array([line["index"] for line in lines], np.int64),
            "labels": np.stack(self._labels),
        }
        if self._instances:
            arrays["instances"] = np.stack(self._instances)
        self._labels, self._instances = [], []
        data = io.BytesIO()
        np.savez_compressed(data, **arrays)
        write_file(self.folder / name, data.getvalue())
        return [{**line, "file": name} for line in lines]


class VideoWriter(Writer):
    """One lossless FFV1 video, a picture a frame, in the order of the lines."""

    def __init__(self, folder: Path, rate: Fraction) -> None:
        super().__init__(folder)
        self._rate = rate
        self.behind = IN_HAND
        self._pipes: dict[str, FrameWriter] = {}
        self._size: tuple[int, ...] = ()

    def add(self, line: Line, labels: Labels, instances: Instances | None) -> list[Line]:
        line["file"] = VIDEO
        self._size = self._size or labels.shape
        if labels.shape != self._size:
            raise SinkError(
                f"{self.folder}: frame {line['index']} is {labels.shape[1]}x{labels.shape[0]}, and "
                f"those before are {self._size[1]}x{self._size[0]}; format=png takes mixed sizes"
            )
        self._send(VIDEO, labels, "gray")
        if instances is not None:
            self._send(INSTANCES_VIDEO, instances.astype("<u2"), "gray16le")
        return [line]

    def close(self) -> list[Line]:
        for name, pipe in self._pipes.items():
            try:
                pipe.finish()
            except MediaError as e:
                raise SinkError(f"{self.folder / name}: {e}") from e
        for name in self._pipes:
            os.replace(self.folder / part_of(name), self.folder / name)
        self.behind = 0
        return []

    def abandon(self) -> None:
        for pipe in self._pipes.values():
            pipe.kill()

    def _send(self, name: str, picture: NDArray[Any], pixels: str) -> None:
        if name not in self._pipes:
            path = self.folder / part_of(name)
            _create(path)  # ffmpeg itself would write through a link
            args = video_arguments(picture.shape, pixels, self._rate, path)
            self._pipes[name] = FrameWriter(args, picture.nbytes)
        try:
            self._pipes[name].write(np.ascontiguousarray(picture).data.cast("B"))
        except MediaError as e:
            raise SinkError(f"{self.folder / name}: {e}") from e


def _create(path: Path) -> None:
    """Create an empty file in place of what a killed run left.

    Raises:
        SinkError: it cannot be created.
    """
    discard(path)
    try:
        open_new(path).close()
    except OSError as e:
        raise SinkError(f"{path}: {e.strerror or e}") from e


def video_arguments(
    size: tuple[int, ...], pixels: str, rate: Fraction, path: Path
) -> list[str | Path]:
    """Write ffmpeg's arguments for a lossless video: the same bytes for the same pictures."""
    return [
        "-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{size[1]}x{size[0]}",
        "-framerate", f"{rate.numerator}/{rate.denominator}", "-i", "pipe:0",
        "-c:v", "ffv1", "-level", "3", "-g", "1", "-slicecrc", "1",
        *(("-slices", "4") if min(size) > 1 else ()), "-threads", "4", "-bitexact",
        "-cluster_time_limit", "500", "-flush_packets", "1", "-f", "matroska", "-y", path,
    ]  # fmt: skip


def frames_in_chunk(size: tuple[int, ...]) -> int:
    """Say how many frames of a size, (H, W), make a whole NPZ chunk."""
    return max(1, min(CHUNK_FRAMES, CHUNK_BYTES // (size[0] * size[1])))
