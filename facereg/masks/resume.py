"""What a mask dump keeps so that a run that was cut off can be resumed exactly.

Besides the masks, two hidden files, until the run has come to its end:

``.faces.jsonl``
    a line a frame: its faces, exactly, with what neither ``frames.jsonl`` nor the label map holds:
    landmarks, scores to the last digit, and pixels that a nearer face hides.
``.state``
    what tracker and segmenter knew after one of the last frames, and in which kind of run.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import output
from ..checkpoint import FrameParser, State, pack, unpack
from ..checks import wrap_errors
from ..errors import PluginError, SinkError
from ..output import append_to, read_inside, write_file
from ..types import Frame, FrameResult, Labels
from . import faces
from .lines import Line, checksum_line
from .readers import Maps

log = logging.getLogger(__name__)

FACES, STATE = ".faces.jsonl", ".state"

#: A checkpoint is made after this many frames, when at least this many seconds have passed.
CHECKPOINT_FRAMES, CHECKPOINT_SECONDS = 10, 1.0


class ExactResume:
    """The results of an earlier run into a folder, and what this run leaves for the next one.

    The parser's thread calls `parse`, after the dump's sink has called `open`; the sink, in its
    own thread, calls all else.

    Args:
        settings: what two runs must have in common for one to resume the other; plain JSON values.

    Attributes:
        cached: frames whose faces the earlier run had parsed.
    """

    def __init__(self, settings: Mapping[str, object]) -> None:
        self.cached = 0
        self._settings = json.loads(json.dumps(settings))
        self._earlier: _EarlierRun | None = None
        self._is_restored = False  # whether the parser is where the earlier run ended
        self._sums: dict[int, int] = {}  # of lines that the dump already has, and parsed again

    # --- what the parser's thread calls ----------------------------------------------------------

    def parse(self, frame: Frame, coming: Sequence[Frame], parser: FrameParser) -> FrameResult:
        """Return the faces of a frame: those that the earlier run found, or else the parser's.

        Raises:
            SinkError: the earlier run had another frame here.
            SourceError: its label map is damaged.
            PluginError: the parser failed, or its state cannot be stored.
        """
        if self._earlier is not None and not self._is_restored:
            self._restore(parser)
        if self._earlier is not None:
            if frame.index <= self._earlier.last:
                self.cached += 1
                return self._earlier.result(frame)
            self._forget()
        result = parser.parse(frame, coming)
        if self._checkpoints.is_due():
            with wrap_errors("state of tracker and segmenter", frame, PluginError):
                state = parser.state()
                stored = {"settings": self._settings, "index": frame.index, "parser": state}
                self._checkpoints.add(frame.index, None if state is None else pack(stored))
        return result

    def _restore(self, parser: FrameParser) -> None:
        """Put the parser where the earlier run ended; forget that run if the parser refuses."""
        assert self._earlier is not None
        self._is_restored = True
        try:
            parser.restore(self._earlier.state)
        except PluginError as e:
            log.warning("%s: every frame is parsed again: %s", self._folder, e)
            self._forget()
            self._checkpoints.give_up()

    def _forget(self) -> None:
        if self._earlier is not None:
            self._earlier.close()
        self._earlier = None

    # --- what the sink calls ---------------------------------------------------------------------

    def open(self, kept: Sequence[Line], maps: Maps) -> None:
        """Find what the earlier run left, as far as the dump has the maps to it.

        Args:
            kept: the dump's lines.
            maps: reads their label maps; its folder is the one that the dump is written into.

        Raises:
            SinkError: the folder cannot be written to.
        """
        self._folder = maps.folder
        self._faces = _FaceLog(self._folder / FACES)
        self._checkpoints = _Checkpoints(self._folder / STATE)
        self._earlier = _find(self._folder, self._settings, kept, maps)
        rows: list[bytes] = []
        if self._earlier is None:
            output.discard(self._folder / STATE)
        else:
            rows = self._earlier.rows
        self._sums = {line["index"]: _checksum(line) for line in kept[len(rows) :]}
        self._faces.open(rows, -1 if self._earlier is None else self._earlier.last)

    def __contains__(self, index: int) -> bool:
        """Whether a frame is known, so that nothing of it need be written."""
        return index <= self._faces.last

    def append(self, result: FrameResult, labels: Labels, line: Line) -> None:
        """Write the faces of a frame.

        Args:
            result: the frame and its faces.
            labels: its label map.
            line: its line of the dump. If the dump has another, from other settings or another
                machine, no later run can continue from this one.

        Raises:
            SinkError: they cannot be written.
        """
        if not self._checkpoints.is_on:
            return
        index = result.frame.index
        if self._sums.pop(index, None) not in (None, _checksum(line)):
            log.warning(
                "%s: frame %d is another than it was in the run that is resumed: other settings, "
                "or another machine; --overwrite starts again", self._folder, index,
            )  # fmt: skip
            self._checkpoints.give_up()
            return
        self._faces.append(result, labels)

    def flush(self, index: int) -> None:
        """Store the latest checkpoint that is not after a frame; that frame survives a crash.

        Raises:
            SinkError: it cannot be written.
        """
        self._checkpoints.flush(index)

    def close(self, *, is_complete: bool) -> None:
        """Release everything; remove the files if the run is complete: nothing can be resumed."""
        self._forget()
        self._faces.close()
        if is_complete:
            remove_files(self._folder)


def remove_files(folder: Path) -> None:
    """Remove what a run left for the next one."""
    output.discard(folder / STATE, folder / FACES)


class _FaceLog:
    """The file of faces, a line a frame.

    Attributes:
        last: index of the last frame in it.
    """

    def __init__(self, path: Path) -> None:
        self.last = -1
        self._path = path
        self._file: io.FileIO | None = None

    def open(self, rows: Sequence[bytes], last: int) -> None:
        """Begin with the rows of an earlier run, up to frame ``last``."""
        self.last = last
        write_file(self._path, b"".join(row + b"\n" for row in rows))

    def append(self, result: FrameResult, labels: Labels) -> None:
        alone = len(result.faces) == 1
        saved = [faces.save(face, labels, alone=alone) for face in result.faces]
        frame = result.frame
        values = {"index": frame.index, "time": frame.time, "faces": saved}
        if not result.parsed:
            values["parsed"] = False
        row = json.dumps(values) + "\n"
        try:
            if self._file is None:
                self._file = append_to(self._path)
            written = self._file.write(row.encode())
        except OSError as e:
            raise SinkError(f"{self._path}: {e.strerror or e}") from e
        if written != len(row):
            raise SinkError(f"{self._path}: no room for a whole line")
        self.last = frame.index

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Checkpoints:
    """States of the parser, from when they are taken until their frames are safe on the disk.

    The parser's thread calls `is_due` and `add`, the sink's `flush`; either gives up.

    Attributes:
        is_on: whether a later run will be able to resume this one.
    """

    def __init__(self, path: Path) -> None:
        self.is_on = True
        self._path = path
        self._pending: deque[tuple[int, bytes]] = deque()
        self._frames, self._time = 0, time.monotonic()  # since the last one

    def is_due(self) -> bool:
        """Count a frame; return whether to make a checkpoint after it."""
        self._frames += 1
        now = time.monotonic()
        enough = self._frames >= CHECKPOINT_FRAMES and now - self._time >= CHECKPOINT_SECONDS
        if enough:
            self._frames, self._time = 0, now
        return self.is_on and enough

    def add(self, index: int, state: bytes | None) -> None:
        """Take the state after a frame; without one, nothing can be resumed."""
        if state is None:
            self.is_on = False
        else:
            self._pending.append((index, state))

    def flush(self, index: int) -> None:
        latest = None
        while self._pending and self._pending[0][0] <= index:
            latest = self._pending.popleft()[1]
        if latest is not None and self.is_on:
            write_file(self._path, latest)

    def give_up(self) -> None:
        self.is_on = False
        output.discard(self._path)


class _EarlierRun:
    """The frames that an earlier run parsed, up to the one that its state is of.

    Args:
        folder: the dump's, for errors.
        stored: the checkpoint.
        rows: of the file of faces.
        kept: the dump's lines, as many.
        maps: reads their label maps.

    Attributes:
        last: index of the last of these frames.
        state: what the parser knew after it.
        rows: as given.
    """

    def __init__(
        self, folder: Path, stored: State, rows: list[bytes], kept: Sequence[Line], maps: Maps
    ) -> None:
        self.last: int = stored["index"]
        self.state: State = stored["parser"]
        self.rows = rows
        self._folder, self._kept, self._maps = folder, kept, maps
        self._places = {line["index"]: i for i, line in enumerate(kept)}

    def result(self, frame: Frame) -> FrameResult:
        """Rebuild what was found in a frame.

        Raises:
            SinkError: the earlier run had another frame here.
            SourceError: its label map is damaged.
        """
        place = self._places.get(frame.index, -1)
        row = json.loads(self.rows[place])
        if place < 0 or row["time"] != frame.time:
            raise SinkError(
                f"{self._folder} cannot be resumed: its frame {frame.index} is another than the "
                "source's; --overwrite starts again"
            )
        if not row["faces"]:
            return FrameResult(frame, parsed=row.get("parsed", True))
        labels = self._maps.read(place, self._kept[place], "labels")
        return FrameResult(frame, tuple(faces.rebuild(saved, labels) for saved in row["faces"]))

    def close(self) -> None:
        self._maps.close()


def _find(folder: Path, settings: object, kept: Sequence[Line], maps: Maps) -> _EarlierRun | None:
    """Read what an earlier run left; None if it is not whole, or of another kind of run."""
    try:
        stored = unpack(read_inside(folder / STATE))
        rows = read_inside(folder / FACES).split(b"\n")
        indices = [line["index"] for line in kept]
        count = indices.index(stored["index"]) + 1
        whole = [json.loads(row)["index"] for row in rows[:count]] == indices[:count]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole or stored["settings"] != settings:
        return None
    return _EarlierRun(folder, stored, rows[:count], kept[:count], maps)


def _checksum(line: Line) -> int:
    """Sum a line up, whichever file its map is in."""
    return checksum_line({**line, "file": ""})
