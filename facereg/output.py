"""Where an output goes: may it be written, is there room, and the one atomic write.

A file appears under its name when it is complete. Until then it grows under a hidden name beside
the final one, ``.NAME.part.SUFFIX``, which is created exclusively: never through a link, and never
over a file that is there. The temporary file is locked while it is written, so a second run that
wants the same output is refused at once.

- `AtomicFile` is for a file that grows, `write_file` for bytes that are at hand.
- `lock_folder` is for an output that is a folder.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import shutil
import stat
import sys
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from .errors import SinkError, UsageError

Leftovers = Literal["keep", "remove"]

log = logging.getLogger(__name__)

#: A temporary name may have this many bytes even if the final name is shorter.
SHORT_NAME_BYTES = 32

#: A longer suffix is cut off a temporary name like any other text.
MAX_SUFFIX_BYTES = 16

#: Bytes at the start of a file that its checksum is of.
HEAD_BYTES = 1 << 16

#: Left-over temporary files of one output beside which a new run still starts.
MAX_LEFTOVERS = 99


# --- may it be written ---------------------------------------------------------------------------


def check_file(path: Path, endings: tuple[str, ...], overwrite: bool) -> None:
    """Check that a file may be written.

    Raises:
        UsageError: the ending is wrong.
        SinkError: the folder does not exist, or the file exists and may not be overwritten.
    """
    if path.suffix.lower() not in endings:
        raise UsageError(f"{path}: the name must end in {' or '.join(endings)}")
    check_parent(path)
    if path.is_dir():
        raise SinkError(f"{path} is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise SinkError(f"{path} is a device or a pipe; name a file")
    if path.exists() and not overwrite:
        raise SinkError(f"{path} exists; --overwrite replaces it")


def check_parent(path: Path) -> None:
    """Check that the folder of an output exists.

    Raises:
        SinkError: it does not.
    """
    folder = path.parent
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "does not exist; create it first"
        raise SinkError(f"{path}: the folder {folder} {problem}")


def check_room(path: Path, needed: float, what: str) -> None:
    """Check that the disk has room.

    Args:
        path: the output.
        needed: bytes.
        what: what needs them, for the error.

    Raises:
        SinkError: it has not.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise SinkError(
            f"{path}: {what} needs about {_megabytes(needed)}, and {path.parent.resolve()} has "
            f"{_megabytes(free)} free"
        )


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count < 100e6 else f"{count / 1e9:.1f} GB"


# --- the atomic write ----------------------------------------------------------------------------


class AtomicFile:
    """A file that grows under a temporary name and gets its own when it is complete.

    A second `AtomicFile` for the same path is refused until the first is committed, kept or
    discarded, in this process or another. As a context manager it commits, or discards after an
    error.

    Args:
        path: the final name.
        overwrite: whether `commit` may replace a file of that name.
        leftovers: what becomes of the temporary file of a killed run: it is kept, and reported,
            or removed.

    Attributes:
        path: as given.
        part: the temporary file; it exists and is empty. What is written to it, by its name or
            through `open`, is what gets the final name.

    Raises:
        SinkError: the folder cannot be written to, or another run is writing this file.

    Example:
        >>> with AtomicFile(Path("report.txt")) as file:  # doctest: +SKIP
        ...     file.part.write_text("all is well")
    """

    def __init__(
        self, path: Path, *, overwrite: bool = False, leftovers: Leftovers = "remove"
    ) -> None:
        self.path, self._overwrite, self._leftovers = path, overwrite, leftovers
        self._files: dict[Path, io.FileIO] = {}
        self._number = 0  # of the latest temporary file
        self.part = self.another()

    def another(self) -> Path:
        """Create a second temporary file, for a step that makes the final file from the first.

        Raises:
            SinkError: the folder cannot be written to.
        """
        self._number, file = _create_temporary(self.path, self._leftovers, after=self._number)
        part = Path(os.fsdecode(file.name))
        self._files[part] = file
        return part

    def open(self, mode: str = "wb", **options: Any) -> IO[Any]:
        """Open the temporary file for writing, with `open`'s options."""
        return os.fdopen(os.dup(self._files[self.part].fileno()), mode, **options)

    def commit(self, part: Path | None = None) -> None:
        """Give a complete temporary file the final name, and remove the other ones.

        Args:
            part: which; the first one by default.

        Raises:
            SinkError: it cannot be renamed, or a file of the final name appeared and may not be
                overwritten. The temporary file is kept.
        """
        part = part or self.part
        try:
            _flush_to_disk(part)
            if sys.platform == "win32":
                self._files[part].close()  # it does not rename open files
            _rename(part, self.path, self._overwrite)
        except FileExistsError:
            raise SinkError(
                f"{self.path} appeared in the meantime; what was written is in {part}"
            ) from None
        except OSError as e:
            raise SinkError(f"{self.path}: {e.strerror or e}; what was written is in {part}") from e
        finally:
            self._files.pop(part).close()
            self.discard()

    def finish(self, part: Path | None = None, *, failed: bool) -> Path:
        """Commit what a run wrote, unless it failed and would replace a file that is there.

        Args:
            part: which temporary file; the first one by default.
            failed: whether an error ended the run.

        Returns:
            Where it is: the final path, or the temporary one.

        Raises:
            SinkError: as `commit`.
        """
        if failed and self._overwrite and os.path.lexists(self.path):
            kept = self.keep(part)
            log.warning("%s is as it was; what the failed run wrote is in %s", self.path, kept)
            return kept
        self.commit(part)
        return self.path

    def keep(self, part: Path | None = None) -> Path:
        """Leave a temporary file where it is, and remove the other ones; return its path."""
        part = part or self.part
        self._files.pop(part).close()
        self.discard()
        return part

    def discard(self) -> None:
        """Remove every temporary file. Does nothing after `commit` and `keep`."""
        for part, file in self._files.items():
            with contextlib.suppress(OSError):
                part.unlink()
            file.close()
        self._files.clear()

    def __enter__(self) -> AtomicFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if error is None:
            self.commit()
        else:
            self.discard()


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file, replacing one of that name.

    It is not forced to the disk: a loss of power may leave it empty. What a killed run left of it
    is removed.

    Raises:
        SinkError: it cannot be written, or another run or sink is writing it. What had that name
            stays.
    """
    _, file = _create_temporary(path, "remove")
    part = Path(os.fsdecode(file.name))
    try:
        with file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            if sys.platform != "win32":
                os.replace(part, path)  # while it is locked
        if sys.platform == "win32":
            os.replace(part, path)
    except OSError as e:
        with contextlib.suppress(OSError):
            part.unlink()
        raise SinkError(f"{path}: {e.strerror or e}") from e


def move_into_place(made: Path, path: Path, *, overwrite: bool) -> None:
    """Give a complete file or folder its final name, on the same file system.

    Args:
        made: the file or folder.
        path: the final name.
        overwrite: whether it may replace a file or folder of that name.

    Raises:
        SinkError: the name is taken and may not be, or it cannot be renamed.
    """
    try:
        if made.is_dir():
            if overwrite and path.is_dir():
                path.rename(made.with_name(temporary_name(path.name, word="old")))
            made.rename(path)  # never replaces a folder with something in it
        else:
            _rename(made, path, overwrite)
    except FileExistsError:
        raise SinkError(f"{path} appeared in the meantime") from None
    except OSError as e:
        raise SinkError(f"{path}: {e.strerror or e}") from e


def discard(*paths: Path | None) -> None:
    """Remove files, if they exist and can be removed."""
    for path in paths:
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()


def create_file(path: Path) -> io.FileIO:
    """Create an empty file for writing in place of what a killed run left, or somebody planted.

    Raises:
        SinkError: it cannot be created.
    """
    discard(path)
    try:
        return open_new(path)
    except OSError as e:
        raise SinkError(f"{path}: {e.strerror or e}") from e


def append_to(path: Path) -> io.FileIO:
    """Open a file for appending, never through a link.

    Raises:
        SinkError: it cannot be opened.
    """
    try:
        return io.FileIO(path, "a", opener=_open_strictly)
    except OSError as e:
        raise SinkError(f"{path}: {e.strerror or e}") from e


def open_new(path: Path) -> io.FileIO:
    """Create a file for writing, never through a link and never over one that is there.

    Raises:
        OSError: it exists, or cannot be created.
    """
    return io.FileIO(path, "x+", opener=_open_strictly)


def temporary_name(name: str, number: int = 1, word: str = "part") -> str:
    """Name a temporary file: hidden, recognizable, and no longer than the final name in bytes.

    A name of less than `SHORT_NAME_BYTES` may get one that is longer than itself.

    >>> temporary_name("out.mp4"), temporary_name("out.mp4", 2)
    ('.out.part.mp4', '.out.part2.mp4')
    """
    count = "" if number == 1 else str(number)
    path = Path(name)
    stem, suffix = path.stem, path.suffix
    if len(os.fsencode(suffix)) > MAX_SUFFIX_BYTES:
        stem, suffix = name, ""
    made, most = f".{stem}.{word}{count}{suffix}", max(SHORT_NAME_BYTES, len(os.fsencode(name)))
    if len(os.fsencode(made)) <= most:
        return made
    tail = f"~{zlib.crc32(os.fsencode(name)):08x}.{word}{count}{suffix}"
    while len(os.fsencode(f".{stem}{tail}")) > most:
        stem = stem[:-1]
    return f".{stem}{tail}"


def _create_temporary(path: Path, leftovers: Leftovers, *, after: int = 0) -> tuple[int, io.FileIO]:
    """Create and lock an empty temporary file beside ``path``.

    Args:
        path: the final name.
        leftovers: what becomes of the temporary file of a killed run.
        after: the number of the caller's latest temporary file of that name.

    Returns:
        The file and its number.

    Raises:
        SinkError: it cannot be created, or another run is writing that file.
    """
    for number in range(after + 1, after + 1 + MAX_LEFTOVERS):
        part = path.with_name(temporary_name(path.name, number))
        try:
            file = _create_locked(part, path)
            if file is None and _clear(part, path, leftovers):
                file = _create_locked(part, path)
        except OSError as e:
            raise SinkError(f"{path}: cannot write there: {e.strerror or e}") from e
        if file is not None:
            return number, file
    raise SinkError(f"{path}: {MAX_LEFTOVERS} temporary files lie beside it; delete them")


def _create_locked(part: Path, path: Path) -> io.FileIO | None:
    """Create and lock a temporary file; return None if there is something of that name."""
    try:
        file = open_new(part)
    except FileExistsError:
        return None
    if try_lock(file) and _has_name(file, part):
        return file
    file.close()  # another run took it for a left-over one before it was locked
    raise _busy(path)


def _clear(part: Path, path: Path, leftovers: Leftovers) -> bool:
    """Remove a temporary file that a killed run left; report whether its name is free now.

    Raises:
        SinkError: a run is still writing it.
    """
    try:
        file = io.FileIO(part, "r+", opener=_open_strictly)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # a link, a folder, or somebody else's
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return False
        if not try_lock(file):
            raise _busy(path)
        if not _has_name(file, part):
            return True  # its run has just committed it
        if leftovers == "keep" and os.fstat(file.fileno()).st_size:
            log.warning(
                "%s was left by an earlier run that was cut off: move it to keep it, or delete it",
                part,
            )
            return False
        part.unlink()
    return True


def _open_strictly(path: str, flags: int) -> int:
    """Open without following a link, or waiting for the other end of a pipe."""
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, flags, 0o666)


def _has_name(file: io.FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _busy(path: Path) -> SinkError:
    return SinkError(f"{path}: another run or sink is writing it")


def _flush_to_disk(path: Path) -> None:
    """Have the system write a file out: a loss of power leaves it whole, or its name unused."""
    with io.FileIO(path, "r+", opener=_open_strictly) as file:
        os.fsync(file.fileno())


def _rename(part: Path, path: Path, overwrite: bool) -> None:
    """Rename a file.

    Raises:
        FileExistsError: the new name is taken and may not be overwritten.
        OSError: it cannot be renamed.
    """
    if overwrite:
        os.replace(part, path)
    elif sys.platform == "win32":
        part.rename(path)  # which never replaces a file there
    else:
        try:
            os.link(part, path, follow_symlinks=False)  # which never replaces a file anywhere
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(path):
                raise FileExistsError(path) from None
            os.replace(part, path)
        else:
            part.unlink()


# --- one run a folder ----------------------------------------------------------------------------


class FolderLock:
    """Keeps other runs from writing into a folder while this one reads or writes it.

    Nothing is written for it: the lock is on the folder itself, and ends with the process at the
    latest.

    Args:
        folder: an existing folder.
        kind: ``"write"`` excludes every other lock, ``"read"`` only those that write.

    Raises:
        SinkError: another run, or another part of this one, has the folder; or it cannot be opened.
    """

    def __init__(self, folder: Path, kind: Literal["read", "write"] = "write") -> None:
        self._descriptor = -1
        if sys.platform == "win32":  # folders cannot be opened there
            return
        try:
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as e:
            raise SinkError(f"{folder}: {e.strerror or e}") from e
        if not try_lock(self._descriptor, kind):
            self.release()
            raise SinkError(f"{folder}: another run, or another part of this one, is using it")

    def release(self) -> None:
        """Let others in. Does nothing the second time."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def __del__(self) -> None:
        self.release()


def try_lock(file: io.FileIO | int, kind: Literal["read", "write"] = "write") -> bool:
    """Lock a file or folder until it is closed; report whether nobody else has it."""
    if sys.platform != "win32":  # which has no such locks
        import fcntl

        try:
            fcntl.flock(file, (fcntl.LOCK_EX if kind == "write" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks
    return True


# --- reading what is there -----------------------------------------------------------------------


def open_inside(path: Path) -> io.BufferedReader:
    """Open a file for reading, but no link, pipe or device, which could lead out of its folder.

    Raises:
        OSError: it cannot be opened, or is of such a kind.
    """
    try:
        file = io.FileIO(path, "r", opener=_open_strictly)
    except OSError as e:
        if path.is_symlink():
            raise OSError(errno.ELOOP, "a link, which is not followed") from e
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a file")
    return io.BufferedReader(file)


def read_inside(path: Path, max_bytes: int = -1) -> bytes:
    """Read a file that is no link, pipe or device.

    Args:
        path: the file.
        max_bytes: the most that is read, if it is not negative.

    Raises:
        OSError: it cannot be read, is of such a kind, or is larger.
    """
    with open_inside(path) as file:
        if 0 <= max_bytes < os.fstat(file.fileno()).st_size:
            raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes")
        return file.read()


def stamp(path: Path) -> list[int] | None:
    """Count a file's, or a folder's, files and bytes, and find the last change in nanoseconds.

    Returns:
        ``[files, bytes, nanoseconds]``, or None if there is no such file or folder.
    """
    try:
        found = [file.stat() for file in _files(path)]
    except OSError:
        return None
    last = max((s.st_mtime_ns for s in found), default=0)
    return [len(found), sum(s.st_size for s in found), last]


def checksum_heads(path: Path) -> int | None:
    """Return a checksum of a file's first bytes, or of the names and first bytes of a folder's.

    It tells files from others of the same names and sizes without reading the whole. None if there
    is no such file or folder.
    """
    total = 0
    try:
        for file in sorted(_files(path)):
            if file != path:
                total = zlib.crc32(os.fsencode(file.name), total)
            with file.open("rb") as opened:
                total = zlib.crc32(opened.read(HEAD_BYTES), total)
    except OSError:
        return None
    return total


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [p for p in path.iterdir() if p.is_file()]
