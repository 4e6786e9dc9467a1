"""Write what was found as data: a label map a frame, and a line about its faces."""

from __future__ import annotations

import contextlib
import io
import json
from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from .. import output
from .._version import __version__
from ..components import Run, Sink
from ..errors import SinkError, UsageError
from ..hookspecs import hookimpl
from ..masks import repair as resuming
from ..masks import resume as cache
from ..masks.lines import FORMAT_VERSION, LINES, MANIFEST, Format, Line, describe
from ..masks.writers import IN_HAND, Instances, NpzWriter, PngWriter, VideoWriter, Writer
from ..output import write_file
from ..regions import CLASSES, COLORS
from ..types import FrameResult, Labels, SourceInfo
from ..video.timeline import recording_rate


class MasksSink(Sink):
    """Writes a folder of label maps, with a manifest and a line a frame."""

    name = "masks"

    def __init__(
        self,
        *,
        path: Path,
        format: Format = "png",  # noqa: A002  (the option's name)
        instances: bool = False,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Name the folder.

        Args:
            path: the folder; it is made, in a folder that exists.
            format: png, a file a frame; npz, compressed chunks; ffv1, one lossless video.
            instances: whether to write whose each pixel is, too.
            resume: whether to go on with a dump that is there.
            overwrite: whether a dump that is there is replaced.
        """
        if resume and overwrite:
            raise UsageError(f"{path}: resume goes on and overwrite starts again; choose one")
        self.path, self._format, self._instances = path, format, instances
        self._resume, self._overwrite = resume, overwrite
        #: Frames that a resumed dump had already, by index; they are not written again.
        self.done: frozenset[int] = frozenset()
        #: What an earlier run left, and what the next one will find; the caller sets it.
        self.cache: cache.ResultCache | None = None
        self.report: dict[str, object] = {}
        self._lines: io.FileIO | None = None
        self._failed = False
        self._count = 0
        self._latest: deque[int] = deque(maxlen=IN_HAND + 1)  # indices of the last lines
        self._aside: int | None = None  # the last frame of videos that were moved aside

    def open(self, info: SourceInfo, run: Run) -> None:
        """Make the folder, or see how far it got."""
        if self._format == "ffv1" and info.sizes_vary is not None:
            name, width, height = info.sizes_vary
            raise SinkError(
                f"{self.path}: {name} is {width}x{height} and the first image is "
                f"{info.width}x{info.height}; format=png takes mixed sizes"
            )
        self._info, self._run = info, run
        self._manifest = self._describe(info)
        try:
            kept = self._enter_folder()
            write_file(self.path / MANIFEST, _json(self._manifest))
            self._open_cache(kept)
            self._writer = self._make_writer()
            if kept and self._format == "ffv1":
                self._aside = kept[-1]["index"]
                self._copy_back(kept)
            self._lines = io.FileIO(self.path / LINES, "ab")
        except OSError as e:
            raise SinkError(f"{self.path}: {e.strerror or e}") from e
        indices = [line["index"] for line in kept]
        self._latest.extend(indices)
        self.done, self._count = frozenset(indices), len(kept)

    def write(self, result: FrameResult) -> None:
        """Write one frame's maps, then its line."""
        index = result.frame.index
        if self._failed or index in (self.done if self.cache is None else self.cache):
            return
        labels, line = result.labels(), describe(result)
        self._failed = True  # until it has worked
        if self.cache is not None:
            self.cache.note(result, labels, line)
        if index not in self.done:
            self._add(result, labels, line)
        if self.cache is not None:
            self.cache.settle(self._safe())
        self._failed = False

    def _add(self, result: FrameResult, labels: Labels, line: Line) -> None:
        frame, size = result.frame, (self._info.height, self._info.width)
        if self._format == "ffv1" and labels.shape != size:
            raise SinkError(
                f"{self.path}: frame {frame.index} is {frame.width}x{frame.height}, not the "
                f"source's {size[1]}x{size[0]}; format=png takes mixed sizes"
            )
        owners = self._owners(result) if self._instances else None
        self._append(self._writer.add(line, labels, owners))
        if self._aside is not None and self._safe() > self._aside:
            self._aside = None
            output.discard(*self.path.glob(".*.mkv.old"))  # a second crash goes on from here

    def _safe(self) -> int:
        """Say which frame, and all before it, a crash would leave; -1: none."""
        behind = self._writer.behind
        return self._latest[-1 - behind] if len(self._latest) > behind else -1

    def close(self) -> None:
        """Write what is left, and say in the manifest whether the dump is complete.

        It is not where an error ended the run: a detector's, or another sink's.
        """
        if self._lines is None:
            return
        try:
            if self._failed:
                self._writer.abandon()
                return
            lines = self._writer.close()
            if self.cache is not None:
                self.cache.settle(self._safe())  # a chunk that is not full is made again
            self._append(lines)
            complete = not self._run.status().failed
            done = {**self._manifest, "frames": self._count, "complete": complete}
            write_file(self.path / MANIFEST, _json(done))
            output.discard(*self.path.glob(".*.mkv.old"))
        finally:
            self._lines.close()
            if self.cache is not None:
                self.cache.close()
        if self._run.status().failed_before_first_frame and not self._count:
            resuming.clear(self.path)
            with contextlib.suppress(OSError):  # it was there, and has other files
                self.path.rmdir()
            return
        self.outputs = (str(self.path),)
        self.report = {
            "path": str(self.path),
            "format": self._format,
            "frames": self._count,
            "resumed": len(self.done),
        }

    def _enter_folder(self) -> list[Line]:
        """Make the folder, or clear or repair the dump in it; return the lines that it keeps."""
        output.check_parent(self.path)
        if self.path.exists() and not self.path.is_dir():
            raise SinkError(f"{self.path} is a file; name a folder")
        self.path.mkdir(exist_ok=True)
        if not any(self.path.iterdir()):
            return []
        if self._resume:
            return resuming.repair(self.path, self._manifest)
        if not self._overwrite:
            raise SinkError(f"{self.path} is not empty; --overwrite replaces a dump in it")
        resuming.clear(self.path)
        return []

    def _open_cache(self, kept: list[Line]) -> None:
        if self.cache is None:
            cache.remove(self.path)
        else:
            self.cache.open(kept, resuming.reader(self.path, self._manifest))

    def _copy_back(self, kept: list[Line]) -> None:
        try:
            resuming.copy_back(self.path, self._manifest, kept, self._writer)
        except BaseException:
            self._writer.abandon()
            raise

    def _make_writer(self) -> Writer:
        if self._format == "ffv1":
            return VideoWriter(self.path, Fraction(str(self._manifest["rate"])))
        return NpzWriter(self.path) if self._format == "npz" else PngWriter(self.path)

    def _describe(self, info: SourceInfo) -> dict[str, object]:
        """Make the manifest, as it is while the run goes on."""
        fps = None if info.fps is None else f"{info.fps.numerator}/{info.fps.denominator}"
        rate = min(recording_rate(info), Fraction(240))
        return {
            "format_version": FORMAT_VERSION,
            "facereg_version": __version__,
            "source": {
                "name": info.name,
                "width": info.width,
                "height": info.height,
                "fps": fps,
                "frame_count": info.frame_count,
            },
            "classes": [
                {"id": i, "name": name, "color": list(COLORS[i])} for i, name in enumerate(CLASSES)
            ],
            "detector": self._run.provenance.get("detector"),
            "segmenter": self._run.provenance.get("segmenter"),
            "model": _plain(self._run.provenance.get("model")),
            "format": self._format,
            "instances": self._instances,
            **({"rate": f"{rate.numerator}/{rate.denominator}"} if self._format == "ffv1" else {}),
            "complete": False,
        }

    def _owners(self, result: FrameResult) -> Instances:
        """Write face ids as they are stored: 0 where a pixel is nobody's."""
        for face in result.faces:
            if not 1 <= face.id <= 65535:
                raise SinkError(f"{self.path}: face id {face.id} is not within 1 to 65535")
        owners = result.instances()
        owners[owners < 0] = 0
        return owners.astype(np.uint16)

    def _append(self, lines: list[Line]) -> None:
        assert self._lines is not None
        for line in lines:
            data = _json_line(line)
            try:
                written = self._lines.write(data)
            except OSError as e:
                raise SinkError(f"{self.path / LINES}: {e.strerror or e}") from e
            if written != len(data):
                raise SinkError(f"{self.path / LINES}: no room for a whole line")
            self._count += 1
            self._latest.append(line["index"])


def _plain(value: object) -> object:
    """Turn mappings of any kind into what JSON knows."""
    return {str(k): _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _json_line(line: Line) -> bytes:
    return (json.dumps(line, ensure_ascii=False) + "\n").encode()


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (MasksSink,)
