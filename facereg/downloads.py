"""Fetch other people's models, if the user agrees; what they hold is pinned here."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelError, UsageError, nearest
from .models import ENVIRONMENT, folders, sha256_of
from .output import write_file


@dataclass(frozen=True)
class Download:
    """A file of other people's that facereg can fetch; its content is pinned.

    Attributes:
        name: what users call it.
        file: its name on this machine.
        address: where it is fetched from.
        size: its bytes.
        sha256: its checksum.
        licence: its terms.
    """

    name: str
    file: str
    address: str
    size: int
    sha256: str
    licence: str


DOWNLOADS = (
    Download(
        "yunet",
        "yunet_n_640_640.onnx",
        "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/"
        "02246e79b1e976c83d1e135a85e0628120c93769/onnx/yunet_n_640_640.onnx",
        317_466,
        "25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31",
        "Apache-2.0",
    ),
)

#: Seconds that a server may take to answer.
ANSWER_SECONDS = 30.0


def find_download(name: str) -> Download:
    """Look up a file that can be fetched.

    Raises:
        UsageError: there is none of that name.
    """
    for download in DOWNLOADS:
        if download.name == name:
            return download
    raise UsageError(
        f"{name!r} cannot be fetched: {nearest(name, [one.name for one in DOWNLOADS])}"
    )


def download_folder() -> Path:
    """Return the folder of fetched files: the first of `ENVIRONMENT`, or one of the user's."""
    named = [Path(p) for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p]
    if named:
        return named[0]
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "facereg" / "models"


def find_fetched(download: Download) -> Path | None:
    """Find a fetched file, or None.

    Raises:
        ModelError: it is damaged.
    """
    for folder in (*folders(), download_folder()):
        path = folder / download.file
        if path.is_file():
            if sha256_of(path) != download.sha256:
                raise ModelError(f"{path}: damaged: facereg models get {download.name}")
            return path
    return None


def fetch(download: Download, source: Path | None = None) -> Path:
    """Fetch a file over the network, or take it from ``source``, and verify its checksum.

    Returns:
        Where it lies now; it appears there when it is complete.

    Raises:
        ModelError: it cannot be fetched or read, or its content is another one.
        SinkError: it cannot be written.
    """
    where = download.address if source is None else str(source)
    content = _read_address(download) if source is None else _read_file(source)
    if len(content) != download.size or hashlib.sha256(content).hexdigest() != download.sha256:
        raise ModelError(f"{where}: is not the file that facereg knows as {download.name}")
    path = download_folder() / download.file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ModelError(f"{path.parent}: cannot be made: {e.strerror or e}") from e
    write_file(path, content)
    return path


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise ModelError(f"{path}: {e.strerror or e}") from e


def _read_address(download: Download) -> bytes:
    """Read what an address answers, but one byte more than expected at most."""
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(  # noqa: S310  (an address of `DOWNLOADS`)
            download.address, timeout=ANSWER_SECONDS
        ) as answer:
            content: bytes = answer.read(download.size + 1)
            return content
    except (OSError, http.client.HTTPException) as e:
        reason = " ".join(str(getattr(e, "reason", "") or e).split())[:200]
        raise ModelError(
            f"{download.address}: cannot be fetched: {reason}; if you have the file, "
            f"facereg models get {download.name} --file FILE"
        ) from e
