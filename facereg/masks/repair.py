"""Find out how far a mask dump got, whatever ended its run, and keep that much of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SinkError, SourceError
from ..output import discard, open_inside, read_inside, write_file
from . import png, resume
from .lines import LINES, Line, map_size, parse_line
from .manifest import (
    MANIFEST,
    SOURCE_CHECKSUM,
    Manifest,
    MapKind,
    encode_json,
    read_manifest,
    shorten,
)
from .readers import DAMAGES, READERS, Maps, VideoDecoder, VideoMaps, read_chunk
from .writers import VIDEOS, Container, frames_in_chunk, part_of, png_name

#: Names of a dump's files, whole, torn or temporary; nothing else in a folder is ever removed.
OURS = re.compile(
    r"manifest\.json|frames\.jsonl|\d{6,}(\.instances)?\.png|\d{6,}\.npz|(masks|instances)\.mkv"
    r"|\.(manifest|frames|\.faces|\.state|\d{6,}(\.instances)?)\.part\d*(\.(json|jsonl|png|npz))?"
    r"|\.(masks|instances)\.mkv\.(part|old)|\.faces\.jsonl|\.state"
    r"|\.(outputs\.part\d*|outputs)\.json"
)

#: What else an unfinished run wrote; see `outputs`.
OUTPUTS = ".outputs.json"

#: Keys of the manifest in which two runs of one dump may differ.
MAY_DIFFER = ("complete", "frames", "facereg_version", "started")


def is_dump(folder: Path) -> bool:
    """Whether a folder has a dump in it, or what is left of one."""
    return (folder / MANIFEST).is_file()


def is_finished(folder: Path) -> bool:
    """Whether a dump's run came to its own end, so that there is nothing to resume.

    Raises:
        SinkError: its manifest is damaged.
    """
    try:
        return read_manifest(folder).complete and not (folder / resume.STATE).exists()
    except SourceError as e:
        raise SinkError(f"cannot resume: {e}") from e


def clear(folder: Path) -> None:
    """Remove the files of a dump, and only those; the manifest last."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == MANIFEST):
        if OURS.fullmatch(path.name) and not path.is_dir():
            path.unlink()


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What a run that resumes a dump goes on from.

    Attributes:
        lines: those whose maps are whole, up to the first that is not.
        is_all: whether the dump is complete, and these are all of its lines, in their places.
    """

    lines: Sequence[Line] = ()
    is_all: bool = False


def inspect(folder: Path, manifest: Manifest) -> Kept:
    """Find out what is whole of a dump; nothing is changed.

    Args:
        folder: an existing dump.
        manifest: that of the run that resumes it.

    Raises:
        SinkError: another kind of run made the dump.
    """
    try:
        old = read_manifest(folder)
    except SourceError as e:
        raise SinkError(f"cannot resume: {e}") from e
    _check_same_run(folder, old.values, manifest.values)
    try:
        rows = read_inside(folder / LINES).split(b"\n")[:-1]
    except OSError:
        rows = []
    lines = _whole_maps(folder, manifest, list(_whole_lines(rows, manifest)))
    aside = any(_aside(folder, name).exists() for name in VIDEOS.values())
    return Kept(lines, old.complete and old.values["frames"] == len(lines) and not aside)


def keep_only(folder: Path, manifest: Manifest, kept: Sequence[Line]) -> None:
    """Remove all of a dump but the frames that are kept; its videos are moved aside.

    Raises:
        SinkError: it cannot be written.
    """
    if manifest.format == "ffv1":
        _move_aside(folder)
    write_file(folder / LINES, b"".join(map(encode_json, kept)))
    _remove_strays(folder, {png_name(line, k) for line in kept for k in manifest.kinds})


def _move_aside(folder: Path) -> None:
    """Rename the videos of a dump, so that their frames can be copied into new ones."""
    for name in VIDEOS.values():
        old = _aside(folder, name)
        for found in (folder / name, folder / part_of(name)):
            if found.exists() and not old.exists():
                os.replace(found, old)


def remove_aside(folder: Path) -> None:
    """Remove the videos that were moved aside."""
    discard(*(_aside(folder, name) for name in VIDEOS.values()))


def copy_back(
    folder: Path, manifest: Manifest, lines: Sequence[Line], container: Container
) -> None:
    """Copy the frames of an earlier run's videos into a new container.

    Raises:
        SinkError: they cannot be written.
        SourceError: they cannot be read.
    """
    maps = _KeptVideos(folder, manifest)
    try:
        for i, line in enumerate(lines):
            container.add(dict(line), {kind: maps.read(i, line, kind) for kind in manifest.kinds})
    finally:
        maps.close()


def open_kept_maps(folder: Path, manifest: Manifest) -> Maps:
    """Read the maps of lines that were kept, also while their videos are moved aside."""
    return (_KeptVideos if manifest.format == "ffv1" else READERS[manifest.format])(
        folder, manifest
    )


class _KeptVideos(VideoMaps):
    """Reads the videos of an earlier run: moved aside, complete, or cut off."""

    def _path(self, kind: MapKind) -> Path:
        return _find_video(self.folder, kind)


def _find_video(folder: Path, kind: MapKind) -> Path:
    name = VIDEOS[kind]
    places = (_aside(folder, name), folder / name, folder / part_of(name))
    found = next((path for path in places if path.exists()), places[1])
    open_inside(found).close()  # ffmpeg would follow a link
    return found


def _aside(folder: Path, video: str) -> Path:
    return folder / f".{video}.old"


def _check_same_run(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    before, now = old["source"].get(SOURCE_CHECKSUM), new["source"].get(SOURCE_CHECKSUM)
    if None not in (before, now) and before != now:
        raise SinkError(
            f"{folder} cannot be resumed: its source {shorten(new['source']['name'])} is another, "
            "or was changed; --overwrite starts again"
        )
    for key, value in new.items():
        if key not in MAY_DIFFER and old.get(key) != value:
            raise SinkError(
                f"{folder} cannot be resumed: its {key} is {shorten(old.get(key))}, and that of "
                f"this run {shorten(value)}; --overwrite starts again"
            )


def _whole_lines(rows: Sequence[bytes], manifest: Manifest) -> Iterator[Line]:
    last = -1
    for row in rows:
        try:
            line = parse_line(row, manifest, last)
        except ValueError:
            return
        last = line["index"]
        yield line


def _whole_maps(folder: Path, manifest: Manifest, lines: list[Line]) -> list[Line]:
    """Keep the lines up to the first whose maps are missing or torn."""
    if manifest.format == "ffv1":
        return lines[: _count_decodable(folder, manifest, len(lines))]
    if manifest.format == "npz":
        return _whole_chunks(folder, manifest, lines)
    for i, line in enumerate(lines):
        if not all(_is_whole(folder / png_name(line, kind)) for kind in manifest.kinds):
            return lines[:i]
    return lines


def _is_whole(path: Path) -> bool:
    try:
        return png.is_whole(read_inside(path))
    except OSError:
        return False


def _whole_chunks(folder: Path, manifest: Manifest, lines: list[Line]) -> list[Line]:
    """Keep the lines of chunks that are whole; a last one that is not full is made again."""
    kept: list[Line] = []
    for name, group in itertools.groupby(lines, key=lambda line: str(line["file"])):
        chunk = list(group)
        size = map_size(chunk[0], manifest)
        try:
            found = [read_chunk(folder / name, size, kind) for kind in manifest.kinds]
        except DAMAGES:
            break
        is_last = len(kept) + len(chunk) == len(lines)
        whole = all(list(maps) == [line["index"] for line in chunk] for maps in found)
        if not whole or (is_last and len(chunk) < frames_in_chunk(size)):
            break
        kept += chunk
    return kept


def _count_decodable(folder: Path, manifest: Manifest, wanted: int) -> int:
    """Count the frames that all videos have, up to those wanted."""
    counts = [0]
    with contextlib.suppress(*DAMAGES):
        counts = [_count_in(_find_video(folder, k), manifest, k, wanted) for k in manifest.kinds]
    return min(counts)


def _count_in(path: Path, manifest: Manifest, kind: MapKind, wanted: int) -> int:
    decoder, count = VideoDecoder(path, manifest, kind), 0
    try:
        while count < wanted:
            decoder.read(count)
            count += 1
    except DAMAGES:
        pass
    finally:
        decoder.close()
    return count


def _remove_strays(folder: Path, maps: set[str]) -> None:
    kept = {MANIFEST, LINES, OUTPUTS, resume.FACES, resume.STATE, *maps}
    kept |= {_aside(folder, name).name for name in VIDEOS.values()}
    for path in folder.iterdir():
        if path.name not in kept and OURS.fullmatch(path.name) and not path.is_dir():
            path.unlink()
