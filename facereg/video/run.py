"""Run the ffmpeg that imageio-ffmpeg brings. No other module starts it.

Every function takes ffmpeg's arguments after ``-hide_banner -nostdin``. Name files as `Path`: a
path is passed on as ``file:`` and its absolute path, so that no character in it (a dash, a colon,
a percent sign) has a meaning for ffmpeg.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import MediaError

#: Words of ffmpeg's that say that there is no room, whatever its first line says.
NO_ROOM = ("No space left on device", "File too large", "Disk quota exceeded")

#: Seconds without any work after which an ffmpeg that facereg waits for is ended.
STALLED_SECONDS = 30

#: The same where the system does not report how much a process has worked.
STALLED_SECONDS_UNSEEN = 600

#: An output of ffmpeg's of which nothing is kept.
NOWHERE = f"file:{os.devnull}"

Arguments = Sequence[str | Path]


class NoRoomError(MediaError):
    """There is no room on the disk: what ffmpeg was to do would work on another one."""


@dataclass(frozen=True)
class Outcome:
    """What a run of ffmpeg came to.

    Attributes:
        code: its exit code; below 0 if it crashed.
        output: what it wrote on stdout.
        messages: what it wrote on stderr.
    """

    code: int
    output: str
    messages: str


def executable() -> str:
    """Find the binary.

    Raises:
        MediaError: there is none for this machine.
    """
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as e:
        raise MediaError(f"no ffmpeg for this machine: {e}; set IMAGEIO_FFMPEG_EXE to one") from e


def file_url(path: Path) -> str:
    """Write a path as ffmpeg and libraries around it take it for a file, whatever its name is.

    >>> file_url(Path("/videos/-a:b%04d.mp4"))
    'file:/videos/-a:b%04d.mp4'
    """
    return f"file:{path.absolute()}"


def run_ffmpeg(*args: str | Path) -> str:
    """Run ffmpeg to its end and return what it wrote on stdout.

    Raises:
        MediaError: it failed; the message is the line of ffmpeg's that says most.
    """
    return "".join(output_lines(*args))


def output_lines(*args: str | Path) -> Iterator[str]:
    """Run ffmpeg to its end and yield the lines of its stdout as they come.

    Raises:
        MediaError: it failed, after the lines that it wrote.
    """
    with _Child(args, stdout=True) as child:
        yield from child.output_lines()
        child.check()


def try_ffmpeg(*args: str | Path, level: str = "error") -> Outcome:
    """Run ffmpeg to its end and return all that it wrote, whether it failed or not.

    Args:
        *args: its arguments.
        level: what it reports on stderr, as its ``-loglevel`` takes it.

    Raises:
        MediaError: it stopped working and had to be ended.
    """
    with _Child(args, stdout=True, level=level) as child:
        output = "".join(child.output_lines())
        return Outcome(child.wait(), output, child.messages())


class FrameWriter:
    """An ffmpeg that reads raw pictures from its stdin.

    It runs in a session of its own, so that Ctrl-C in a terminal does not reach it and everything
    that was sent is finished.

    Args:
        args: ffmpeg's arguments; they must read ``pipe:0``.
        frame_bytes: bytes of a picture.
    """

    def __init__(self, args: Arguments, frame_bytes: int) -> None:
        # The buffer holds a whole picture: a signal between two parts of a picture leaves the
        # rest in it, and the next flush goes on where this one stopped.
        self._child = _Child(args, stdin=True, buffer=frame_bytes + 1)

    @property
    def pid(self) -> int:
        """The process id of ffmpeg."""
        return self._child.process.pid

    def write(self, picture: bytes | memoryview) -> None:
        """Write one picture.

        Raises:
            MediaError: ffmpeg has ended; the message is its own line.
        """
        stdin = self._child.process.stdin
        assert stdin is not None
        try:
            with self._child.watched():
                stdin.flush()
                stdin.write(picture)
                stdin.flush()
        except OSError:
            raise self._child.fail() from None

    def finish(self) -> None:
        """Let ffmpeg finish what was sent. Does nothing the second time.

        Raises:
            MediaError: it failed.
        """
        if self._child.closed:
            return
        stdin = self._child.process.stdin
        assert stdin is not None
        try:
            with self._child.watched():
                stdin.close()
        except OSError:
            raise self._child.fail() from None
        self._child.check()
        self._child.close()

    def kill(self) -> None:
        """End ffmpeg at once, whatever it was doing."""
        self._child.close()


class FrameReader:
    """An ffmpeg that writes raw pictures to its stdout.

    Args:
        args: ffmpeg's arguments; they must write ``pipe:1``.
        frame_bytes: bytes of a picture.
    """

    def __init__(self, args: Arguments, frame_bytes: int) -> None:
        self._child = _Child(args, stdout=True)
        self._frame_bytes = frame_bytes

    @property
    def pid(self) -> int:
        """The process id of ffmpeg."""
        return self._child.process.pid

    def read(self) -> bytes | None:
        """Read the next picture; None after the last whole one.

        Raises:
            MediaError: ffmpeg stopped working and had to be ended.
        """
        stdout = self._child.process.stdout
        assert stdout is not None
        with self._child.watched():
            data: bytes = stdout.read(self._frame_bytes)
        if self._child.stalled:
            raise self._child.fail()
        return data if len(data) == self._frame_bytes else None

    def close(self) -> None:
        """End ffmpeg."""
        self._child.close()


class _Child:
    """A running ffmpeg, with its messages in a file, that cannot make facereg wait for ever."""

    def __init__(
        self,
        args: Arguments,
        *,
        stdin: bool = False,
        stdout: bool = False,
        buffer: int = -1,
        level: str = "error",
    ) -> None:
        texts = (file_url(arg) if isinstance(arg, Path) else arg for arg in args)
        command = [executable(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", level, *texts]
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        self.process = subprocess.Popen(
            command, bufsize=buffer, stderr=self._messages,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout else subprocess.DEVNULL, **_detached(),
        )  # fmt: skip
        self._watchdog = _Watchdog(self.process)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._messages.closed

    @property
    def stalled(self) -> bool:
        """Whether it was ended because it did nothing."""
        return self._watchdog.stalled > 0

    def watched(self) -> contextlib.AbstractContextManager[None]:
        """Wait for ffmpeg inside this context; one that does nothing is ended."""
        return self._watchdog.waiting()

    def output_lines(self) -> Iterator[str]:
        """Yield the lines of stdout as they come."""
        assert self.process.stdout is not None
        while True:
            with self.watched():
                line = self.process.stdout.readline()
            if not line:
                return
            yield line.decode("utf-8", "replace")

    def wait(self) -> int:
        """Wait for its end and return its exit code.

        Raises:
            MediaError: it stopped working and had to be ended.
        """
        with self.watched():
            code = self.process.wait()
        if self.stalled:
            raise self.fail()
        return code

    def check(self) -> None:
        """Wait for its end.

        Raises:
            MediaError: it failed.
        """
        if self.wait():
            raise self.fail()

    def messages(self) -> str:
        """Return what it wrote on stderr."""
        if self.closed:
            return ""
        self._messages.seek(0)
        return self._messages.read().decode("utf-8", "replace")

    def fail(self) -> MediaError:
        """Wait for its end, release everything, and make the error that says why it ended."""
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        with self.watched():
            code = self.process.wait()
        messages = self.messages()
        self.close()
        if self.stalled:
            return MediaError(f"ffmpeg did nothing for {self._watchdog.stalled} s and was ended")
        for words in NO_ROOM:
            if words in messages:
                return NoRoomError(words)
        return MediaError(_first_line(messages) or f"ffmpeg ended with code {code}")

    def close(self) -> None:
        """End it if it still runs, and release everything."""
        self._watchdog.end()
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process.wait()
        self._messages.close()


class _Watchdog:
    """Ends a process that does nothing while facereg waits for it, such as one that was stopped.

    It counts its own seconds, not those of a clock: the time in which the whole machine slept does
    not count, and a process of a busy machine has worked as soon as it used any processor time.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.stalled = 0  # seconds that it did nothing before it was ended
        self._process = process
        self._waiting = False
        self._idle = 0
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="ffmpeg watchdog", daemon=True).start()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count while this context lasts."""
        self._idle, self._waiting = 0, True
        try:
            yield
        finally:
            self._waiting = False

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()

    def _watch(self) -> None:
        before = None
        while not self._ended.wait(1.0):
            if not self._waiting:
                continue
            work = _processor_time(self._process.pid)
            self._idle = 0 if work != before else self._idle + 1
            before = work
            limit = STALLED_SECONDS_UNSEEN if work is None else STALLED_SECONDS
            if self._idle >= limit and self._waiting:
                self.stalled = limit
                self._process.kill()
                return


def _processor_time(pid: int) -> list[bytes] | None:
    """Read how long a process has worked, in ticks; None where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  (no Path a second)
            return file.read().rpartition(b")")[2].split()[11:13]
    except OSError:
        return None


def _detached() -> dict[str, Any]:
    """Keep the terminal's signals from a child, and let writing too much be an error in it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True, "restore_signals": False}


def _first_line(messages: str) -> str:
    """Return the first line of ffmpeg's messages, which is the cause of those after it."""
    lines = (line.strip() for line in messages.splitlines())
    # Its address in memory says nothing.
    return next((re.sub(r"^(\[[^]]* @ 0x[0-9a-f]+\] )+", "", line) for line in lines if line), "")
