"""Where a run writes its dump: a new folder, an earlier run's, or one beside the dump it replaces.

A dump that is replaced stays as it is until the new one is complete. The new one grows in a hidden
folder beside it, ``.NAME.part``, and takes its place in the end; files of others in the folder are
moved along. One run at a time has a folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Literal

from ..errors import SinkError
from ..output import FolderLock, check_parent, temporary_name
from .manifest import MANIFEST
from .repair import OURS, clear, is_dump, is_finished

#: What becomes of a dump that is there: an error; it is replaced; the run goes on with it; the run
#: goes on with it if it is unfinished, and replaces it if it is finished.
Existing = Literal["refuse", "replace", "resume", "resume or replace"]


class DumpFolder:
    """The folder that a run writes its dump into.

    Args:
        path: the dump, as the user named it. Its own folder must exist.
        existing: what becomes of a dump that is there.

    Attributes:
        work: the folder to write into, until `publish`.
        resumes: whether it has an earlier run's dump, to go on with.

    Raises:
        SinkError: it cannot be written, has something else in it, or another run is using it.
    """

    def __init__(self, path: Path, existing: Existing) -> None:
        self._path = path
        self._locks = contextlib.ExitStack()
        check_parent(path)
        if path.exists() and not path.is_dir():
            raise SinkError(f"{path} is a file; name a folder")
        try:
            # Where it really is: a link to a folder stays one.
            self._final = Path(os.path.realpath(path))
            self._beside = self._final.with_name(temporary_name(self._final.name))
            self._undo_half_publishing()
            self._created = not self._final.exists()
            self._final.mkdir(exist_ok=True)
            self._lock(self._final)
            self._finish_publishing()
            self.resumes = False
            self.work = self._choose(existing)
        except OSError as e:
            self.release()
            raise SinkError(f"{path}: {e.strerror or e}") from e
        except BaseException:
            self.release()
            raise

    @property
    def place(self) -> Path:
        """Where the dump is: as the user named it, or beside that."""
        return self._path if self.work == self._final else self.work

    def publish(self) -> None:
        """Put the dump in the place that the user named.

        Raises:
            SinkError: it cannot be put there; it is complete where it is.
        """
        if self.work != self._final:
            try:
                shutil.copymode(self._final, self.work)
                self._final.rename(self._replaced)
                self.work.rename(self._final)
                self.work = self._final
                self._finish_publishing()
            except OSError as e:
                self._undo_half_publishing()
                raise SinkError(f"{self._path}: {e.strerror or e}; the dump is {self.work}") from e

    def remove(self) -> None:
        """Leave everything as it was: remove what this run has written, but nothing it resumed."""
        if self.resumes:
            return
        clear(self.work)
        if self.work != self._final or self._created:
            with contextlib.suppress(OSError):
                self.work.rmdir()

    def release(self) -> None:
        """Let other runs in. Does nothing the second time."""
        self._locks.close()

    @property
    def _replaced(self) -> Path:
        """The dump that was replaced, until it is removed."""
        return self._final.with_name(temporary_name(self._final.name, word="old"))

    def _choose(self, existing: Existing) -> Path:
        resumes = existing in ("resume", "resume or replace")
        if resumes and is_dump(self._beside) and not self._beside.is_symlink():
            self._lock(self._beside)
            self.resumes = True  # a run that was to replace the dump, and was cut off
            return self._beside
        leftover = temporary_name(MANIFEST)  # of a run that was killed as it began
        if not any(path.name != leftover for path in self._final.iterdir()):
            return self._final
        if existing == "refuse":
            raise SinkError(
                f"{self._path} is not empty; --overwrite replaces a dump in it, --resume goes on "
                "with it"
            )
        if not is_dump(self._final):
            raise SinkError(
                f"{self._path} has files and is not a mask dump, so there is nothing to "
                f"{'resume' if resumes else 'overwrite'}; name a new folder"
            )
        if resumes and (existing == "resume" or not is_finished(self._final)):
            self.resumes = True
            return self._final
        self._create_beside()
        return self._beside

    def _create_beside(self) -> None:
        """Create the folder beside the dump, or clear the one that a killed run left.

        Raises:
            SinkError: something else has its name.
        """
        with contextlib.suppress(FileExistsError):
            self._beside.mkdir()
        if self._beside.is_symlink() or not self._beside.is_dir():
            raise SinkError(f"{self._path}: {self._beside} is in the way; remove it")
        self._lock(self._beside)
        clear(self._beside)
        if any(self._beside.iterdir()):
            raise SinkError(f"{self._path}: {self._beside} has files of others; remove it")

    def _undo_half_publishing(self) -> None:
        """Give the replaced dump its name again if the new one did not get it."""
        if not self._final.exists() and is_dump(self._replaced):
            self._replaced.rename(self._final)

    def _finish_publishing(self) -> None:
        """Move the files of others out of the dump that was replaced, and remove that."""
        if not is_dump(self._replaced) or self._replaced.is_symlink():
            return
        for path in self._replaced.iterdir():
            if not OURS.fullmatch(path.name) and not (self._final / path.name).exists():
                path.rename(self._final / path.name)
        clear(self._replaced)
        self._replaced.rmdir()

    def _lock(self, folder: Path) -> None:
        self._locks.callback(FolderLock(folder).release)
