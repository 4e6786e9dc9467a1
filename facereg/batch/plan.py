"""The plan of a batch: a job for each recording that the user named."""

from __future__ import annotations

import glob
import heapq
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..errors import SourceError, UsageError, hide_secrets
from ..output import checksum_heads
from ..sources.file import VIDEO_SUFFIXES
from ..sources.images import IMAGE_SUFFIXES
from .store import describe, identity, is_remote, is_url, list_files, open_path, stamp_of

log = logging.getLogger(__name__)

#: What can be written of a recording: the flag of ``run`` that writes it.
OutputKind = Literal["-o", "-m", "--stats"]

State = Literal["waiting", "running", "done", "skipped", "failed", "interrupted"]

#: An input that begins with it is a list of inputs, one a line.
LIST_SIGN = "@"

#: Name of the table of all recordings, in the output folder.
SUMMARY = "summary.csv"

#: Names of skipped files that are listed; more are counted.
LISTED_NAMES = 3


class Shard(NamedTuple):
    """One of the parts that a plan is divided into: ``number`` of ``total``, from 1 on."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


class Fingerprint(NamedTuple):
    """What tells one version of a recording from another.

    Attributes:
        size: in bytes, of all its files.
        time: of the last change, in nanoseconds.
        checksum: of the first bytes of its files.
    """

    size: int
    time: int
    checksum: int | str | None

    @classmethod
    def of(cls, path: Path) -> Fingerprint | None:
        """Read it from a file or folder; None if there is none."""
        found = stamp_of(path)
        if found is None:
            return None
        _, size, time, checksum = found
        return cls(size, time, checksum if checksum is not None else checksum_heads(path))


class Figures(NamedTuple):
    """What the summary says of a recording that was processed.

    Attributes:
        frames, faces: results made, and faces in them.
        seconds: how long the run took.
        duration: of what was processed, in seconds.
    """

    frames: int
    faces: int
    seconds: float
    duration: float


@dataclass(eq=False)
class Job:
    """One recording: a video file, or a folder of pictures.

    Attributes:
        name: what its outputs are called; folders in it are folders of the output folder.
        source: the file or folder.
        pictures: whether it is pictures, which become a folder of pictures.
        outputs: the flags of ``run``, and what each writes.
        fingerprint: of the source, before it is read; None if there is no such file.
        state: how far it is.
        error: why it failed.
        own_fault: whether it failed because of what it is, so that it would fail again.
        frames: frames done so far.
        total: frames that it has, if its process has said so.
        totals: the statistics of its run.
        figures: of its run, or of the earlier one that made its outputs.
        replaces: whether it may replace existing outputs.
        resumes: whether existing masks were begun from the same source with the same options.
        attempts: how often it was begun.
        scratch: a folder for what is fetched and made, if source or outputs are in a store.
    """

    name: str
    source: Path
    pictures: bool
    outputs: Mapping[OutputKind, Path]
    fingerprint: Fingerprint | None
    state: State = "waiting"
    error: str | None = None
    own_fault: bool = False
    frames: int = 0
    total: int | None = None
    totals: dict[str, Any] | None = None
    figures: Figures | None = None
    replaces: bool = False
    resumes: bool = False
    attempts: int = 0
    scratch: Path | None = None

    @property
    def local_source(self) -> Path:
        """Where its process finds the source."""
        if not is_remote(self.source):
            return self.source.absolute()
        assert self.scratch is not None
        return self.scratch / "in" / self.source.name

    @property
    def local_outputs(self) -> dict[OutputKind, Path]:
        """Where its process writes its outputs."""
        found = {}
        for kind, path in self.outputs.items():
            made = None if self.scratch is None else self.scratch / "out" / path.name
            found[kind] = made if made is not None and is_remote(path) else path.absolute()
        return found

    @property
    def size(self) -> int:
        """Bytes of the source; 0 if there is none."""
        return self.fingerprint.size if self.fingerprint else 0

    def begin(self) -> None:
        """Mark it as running."""
        self.state, self.attempts, self.frames = "running", self.attempts + 1, 0
        self.error, self.own_fault, self.totals, self.figures = None, False, None, None

    def fail(self, reason: str) -> None:
        """Mark it as failed."""
        self.state, self.error = "failed", reason

    def as_json(self) -> dict[str, Any]:
        """Write it as plain values."""
        finished = self.state in ("done", "skipped", "interrupted")
        there = [path for path in self.outputs.values() if finished and path.exists()]
        return {
            "source": describe(self.source),
            "state": self.state,
            "outputs": [describe(path) for path in there],
            "error": self.error,
            "totals": self.totals,
        }


class Recording(NamedTuple):
    """A recording, and its name in the output folder."""

    path: Path
    name: str
    problem: str | None = None


def make_plan(
    inputs: Iterable[str], folder: Path, kinds: Sequence[OutputKind] = ("-o",)
) -> list[Job]:
    """Make a job for every recording, each file once.

    Args:
        inputs: files, folders, globs, and ``@FILE`` for a list of inputs.
        folder: the output folder.
        kinds: what is written of each.

    Raises:
        UsageError: two of them would write the same file, one would be replaced, or a list cannot
            be read.
    """
    found: dict[str, Recording] = {}
    for recording in find_recordings(inputs):
        found.setdefault(identity(recording.path), recording)
    jobs = [_job(recording, folder, kinds) for recording in found.values()]
    taken: dict[str, Path] = {str(folder / SUMMARY).casefold(): Path("the summary of the batch")}
    for job in jobs:
        for path in job.outputs.values():
            if identity(path) in found:
                raise UsageError(
                    f"{describe(path)} is an input; choose another folder than {describe(folder)}"
                )
            other = taken.setdefault(str(path).casefold(), job.source)
            if other != job.source:
                raise UsageError(
                    f"{describe(other)} and {describe(job.source)} would both be written to "
                    f"{describe(path)}; rename one, or run them into different folders"
                )
    return jobs


def take_shard(jobs: Sequence[Job], shard: Shard) -> list[Job]:
    """Take the jobs of one shard, in their order.

    Every shard of the same plan finds the same division. Shards have about as many bytes: from the
    largest recording on, each goes to the shard that has the fewest.
    """
    loads = [(0, 0, number) for number in range(1, shard.total + 1)]  # bytes, jobs: a heap
    taken = set()
    for job in sorted(jobs, key=lambda job: (-job.size, job.name, str(job.source))):
        size, count, number = loads[0]
        heapq.heapreplace(loads, (size + job.size, count + 1, number))
        if number == shard.number:
            taken.add(job)
    return [job for job in jobs if job in taken]


def find_recordings(inputs: Iterable[str], *, lists: bool = True) -> Iterator[Recording]:
    """Yield the recordings that inputs mean; what is none is among them, with its problem.

    Args:
        inputs: as `make_plan` takes them.
        lists: whether there may be lists among them. The inputs of a list have none, and a file's
            relative path is its name there.

    Raises:
        UsageError: a list cannot be read.
    """
    for text in inputs:
        if is_url(text):
            yield from _in_store(text)
            continue
        path = open_path(text)
        if "://" in text and not text.startswith("file://"):
            yield Recording(Path(hide_secrets(text)), "", "is no file; facereg run takes a stream")
        elif path.exists():
            keeps = not lists and not path.is_absolute() and ".." not in path.parts
            name = path.with_suffix("").as_posix() if keeps else path.stem
            yield from _in_folder(path, "") if path.is_dir() else [Recording(path, name)]
        elif lists and text.startswith(LIST_SIGN):
            yield from find_recordings(_read_list(Path(text[len(LIST_SIGN) :])), lists=False)
        elif glob.has_magic(text):
            yield from _matches(text)
        else:
            yield Recording(path, path.stem, "no such file or folder")


def _in_store(text: str) -> Iterator[Recording]:
    """Yield the recordings that a URL of an object store means, as of a file, a folder, a glob."""
    try:
        root, files = list_files(text)
    except SourceError as e:
        yield Recording(open_path(text), "", str(e).partition(": ")[2])
        return
    pictures: dict[Path, None] = {}
    strangers, found = [], False
    for path in files:
        name, suffix = path.relative_to(root), path.suffix.lower()
        if path.name.startswith("."):
            continue
        if suffix in VIDEO_SUFFIXES or (suffix in IMAGE_SUFFIXES and len(files) == 1):
            found = True
            yield Recording(path, Path(str(name)).with_suffix("").as_posix())
        elif suffix in IMAGE_SUFFIXES:
            pictures[path.parent] = None
        else:
            strangers.append(path.name)
    for folder in pictures:
        below = folder.relative_to(root).as_posix()
        yield Recording(folder, folder.name if below in ("", ".") else below)
    if not (found or pictures):
        missing = "no such file or folder" if not files else "no video or picture in it"
        yield Recording(open_path(text), "", missing)
    elif strangers and not glob.has_magic(text):
        log.warning("%s: skipped, as no video or picture: %s", describe(root), _listed(strangers))


def _read_list(path: Path) -> list[str]:
    """Read the inputs in a file, one a line; what begins with # is a remark."""
    try:
        lines = os.fsdecode(path.read_bytes()).removeprefix("\ufeff").splitlines()
    except OSError as e:
        raise UsageError(f"{LIST_SIGN}{path}: {e.strerror or e}") from e
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _matches(pattern: str) -> Iterator[Recording]:
    """Yield what a glob matches, named from its first folder that is no pattern."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    matched = [Path(p) for p in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    folders = {path for path in matched if path.is_dir()}
    if not matched:
        yield Recording(Path(pattern), "", "nothing matches")
    for path in matched:
        name = path.relative_to(root)
        if path in folders:
            yield from _in_folder(path, name.as_posix(), quiet="**" in pattern)
        elif path.parent not in folders:  # otherwise it came with its folder
            yield Recording(path, name.with_suffix("").as_posix())


def _in_folder(folder: Path, prefix: str, *, quiet: bool = False) -> Iterator[Recording]:
    """Yield the videos in a folder, and the folder itself if there are pictures in it.

    Args:
        folder: its sub-folders are not searched.
        prefix: what the names of its videos begin with.
        quiet: whether nothing is said of what is neither, nor of sub-folders.
    """
    try:
        visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as e:
        yield Recording(folder, folder.name, str(e.strerror or e))
        return
    files = [path for path in visible if path.is_file()]
    pictures = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    for path in videos:
        yield Recording(path, (Path(prefix) / path.stem).as_posix())
    if pictures:
        name = prefix if prefix not in ("", ".") else folder.resolve().name
        yield Recording(folder, name)
    if quiet:
        return
    if not videos and not pictures:
        yield Recording(folder, folder.resolve().name, "no video or picture in it")
    strangers = [path.name for path in files if path not in {*pictures, *videos}]
    if strangers and videos:  # of a folder of pictures, its source says it
        log.warning("%s: skipped, as no video or picture: %s", folder, _listed(strangers))
    if videos and (folders := [path.name for path in visible if path.is_dir()]):
        log.warning(
            "%s: its folders are skipped: %s; '%s' takes them, too",
            folder, _listed(folders), folder / "**",
        )  # fmt: skip


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED_NAMES} more" if len(names) > LISTED_NAMES else ""
    return ", ".join(names[:LISTED_NAMES]) + more


def _job(recording: Recording, folder: Path, kinds: Sequence[OutputKind]) -> Job:
    path, name, problem = recording
    suffix = path.suffix.lower()
    folder_of_pictures = suffix not in VIDEO_SUFFIXES if is_remote(path) else path.is_dir()
    pictures = folder_of_pictures or suffix in IMAGE_SUFFIXES
    if problem is not None:
        job = Job(name, path, pictures, {}, None)
        job.fail(problem)
        return job
    names: dict[OutputKind, str] = {
        "-o": name if pictures else f"{name}.mp4",
        "-m": f"{name}.masks",
        "--stats": f"{name}.csv",
    }
    outputs = {kind: folder / names[kind] for kind in kinds}
    return Job(name, path, pictures, outputs, Fingerprint.of(path))
