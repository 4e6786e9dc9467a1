"""What a dump of masks keeps for the run that resumes it, so that nothing is inferred twice.

Beside the masks, two hidden files, until the run has come to its end:

``.faces.jsonl``
    a line a frame: its faces, exactly, with what neither ``frames.jsonl`` nor the label map tells:
    landmarks, scores to the last digit, and pixels that a nearer face hides.
``.state``
    what detector, segmenter and tracker knew after one of the last frames, and in which kind of
    run.
"""

from __future__ import annotations

import io
import json
import logging
import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import output
from ..checkpoint import State, Stateful, pack, unpack
from ..errors import SinkError
from ..output import write_file
from ..types import Face, Frame, FrameResult, Labels
from . import faces
from .lines import Line
from .readers import Maps

log = logging.getLogger(__name__)

FACES, STATE = ".faces.jsonl", ".state"

#: The state is kept after so many frames, when at least so many seconds have passed.
FRAMES, SECONDS = 10, 1.0


class ResultCache:
    """The results of an earlier run into this folder, and what this one leaves for the next.

    The thread that parses calls `restore`, `recall` and `keep`; the dump's sink calls the rest.

    Args:
        folder: the dump's.
        settings: what two runs must agree in for one to go on where the other ended; plain JSON
            values.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self._folder = folder
        self._settings = json.loads(json.dumps(settings))
        self._earlier: _Earlier | None = None
        self._file: io.FileIO | None = None
        self._last = -1  # index of the last frame that is in the file of faces
        self._sums: dict[int, int] = {}  # of lines that the dump has already, and parsed again
        self._pending: deque[tuple[int, bytes]] = deque()
        self._since, self._time = 0, time.monotonic()
        self._on, self._finished = True, False

    # --- what the pipeline calls -----------------------------------------------------------------

    def restore(self, parts: Mapping[str, Stateful]) -> None:
        """Put the parts of the pipeline where they were; forget the earlier run if they refuse."""
        if self._earlier is None:
            return
        before = {name: s for name, part in parts.items() if (s := part.state()) is not None}
        states = self._earlier.parts
        if parts.keys() == before.keys() == states.keys():
            try:
                for name, part in parts.items():
                    part.restore(states[name])
            except Exception as e:  # whatever somebody else's part makes of it
                for name, state in before.items():
                    parts[name].restore(state)
                reason = f"{name} cannot go on from its stored state: {type(e).__name__}: {e}"
            else:
                return
        else:
            reason = f"the stored state is one of {', '.join(states)}"
        log.warning("%s: every frame is parsed again: %s", self._folder, reason)
        self._forget()
        self._give_up()

    def recall(self, frame: Frame) -> tuple[Face, ...] | None:
        """Rebuild the faces of a frame that the earlier run parsed.

        Raises:
            SinkError: the earlier run had another frame here.
            SourceError: its label map is damaged.
        """
        if self._earlier is None:
            return None
        if frame.index > self._earlier.last:
            self._forget()
            return None
        return self._earlier.faces(frame)

    def keep(self, frame: Frame, parts: Mapping[str, Stateful]) -> None:
        """Take the state of the parts, if the last one is old enough.

        Raises:
            TypeError: a part's state cannot be stored.
        """
        self._since += 1
        now = time.monotonic()
        if not self._on or self._since < FRAMES or now - self._time < SECONDS:
            return
        self._since, self._time = 0, now
        states = {name: part.state() for name, part in parts.items()}
        if None in states.values():
            self._on = False
            return
        stored = {"settings": self._settings, "index": frame.index, "parts": states}
        self._pending.append((frame.index, pack(stored)))

    def finish(self) -> None:
        """Be told that the run came to its own end."""
        self._finished = True

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
        self._earlier = _find(self._folder, self._settings, kept, maps)
        rows: list[bytes] = []
        if self._earlier is None:
            output.discard(self._folder / STATE)
        else:
            rows, self._last = self._earlier.rows, self._earlier.last
        self._sums = {line["index"]: _checksum(line) for line in kept[len(rows) :]}
        write_file(self._folder / FACES, b"".join(row + b"\n" for row in rows))

    def __contains__(self, index: int) -> bool:
        """Whether a frame is known, so that nothing of it need be written."""
        return index <= self._last

    def note(self, result: FrameResult, labels: Labels, line: Line) -> None:
        """Write the faces of a frame.

        Args:
            result: the frame and its faces.
            labels: its label map.
            line: its line of the dump. Where the dump has another, from other settings or another
                machine, no later run can go on from this one.

        Raises:
            SinkError: they cannot be written.
        """
        index, path = result.frame.index, self._folder / FACES
        if not self._on:
            return
        if self._sums.pop(index, None) not in (None, _checksum(line)):
            log.warning(
                "%s: frame %d is another than it was in the run that is resumed: other settings, "
                "or another machine; --overwrite starts again", self._folder, index,
            )  # fmt: skip
            self._give_up()
            return
        alone = len(result.faces) == 1
        saved = [faces.save(face, labels, alone=alone) for face in result.faces]
        row = json.dumps({"index": index, "time": result.frame.time, "faces": saved}) + "\n"
        try:
            if self._file is None:
                self._file = path.open("ab", buffering=0)
            written = self._file.write(row.encode())
        except OSError as e:
            raise SinkError(f"{path}: {e.strerror or e}") from e
        if written != len(row):
            raise SinkError(f"{path}: no room for a whole line")
        self._last = index

    def settle(self, index: int) -> None:
        """Store the latest state that is not after a frame; that frame will outlive a crash.

        Raises:
            SinkError: it cannot be written.
        """
        latest = None
        while self._pending and self._pending[0][0] <= index:
            latest = self._pending.popleft()[1]
        if latest is not None and self._on:
            write_file(self._folder / STATE, latest)

    def close(self) -> None:
        """Release everything; remove the files where no run will go on from here."""
        self._forget()
        if self._file is not None:
            self._file.close()
        if self._finished:
            remove_cache(self._folder)

    def _forget(self) -> None:
        if self._earlier is not None:
            self._earlier.close()
        self._earlier = None

    def _give_up(self) -> None:
        self._on = False
        output.discard(self._folder / STATE)


def remove_cache(folder: Path) -> None:
    """Remove what a run left for the next one."""
    output.discard(folder / STATE, folder / FACES)


class _Earlier:
    """The frames that an earlier run parsed, up to the one that its state is of.

    Args:
        folder: the dump's, for errors.
        stored: the state.
        rows: of the file of faces.
        kept: the dump's lines, as many.
        maps: reads their label maps.

    Attributes:
        last: index of the last of these frames.
        parts: what each part of the pipeline knew after it.
        rows: as given.
    """

    def __init__(
        self, folder: Path, stored: State, rows: list[bytes], kept: Sequence[Line], maps: Maps
    ) -> None:
        self.last: int = stored["index"]
        self.parts: dict[str, State] = stored["parts"]
        self.rows = rows
        self._folder, self._kept, self._maps = folder, kept, maps
        self._places = {line["index"]: i for i, line in enumerate(kept)}

    def faces(self, frame: Frame) -> tuple[Face, ...]:
        place = self._places.get(frame.index, -1)
        row = json.loads(self.rows[place])
        if place < 0 or row["time"] != frame.time:
            raise SinkError(
                f"{self._folder} cannot be resumed: its frame {frame.index} is another than the "
                "source's; --overwrite starts again"
            )
        if not row["faces"]:
            return ()
        labels = self._maps.read(place, self._kept[place], "labels")
        return tuple(faces.rebuild(saved, labels) for saved in row["faces"])

    def close(self) -> None:
        self._maps.close()


def _find(folder: Path, settings: object, kept: Sequence[Line], maps: Maps) -> _Earlier | None:
    """Read what an earlier run left; None where it is not whole, or of another kind of run."""
    try:
        stored = unpack((folder / STATE).read_bytes())
        rows = (folder / FACES).read_bytes().split(b"\n")
        indices = [line["index"] for line in kept]
        count = indices.index(stored["index"]) + 1
        whole = [json.loads(row)["index"] for row in rows[:count]] == indices[:count]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole or stored["settings"] != settings:
        return None
    return _Earlier(folder, stored, rows[:count], kept[:count], maps)


def _checksum(line: Line) -> int:
    """Sum a line up, whichever file its map is in."""
    return zlib.crc32(json.dumps({**line, "file": ""}).encode())
