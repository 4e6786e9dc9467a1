"""Object stores: recordings are fetched before a run, and what it made is uploaded after it.

A URL of a store is a `upath.UPath` wherever batch has a path. Credentials are those that fsspec and
the store's own library find: environment variables, configuration files, the machine's role.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import importlib
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import (
    FaceregError,
    SinkError,
    SourceError,
    UsageError,
    hide_secrets,
    missing_extra,
)
from ..output import stamp

log = logging.getLogger(__name__)

#: Stores that have URLs here, and the package that each needs.
SCHEMES: Mapping[str, str] = {"s3": "s3fs", "gs": "gcsfs"}

#: How often a transfer is tried, and seconds before the second try; the pause doubles each time.
MAX_TRIES, FIRST_PAUSE_SECONDS = 6, 0.5

#: Errors of a store that another try does not mend.
FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, UsageError)

T = TypeVar("T")


def is_url(text: str) -> bool:
    """Whether a name is a URL of an object store.

    >>> is_url("s3://bucket/in"), is_url("rtsp://camera/1"), is_url("in.mp4")
    (True, False, False)
    """
    return text.partition("://")[0] in SCHEMES and "://" in text


def open_path(text: str) -> Path:
    """Make the path of a name: a local one, also of ``file://``, or one in a store.

    Raises:
        FaceregError: what opens the store is not installed.
    """
    if text.startswith("file://"):
        return Path(url2pathname(urlsplit(text).path))
    if not is_url(text):
        return Path(text)
    package = SCHEMES[text.partition("://")[0]]
    try:
        importlib.import_module(package)
        upath = importlib.import_module("upath")
    except ImportError as e:
        raise missing_extra(e.name or package, "cloud", hide_secrets(text)) from e
    return cast("Path", upath.UPath(text, use_listings_cache=False))


def is_remote(path: Path) -> bool:
    """Whether a path is in a store."""
    return not isinstance(path, Path)


def describe(path: Path) -> str:
    """Write a path so that it can be shown."""
    return hide_secrets(str(path)) if is_remote(path) else str(path)


def identity(path: Path) -> str:
    """Name what a path leads to, in the same way for all paths to it."""
    return str(path) if is_remote(path) else os.path.realpath(path)


def stamp_of(path: Path) -> tuple[int, int, int, int | None] | None:
    """Describe a file, or the files of a folder: their number, bytes, last change, checksum.

    Of what is local the checksum is None: it takes reading. None if nothing is there.

    Raises:
        SourceError: the store does not answer.
    """
    if not is_remote(path):
        found = stamp(path)
        return None if found is None else (found[0], found[1], found[2], None)
    files = retried(f"{describe(path)}", lambda: _files(path))
    if not files:
        return None
    checksum = 0
    for name, info in sorted(files.items()):
        tag = f"{Path(name).name} {info.get('ETag') or info.get('etag') or info.get('size')}"
        checksum = zlib.crc32(tag.encode(), checksum)
    times = [info.get("LastModified") or info.get("mtime") for info in files.values()]
    known = [moment.timestamp() for moment in times if isinstance(moment, datetime)]
    size = sum(int(info.get("size") or 0) for info in files.values())
    return len(files), size, round(1e9 * max(known, default=0.0)), checksum


def _files(path: Any) -> dict[str, dict[str, Any]]:
    path.fs.invalidate_cache()
    return dict(path.fs.find(path.path, detail=True))


def list_files(text: str) -> tuple[Path, list[Path]]:
    """List what a URL means: a file, what is in a folder, or what a glob matches.

    Returns:
        The folder from which the names of the files count, and the files.

    Raises:
        FaceregError: the store does not answer, or nothing opens it.
    """
    shown = hide_secrets(text)
    if glob.has_magic(text):
        fixed: list[str] = []
        for part in text.split("/"):
            if glob.has_magic(part):
                break
            fixed.append(part)
        root: Any = open_path("/".join(fixed) + "/")
        pattern = open_path(text)
        matched = retried(shown, lambda: pattern.fs.glob(pattern.path, detail=True))  # type: ignore[attr-defined]
        names = [name for name, info in matched.items() if info["type"] == "file"]
        folders = [name for name, info in matched.items() if info["type"] != "file"]
        if "**" not in text:
            for folder in folders:
                names += _in_folder(pattern, folder, shown)
    else:
        root = open_path(text)
        if _is_file(root, shown):
            return root.parent, [root]
        names = _in_folder(root, root.path, shown)
    start = root.path.rstrip("/") + "/"
    return root, [root / name.removeprefix(start) for name in sorted(set(names))]


def _is_file(path: Any, shown: str) -> bool:
    """Ask the store; its own `isfile` would say no while it is busy."""
    try:
        return bool(retried(shown, lambda: path.fs.info(path.path))["type"] == "file")
    except SourceError as e:
        if isinstance(e.__cause__, FileNotFoundError):
            return False
        raise


def _in_folder(store: Any, folder: str, shown: str) -> list[str]:
    try:
        found = retried(shown, lambda: store.fs.ls(folder, detail=True, refresh=True))
    except SourceError as e:
        if isinstance(e.__cause__, FileNotFoundError):
            return []
        raise
    return [info["name"] for info in found if info["type"] == "file"]


def retried(
    what: str, do: Callable[[], T], error: Callable[[str], FaceregError] = SourceError
) -> T:
    """Do something with a store; try again with growing pauses while it is busy or away.

    Args:
        what: what it is about, for messages.
        do: what is done.
        error: makes the error that is raised in the end.

    Raises:
        FaceregError: it cannot be done.
    """
    pause = FIRST_PAUSE_SECONDS
    for number in range(1, MAX_TRIES + 1):
        try:
            return do()
        except FaceregError:
            raise
        except Exception as e:  # stores raise what their libraries raise
            full = isinstance(e, OSError) and e.errno == errno.ENOSPC
            if number == MAX_TRIES or full or isinstance(e, FINAL) or _is_credentials(e):
                raise error(f"{what}: {_reason(e)}") from e
            log.debug("%s: try %d: %s", what, number, _reason(e))
        time.sleep(pause)
        pause *= 2
    raise AssertionError("the last try returns or raises")


def _is_credentials(error: Exception) -> bool:
    return type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError"}


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return hide_secrets(" ".join((text or type(error).__name__).split()))[:300]


@dataclass(frozen=True)
class Transfers:
    """What the process of a job fetches and uploads.

    Attributes:
        scratch: a folder of its own, which it makes and removes.
        fetch: the URL of its source, which it finds under `source`; empty for none.
        source: where the source lies in the end.
        uploads: local outputs, and the URL of each.
    """

    scratch: str
    fetch: str
    source: str
    uploads: Mapping[str, str]

    def as_argument(self) -> str:
        """Write it as an argument of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def of_argument(cls, text: str) -> Transfers:
        """Read what `as_argument` wrote."""
        return cls(**json.loads(text))

    @contextlib.contextmanager
    def around(self, beat: Callable[[], None]) -> Iterator[None]:
        """Fetch the source; remove everything local at the end.

        Args:
            beat: called now and then while something is transferred.

        Raises:
            SourceError: it cannot be fetched.
            SinkError: the scratch folder cannot be written to, or is full.
        """
        folder = Path(self.scratch)
        try:
            for path in {folder, *(Path(made).parent for made in self.uploads)}:
                path.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise SinkError(f"{folder}: {e.strerror or e}") from e
        try:
            if self.fetch:
                fetch(open_path(self.fetch), Path(self.source), beat)
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def upload(self, beat: Callable[[], None]) -> None:
        """Upload the outputs.

        Raises:
            SinkError: one cannot be.
        """
        for made, url in self.uploads.items():
            upload(Path(made), open_path(url), beat)


def fetch(path: Any, target: Path, beat: Callable[[], None]) -> None:
    """Fetch a file, or the files of a folder.

    Raises:
        SourceError: it cannot be fetched.
        SinkError: the scratch folder is full.
    """
    shown = describe(path)
    one = _is_file(path, shown)
    names = [path.path] if one else _in_folder(path, path.path, shown)
    size = sum(int(retried(shown, lambda n=name: path.fs.info(n))["size"]) for name in names)  # type: ignore[misc]
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if size > free:
        raise SinkError(
            f"{target.parent}: no room in the scratch folder for {shown} ({size / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free): name another with --scratch DIR"
        )
    for name in names:
        local = target if one else target / Path(name).name
        local.parent.mkdir(parents=True, exist_ok=True)
        beat()
        try:
            retried(shown, lambda n=name, to=local: _get(path.fs, n, to, beat))  # type: ignore[misc]
        except SourceError as e:
            if isinstance(e.__cause__, OSError) and e.__cause__.errno == errno.ENOSPC:
                raise SinkError(f"{target.parent}: the scratch folder is full") from e
            raise


def _get(store: Any, name: str, target: Path, beat: Callable[[], None]) -> None:
    with store.open(name, "rb") as source, target.open("wb") as out:
        while block := source.read(8 << 20):
            out.write(block)
            beat()


def upload(made: Path, path: Any, beat: Callable[[], None] = lambda: None) -> None:
    """Upload a file, or a folder's files with the manifest last; a store shows each when whole.

    Raises:
        SinkError: it cannot be uploaded.
    """
    shown = describe(path)
    if made.is_dir():
        files = sorted(made.iterdir(), key=lambda file: (file.name == "manifest.json", file.name))
        pairs = [(file, f"{path.path.rstrip('/')}/{file.name}") for file in files if file.is_file()]
        _remove(path, shown)
    elif made.exists():
        pairs = [(made, path.path)]
    else:
        return
    for file, name in pairs:
        beat()
        retried(shown, lambda f=file, n=name: path.fs.put_file(str(f), n), SinkError)  # type: ignore[misc]


def _remove(path: Any, shown: str) -> None:
    """Remove the files of an earlier folder, its manifest first."""
    names = sorted(retried(shown, lambda: _files(path)), key=lambda n: not n.endswith(".json"))
    for name in names:
        retried(shown, lambda n=name: path.fs.rm_file(n), SinkError)  # type: ignore[misc]
