"""Write what was found as data: label maps, and a line about the faces of each frame."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..components import Run, Sink
from ..errors import SinkError
from ..hookspecs import hookimpl
from ..masks import repair
from ..masks.dump_writer import DumpWriter
from ..masks.folder import DumpFolder, Existing
from ..masks.lines import describe
from ..masks.manifest import Format, MapKind, make_manifest
from ..masks.outputs import plan_outputs
from ..masks.resume import ExactResume, remove_files
from ..masks.writers import FrameMaps
from ..types import FrameResult, SourceInfo

log = logging.getLogger(__name__)

#: What becomes of a dump that is there, by the options ``resume`` and ``overwrite``.
EXISTING: dict[tuple[bool, bool], Existing] = {
    (False, False): "refuse",
    (False, True): "replace",
    (True, False): "resume",
    (True, True): "resume or replace",
}


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
            instances: whether to write the face id of each pixel, too.
            resume: whether to go on with a dump that is there.
            overwrite: whether a dump that is there is replaced when the new one is complete; with
                ``resume`` only if its run was finished.
        """
        self.path, self._format = path, format
        self._kinds: tuple[MapKind, ...] = ("labels", "instances") if instances else ("labels",)
        self._existing = EXISTING[resume, overwrite]
        self._exact: ExactResume | None = None
        self._files: tuple[Path | None, tuple[Path, ...]] = None, ()
        self._folder: DumpFolder | None = None
        self._dump: DumpWriter | None = None
        self._failed = False

    @property
    def done(self) -> frozenset[int]:
        """Indices of the frames that a resumed dump has already; they are not written again."""
        return frozenset() if self._dump is None else self._dump.kept

    def make_resumable(self, settings: Mapping[str, object]) -> ExactResume:
        """Keep besides the masks what it takes to resume this run exactly; call it before `open`.

        Args:
            settings: what two runs must have in common for one to resume the other; plain JSON
                values.

        Returns:
            What the run's frames are parsed through.
        """
        self._exact = ExactResume(settings)
        return self._exact

    def note_files(self, source: Path, others: Iterable[Path]) -> None:
        """Note what the run reads and what else it writes; call it before `open`.

        Args:
            source: the file or folder that it reads, if it is one: a run that reads another one
                does not resume the dump.
            others: its other outputs: a run that resumes the dump may replace them.
        """
        self._files = source, tuple(others)

    def open(self, info: SourceInfo, run: Run) -> None:
        """Make the folder, or see how far it got."""
        self._run = run
        self._check(info)
        source, others = self._files
        manifest = make_manifest(info, run, self._format, self._kinds, source)
        self._folder = DumpFolder(self.path, self._existing)
        work = self._folder.work
        kept = repair.inspect(work, manifest) if self._folder.resumes else None
        self._dump = DumpWriter(work, manifest, kept)
        plan_outputs(work, others)
        if self._exact is None:
            remove_files(work)
        else:
            lines = kept.lines if kept is not None else ()
            self._exact.open(lines, repair.open_kept_maps(work, manifest))

    def write(self, result: FrameResult) -> None:
        """Write one frame's maps, then its line."""
        index, dump = result.frame.index, self._dump
        assert dump is not None
        if self._failed or index in (dump.kept if self._exact is None else self._exact):
            return
        self._failed = True  # until it has worked
        maps = self._maps(result)
        line = describe(result, maps, dump.manifest)
        if self._exact is not None:
            self._exact.append(result, maps["labels"], line)
        if index not in dump.kept:
            dump.add(line, maps)
        if self._exact is not None:
            self._exact.flush(dump.flushed)
        self._failed = False

    def close(self) -> None:
        """Write what is left, and say in the manifest whether the dump is complete.

        It is not if an error ended the run: a detector's, or another sink's.
        """
        if self._folder is None:
            return
        try:
            if self._dump is None:
                self._folder.remove()
            else:
                self._finish(self._folder, self._dump)
        finally:
            self._folder.release()

    def _check(self, info: SourceInfo) -> None:
        """Check that the source can be dumped here.

        Raises:
            SinkError: its frames differ in size and make no video, or it is in the folder.
        """
        if self._format == "ffv1" and info.sizes_vary is not None:
            name, width, height = info.sizes_vary
            raise SinkError(
                f"{self.path}: {name} is {width}x{height} and the first image is "
                f"{info.width}x{info.height}; format=png takes mixed sizes"
            )
        if info.media is not None and Path(info.media).resolve().parent == self.path.resolve():
            raise SinkError(f"{self.path} has the source in it; name another folder")

    def _maps(self, result: FrameResult) -> FrameMaps:
        maps: dict[MapKind, NDArray[np.uint8] | NDArray[np.uint16]] = {"labels": result.labels()}
        if "instances" in self._kinds:
            maps["instances"] = self._face_ids(result)
        return maps

    def _face_ids(self, result: FrameResult) -> NDArray[np.uint16]:
        """Make the map of face ids as it is stored: 0 for nobody."""
        for face in result.faces:
            if not 1 <= face.id <= 65535:
                raise SinkError(f"{self.path}: face id {face.id} is not within 1 to 65535")
        ids = result.instances()
        ids[ids < 0] = 0
        return ids.astype(np.uint16)

    def _finish(self, folder: DumpFolder, dump: DumpWriter) -> None:
        status = self._run.status()
        ended = not (self._failed or status.failed or status.stopping)
        try:
            if self._failed:
                dump.abandon()
            else:
                dump.close(complete=not status.failed, ended=ended)
                if self._exact is not None:
                    self._exact.flush(dump.flushed)
        finally:
            if self._exact is not None:
                self._exact.close(is_complete=ended)
        if status.failed_before_first_frame:
            folder.remove()
            return
        if not (self._failed or status.failed):
            folder.publish()
        elif folder.place != self.path:
            log.warning("%s is as it was; --resume goes on with %s", self.path, folder.place)
        if not self._failed:
            path = folder.place
            self.outputs = (str(path),)
            self.report = {
                "path": str(path),
                "format": self._format,
                "frames": dump.count,
                "resumed": len(dump.kept),
            }


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (MasksSink,)
