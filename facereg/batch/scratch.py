"""The local folder of a batch whose outputs or recordings are in an object store."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import SinkError
from .journal import JOURNALS
from .plan import SUMMARY, Job, Shard
from .store import describe, is_remote, retried, upload


class Scratch:
    """Where a batch keeps what is on its way.

    Args:
        outputs: the output folder, here or in a store.
        parent: where the scratch folder is made; None is the system's folder for temporary files.

    Attributes:
        notes: the folder of the journals: the output folder, or the local one that stands for it.
    """

    def __init__(self, outputs: Path, parent: str | None) -> None:
        where = Path(tempfile.gettempdir() if parent is None else parent).absolute()
        name = str(outputs) if is_remote(outputs) else str(outputs.absolute())
        self._folder = where / f"facereg-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        self._outputs = outputs
        self.notes = self._folder if is_remote(outputs) else outputs

    def fetch_journals(self) -> None:
        """Fetch the journals from the store, if they are there and longer than what is here.

        Raises:
            SinkError: the local folder cannot be made, or the store does not answer.
        """
        if not is_remote(self._outputs):
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise SinkError(f"{self._folder}: {e.strerror or e}: name another --scratch DIR") from e
        store: Any = self._outputs
        shown = describe(store)
        pattern = f"{store.path.rstrip('/')}/{JOURNALS}"
        found = retried(shown, lambda: store.fs.glob(pattern, detail=True), SinkError)
        for name, info in found.items():
            here = self._folder / Path(name).name
            if not here.exists() or here.stat().st_size < int(info["size"]):
                retried(shown, lambda n=name, to=here: store.fs.get_file(n, str(to)), SinkError)  # type: ignore[misc]

    @contextlib.contextmanager
    def of_jobs(self, jobs: Sequence[Job], shard: Shard | None) -> Iterator[None]:
        """Give jobs of a store folders here; upload journal and summary at the end.

        The journal is locked, so that what is left in these folders is of a batch that was killed.
        """
        part = "all" if shard is None else f"{shard.number}-of-{shard.total}"
        own = self._folder / f"jobs-{part}"
        shutil.rmtree(own, ignore_errors=True)
        for number, job in enumerate(jobs):
            if is_remote(job.source) or any(map(is_remote, job.outputs.values())):
                job.scratch = own / str(number)
        try:
            yield
        finally:
            shutil.rmtree(own, ignore_errors=True)
            if is_remote(self._outputs):
                for path in (*sorted(self._folder.glob(JOURNALS)), self._folder / SUMMARY):
                    self.publish(path)
            else:
                with contextlib.suppress(OSError):
                    self._folder.rmdir()

    def publish(self, path: Path) -> Path:
        """Upload a file of the notes, if the outputs are in a store; return where it is then."""
        if not is_remote(self._outputs):
            return path
        target = self._outputs / path.name
        upload(path, target)
        return target
