"""A virtual screen to open windows on, and a way to press keys on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import PIL.ImageGrab
import pytest

from facereg.types import Image

if TYPE_CHECKING:
    from typing_extensions import Self

WHY_NOT = "no screen to test on: apt-get install xvfb xdotool"

#: Seconds within which a window must do what a key asks for, on a busy machine.
PATIENCE = 20.0


def available() -> bool:
    """Whether Debian's xvfb and xdotool are installed."""
    return shutil.which("Xvfb") is not None and shutil.which("xdotool") is not None


def needs_screen(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that opens real windows."""
    skip = pytest.mark.skipif(not available(), reason=WHY_NOT)
    marked: Callable[..., None] = pytest.mark.slow(skip(test))
    return marked


class Screen:
    """An X server of 1280x1024 pixels; a context manager."""

    def __init__(self) -> None:
        read, write = os.pipe()
        # Without -noreset it restarts when its last window closes, and the next client fails.
        command = ["Xvfb", "-noreset", "-displayfd", str(write), "-screen", "0", "1280x1024x24"]
        self._server = subprocess.Popen(
            command, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            self.display = f":{pipe.readline().strip()}"

    def environment(self) -> dict[str, str]:
        """Return the environment in which programs find it."""
        return {"DISPLAY": self.display, "SDL_VIDEODRIVER": "x11"}

    def window(self, title: str, program: subprocess.Popen[str]) -> int:
        """Wait for a program's window by the start of its title, and give it the keyboard."""

        def ask() -> str:
            assert program.poll() is None, program.communicate()[1]
            return self._settled(title)

        window = until(ask)
        self._xdotool("windowfocus", "--sync", window)
        return int(window)

    def _settled(self, title: str) -> str:
        """Find a window that stays: SDL makes another one when the size of its picture is known."""
        window = self._find(title)
        time.sleep(0.3)
        return window if window == self._find(title) else ""

    def _find(self, title: str) -> str:
        # xdotool's own search by name does not find windows of SDL.
        for window in self._xdotool("search", "--onlyvisible", "--class", ".").split():
            if self._xdotool("getwindowname", window).startswith(title):
                return window
        return ""

    def press(self, window: int, key: str) -> None:
        """Press a key, named as X names it."""
        self._xdotool("windowfocus", str(window))
        self._xdotool("key", key)

    def lift(self, window: int) -> None:
        """Put a window above all others."""
        self._xdotool("windowraise", str(window))

    def resize(self, window: int, width: int, height: int) -> None:
        """Resize a window, as its user would by its frame."""
        self._xdotool("windowsize", str(window), str(width), str(height))

    def place(self, window: int) -> tuple[int, int, int, int]:
        """Return a window's place: x, y, width, height."""
        text = self._xdotool("getwindowgeometry", "--shell", str(window))
        found = dict(line.split("=") for line in text.split())
        return int(found["X"]), int(found["Y"]), int(found["WIDTH"]), int(found["HEIGHT"])

    def shot(self, window: int) -> Image:
        """Take a picture of a window, (h, w, 3) uint8 BGR."""
        x, y, width, height = self.place(window)
        box = (max(0, x), max(0, y), min(1280, x + width), min(1024, y + height))
        grabbed = PIL.ImageGrab.grab(bbox=box, xdisplay=self.display)
        return np.ascontiguousarray(np.asarray(grabbed.convert("RGB"))[..., ::-1])

    def _xdotool(self, *args: str) -> str:
        done = subprocess.run(
            ["xdotool", *args],
            env={**os.environ, **self.environment()},
            capture_output=True,
            check=False,
            text=True,
        )
        return done.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait()


def until(ask: Callable[[], str]) -> str:
    """Ask until there is an answer."""
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
    return answer


def see(screen: Screen, window: int, test: Callable[[Image], bool]) -> Image:
    """Look at a window until it is as it should be."""
    end = time.monotonic() + PATIENCE
    while True:
        shot = screen.shot(window)
        if test(shot):
            return shot
        assert time.monotonic() < end, "the window never looks as it should"
        time.sleep(0.05)
