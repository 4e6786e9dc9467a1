"""Find out how far a mask dump got, after whatever ended its run, and remove what is torn."""

from __future__ import annotations

import contextlib
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SinkError, SourceError
from ..output import write_file
from . import png, resume
from .lines import LINES, MANIFEST, Line, parse_line, read_manifest
from .readers import READERS, Maps, VideoDecoder, VideoMaps
from .writers import INSTANCES_VIDEO, VIDEO, Writer, frames_in_chunk, instances_name, part_of

#: Names of a dump's files, whole, torn or temporary; nothing else in a folder is ever removed.
OURS = re.compile(
    r"manifest\.json|frames\.jsonl|\d{6,}(\.instances)?\.png|\d{6,}\.npz|(masks|instances)\.mkv"
    r"|\.(manifest|frames|\.faces|\.state|\d{6,}(\.instances)?)\.part\d*(\.(json|jsonl|png|npz))?"
    r"|\.(masks|instances)\.mkv\.(part|old)|\.faces\.jsonl|\.state"
)

#: What two runs may differ in and still be one dump.
MAY_DIFFER = ("complete", "frames", "facereg_version")


def clear(folder: Path) -> None:
    """Remove the files of an earlier dump, and only those.

    Raises:
        SinkError: the folder has files and is no mask dump.
    """
    _require_dump(folder, "overwrite")
    for path in sorted(folder.iterdir(), key=lambda p: p.name == MANIFEST):  # the manifest last
        if OURS.fullmatch(path.name) and path.is_file():
            path.unlink()


def repair(folder: Path, manifest: Mapping[str, Any]) -> list[Line]:
    """Keep the lines whose maps are whole, up to the first that is not, and remove the rest.

    Args:
        folder: an existing dump.
        manifest: that of the run that goes on with it.

    Returns:
        The lines that were kept; ``frames.jsonl`` holds exactly them now.

    Raises:
        SinkError: the folder is no dump, or one that another kind of run made.
    """
    _require_dump(folder, "resume")
    try:
        old = read_manifest(folder)
    except SourceError as e:
        raise SinkError(f"cannot resume: {e}") from e
    for key, value in manifest.items():
        if key not in MAY_DIFFER and old.get(key) != value:
            raise SinkError(
                f"{folder} cannot be resumed: its {key} is {_short(old.get(key))}, and that of "
                f"this run {_short(value)}; --overwrite starts again"
            )
    with contextlib.suppress(FileNotFoundError):
        rows = (folder / LINES).read_bytes().split(b"\n")[:-1]
        lines = _whole_maps(folder, manifest, list(_whole_lines(rows)))
        write_file(folder / LINES, b"".join(row + b"\n" for row in rows[: len(lines)]))
        _remove_strays(folder, {name for line in lines for name in _files(line)})
        return lines
    return []


def move_aside(folder: Path) -> None:
    """Rename the videos of a dump, so that their frames can be copied into new ones."""
    for name in (VIDEO, INSTANCES_VIDEO):
        old = folder / f".{name}.old"
        for found in (folder / name, folder / part_of(name)):
            if found.exists() and not old.exists():
                os.replace(found, old)


def copy_back(folder: Path, manifest: Mapping[str, Any], lines: list[Line], writer: Writer) -> None:
    """Send the frames of videos that were moved aside to a new writer.

    Raises:
        SinkError: they cannot be written.
    """
    labels = _decoder(folder, manifest, VIDEO)
    instances = _decoder(folder, manifest, INSTANCES_VIDEO) if manifest["instances"] else None
    for i, line in enumerate(lines):
        writer.add(dict(line), labels.read(i), None if instances is None else instances.read(i))
    labels.close()
    if instances is not None:
        instances.close()


def reader(folder: Path, manifest: Mapping[str, Any]) -> Maps:
    """Read the maps of lines that were kept; videos from where they were moved to."""
    kind = _OldVideoMaps if manifest["format"] == "ffv1" else READERS[manifest["format"]]
    return kind(folder, manifest)


class _OldVideoMaps(VideoMaps):
    """Reads the videos that were moved aside."""

    def _open(self, instances: bool) -> VideoDecoder:
        return _decoder(self.folder, self.manifest, INSTANCES_VIDEO if instances else VIDEO)


def _require_dump(folder: Path, wish: str) -> None:
    if any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise SinkError(
            f"{folder} has files and is not a mask dump, so there is nothing to {wish}; "
            "name a new folder"
        )


def _whole_lines(rows: list[bytes]) -> Iterator[Line]:
    last = -1
    for row in rows:
        line = parse_line(row)
        if line is None or line["index"] <= last:
            return
        last = line["index"]
        yield line


def _whole_maps(folder: Path, manifest: Mapping[str, Any], lines: list[Line]) -> list[Line]:
    """Keep the lines up to the first whose maps are missing or torn."""
    if manifest["format"] == "ffv1":
        return lines[: _decodable(folder, manifest, len(lines))]
    if manifest["format"] == "npz":
        return _whole_chunks(folder, lines)
    for i, line in enumerate(lines):
        names = [line["file"]]
        names += [instances_name(line["file"])] if manifest["instances"] else []
        if not all(png.is_whole(folder / name) for name in names):
            return lines[:i]
    return lines


def _whole_chunks(folder: Path, lines: list[Line]) -> list[Line]:
    """Keep the lines of chunks that are whole; a last one that is not full is made again."""
    kept: list[Line] = []
    while len(kept) < len(lines):
        name = lines[len(kept)]["file"]
        chunk = [line for line in lines[len(kept) :] if line["file"] == name]
        try:
            with zipfile.ZipFile(folder / name) as archive:
                if archive.testzip() is not None:
                    break
            with (folder / name).open("rb") as file, np.load(file) as arrays:
                shape = arrays["labels"].shape
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            break
        is_last = len(kept) + len(chunk) == len(lines)
        if shape[0] != len(chunk) or (is_last and shape[0] < frames_in_chunk(shape[1:])):
            break
        kept += chunk
    return kept


def _decodable(folder: Path, manifest: Mapping[str, Any], wanted: int) -> int:
    move_aside(folder)
    counts = []
    for name in (VIDEO, INSTANCES_VIDEO)[: 1 + bool(manifest["instances"])]:
        decoder, count = _decoder(folder, manifest, name), 0
        with contextlib.suppress(OSError):
            while count < wanted:
                decoder.read(count)
                count += 1
        decoder.close()
        counts.append(count)
    return min(counts)


def _decoder(folder: Path, manifest: Mapping[str, Any], name: str) -> VideoDecoder:
    source = manifest["source"]
    size, kind = (source["height"], source["width"]), "u1" if name == VIDEO else "<u2"
    return VideoDecoder(folder / f".{name}.old", size, Fraction(manifest["rate"]), np.dtype(kind))


def _files(line: Line) -> tuple[str, ...]:
    return line["file"], instances_name(line["file"])


def _remove_strays(folder: Path, kept: set[str]) -> None:
    kept |= {
        MANIFEST,
        LINES,
        resume.FACES,
        resume.STATE,
        *(f".{name}.old" for name in (VIDEO, INSTANCES_VIDEO)),
    }
    for path in folder.iterdir():
        if path.name not in kept and OURS.fullmatch(path.name) and path.is_file():
            path.unlink()


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
