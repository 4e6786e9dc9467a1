"""Run the ffmpeg that imageio-ffmpeg brings: to its end, or fed with raw pictures."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import SinkError

#: Lines of ffmpeg's that say more than its last one does.
TELLING = ("No space left on device", "File too large", "Disk quota exceeded", "Input/output error")


@cache
def executable() -> str:
    """Find the binary.

    Raises:
        SinkError: there is none for this machine.
    """
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as e:
        raise SinkError(f"no ffmpeg for this machine: {e}; set IMAGEIO_FFMPEG_EXE to one") from e


def run(*args: str | Path) -> str:
    """Run ffmpeg to its end and return what it wrote on stdout. Arguments as of `lines`.

    Raises:
        SinkError: it failed; the message is the line of its own that says most.
    """
    return "".join(lines(*args))


def lines(*args: str | Path) -> Iterator[str]:
    """Run ffmpeg to its end and yield the lines of its stdout as they come.

    Args:
        *args: its arguments; files as paths, so that none is taken for a protocol or an option.

    Raises:
        SinkError: it failed, after the lines that it wrote.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            _command(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            encoding="utf-8", errors="replace", **_detached(),
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield from process.stdout
            if process.wait():
                errors.seek(0)
                raise SinkError(_reason(errors.read(), process.returncode))
        finally:
            _end(process)


class RawPipe:
    """An ffmpeg that reads raw pictures from its stdin.

    It runs in a session of its own, so that Ctrl-C in a terminal does not reach it and everything
    that was sent is finished.

    Args:
        args: ffmpeg's arguments; they must read ``pipe:0``.
        frame_bytes: bytes of a picture.
    """

    def __init__(self, args: Sequence[str | Path], frame_bytes: int) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by _reap)
        # The buffer holds a whole picture: a signal between two parts of a picture leaves the
        # rest in it, and the next flush goes on where this one stopped.
        self._process = subprocess.Popen(
            _command(args), bufsize=frame_bytes + 1, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=self._errors, **_detached(),
        )  # fmt: skip
        assert self._process.stdin is not None
        self._stdin = self._process.stdin

    def send(self, picture: bytes | memoryview) -> None:
        """Write one picture.

        Raises:
            SinkError: ffmpeg has ended; the message is its own line.
        """
        try:
            self._stdin.flush()
            self._stdin.write(picture)
            self._stdin.flush()
        except OSError:
            raise self._failure() from None

    def finish(self) -> None:
        """Let ffmpeg finish what was sent. Does nothing the second time.

        Raises:
            SinkError: it failed.
        """
        if self._errors.closed:
            return
        try:
            self._stdin.close()
        except OSError:
            raise self._failure() from None
        if self._process.wait():
            raise self._failure()
        self._errors.close()

    def kill(self) -> None:
        """End ffmpeg at once, whatever it was doing."""
        self._process.kill()
        self._reap()

    def _failure(self) -> SinkError:
        return SinkError(_reason(self._reap(), self._process.returncode))

    def _reap(self) -> bytes:
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._process.wait()
        if self._errors.closed:
            return b""
        self._errors.seek(0)
        text = self._errors.read()
        self._errors.close()
        return text


def _command(args: Sequence[str | Path]) -> list[str]:
    # A path may hold a colon or begin with a dash: say that it is a file.
    texts = (f"file:{arg.absolute()}" if isinstance(arg, Path) else arg for arg in args)
    quiet = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error")
    return [executable(), *quiet, *texts]


def _detached() -> dict[str, Any]:
    """Keep the terminal's signals from a child, and let writing too much be an error in it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True, "restore_signals": False}


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _reason(output: bytes, code: int) -> str:
    """Choose the line of ffmpeg's output that tells a user most."""
    said = [line.strip() for line in output.decode("utf-8", "replace").splitlines()]
    for words in TELLING:
        if any(words in line for line in said):
            return words
    # The first line is the cause, those after it are what came of it; its address says nothing.
    causes = [re.sub(r"^(\[[^]]* @ 0x[0-9a-f]+\] )+", "", line) for line in said if line]
    return causes[0] if causes else f"ffmpeg ended with code {code}"
