"""One window: it shows pictures with a line of text below, and reports the keys pressed.

pygame-ce does the drawing, on its SDL 2: OpenCV's own windows are missing from its headless build,
which other packages install over the full one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...errors import SinkError, clean_text
from ...types import Image

if TYPE_CHECKING:
    import pygame

#: Height of the line below the picture, and of its letters, in pixels.
LINE_HEIGHT, LETTER_HEIGHT = 24, 20

#: Width in pixels that the line needs; smaller pictures are enlarged.
MIN_WIDTH = 560

#: Share of the desktop that a new window may take.
MAX_DESKTOP_SHARE = 0.9

#: SDL's drivers on Linux, and the environment variable by which each finds its display.
DISPLAYS = {"x11": "DISPLAY", "wayland": "WAYLAND_DISPLAY"}

WHITE, GRAY, RED = (235, 235, 235), (24, 24, 24), (235, 40, 40)


def start_display() -> None:
    """Connect to the display, so that a missing one is noticed before anything else starts.

    Raises:
        SinkError: there is none.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # it would go to stdout
    os.environ.setdefault("SDL_VIDEO_X11_WMCLASS", "facereg")
    import pygame

    wanted = os.environ.get("SDL_VIDEODRIVER")
    if wanted is None and sys.platform == "linux":
        # Left to itself, SDL falls back on drawing into memory that nobody can see.
        found = [d for d, name in DISPLAYS.items() if os.environ.get(name)]
        if not found:
            raise SinkError(_without_display(f"{' and '.join(DISPLAYS.values())} are not set"))
        os.environ["SDL_VIDEODRIVER"] = ",".join(found)
    try:
        pygame.display.init()
    except pygame.error as e:
        raise SinkError(_without_display(str(e))) from e
    finally:
        if wanted is None:
            os.environ.pop("SDL_VIDEODRIVER", None)


def _without_display(why: str) -> str:
    return (
        f"no display to open a window on ({why}); without one, write a video with -o OUT.mp4 or "
        "masks with -m MASKDIR instead"
    )


class Screen:
    """A window that can be resized.

    Args:
        title: of the window.
        width, height: of the pictures in pixels.
        pressed: called with each key, a character or a name such as ``F11``; with ``Esc`` when
            the window is closed.
    """

    # SDL has one queue of events for all windows of a process: one reader serves them all.
    _screens: ClassVar[list[Screen]] = []

    def __init__(self, title: str, width: int, height: int, pressed: Callable[[str], None]) -> None:
        import pygame

        start_display()
        pygame.font.init()
        self._font = pygame.font.Font(None, LETTER_HEIGHT)
        try:
            size = _window_size(width, height)
            self._window: Any = pygame.Window(clean_text(title), size, resizable=True)
            self._window.get_surface()
        except pygame.error as e:
            raise SinkError(f"cannot open a window: {e}") from e
        self._pressed = pressed
        self._full = False
        self._picture: Image = np.zeros((height, width, 3), np.uint8)
        self._status, self._dot = "", False
        self._notes: Sequence[tuple[str, str]] = ()
        self._screens.append(self)

    @property
    def seen(self) -> bool:
        """Whether anybody can see it: not on SDL's drivers for tests."""
        import pygame

        return pygame.display.get_driver() not in ("dummy", "offscreen")

    def show(
        self,
        picture: Image,
        status: str,
        notes: Sequence[tuple[str, str]] = (),
        dot: bool = False,
    ) -> None:
        """Show a picture.

        Args:
            picture: (h, w, 3) uint8 BGR, scaled to the window with its aspect kept.
            status: the line below.
            notes: two columns of text over the picture.
            dot: whether a red dot is in its corner.
        """
        self._picture, self._status = picture, status
        self._notes, self._dot = notes, dot
        self._draw()

    def say(self, status: str) -> None:
        """Change the line below."""
        if status != self._status:
            self._status = status
            self._draw()

    def toggle_fullscreen(self) -> None:
        """Fill the screen, or go back."""
        self._full = not self._full
        if self._full:
            self._window.set_fullscreen(desktop=True)
        else:
            self._window.set_windowed()
        self._draw()

    @classmethod
    def pump(cls) -> None:
        """Handle the events of all windows since the last call."""
        import pygame

        if not pygame.display.get_init():
            return
        for event in pygame.event.get():
            for screen in list(cls._screens):
                screen.handle(event)

    def handle(self, event: pygame.Event) -> None:
        """Handle an event, if it is for this window."""
        import pygame

        if event.type == pygame.QUIT:
            self._pressed("Esc")
        elif getattr(event, "window", None) is not self._window:
            return
        elif event.type == pygame.WINDOWCLOSE:
            self._pressed("Esc")
        elif event.type == pygame.KEYDOWN:
            named = {pygame.K_ESCAPE: "Esc", pygame.K_F11: "F11"}
            self._pressed(named.get(event.key) or event.unicode)
        elif event.type in (pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED):
            self._draw()

    def close(self) -> None:
        """Close the window; the last one closes the connection to the display."""
        import pygame

        if self in self._screens:
            self._screens.remove(self)
            self._window.destroy()
        if not self._screens:
            pygame.font.quit()
            pygame.display.quit()

    def _draw(self) -> None:
        surface = self._window.get_surface()
        surface.fill((0, 0, 0))
        width, height = surface.get_size()
        x, y, w, h = _place(self._picture, width, max(1, height - LINE_HEIGHT))
        surface.blit(_surface(self._picture, w, h), (x, y))
        if self._dot:
            radius = max(5, min(w, h) // 40)
            _circle(surface, (x + w - 2 * radius, y + 2 * radius), radius)
        surface.fill(GRAY, (0, height - LINE_HEIGHT, width, LINE_HEIGHT))
        self._write(surface, self._status, 8, height - LINE_HEIGHT + 5)
        if self._notes:
            self._explain(surface, width, height - LINE_HEIGHT)
        self._window.flip()

    def _write(self, surface: pygame.Surface, text: str, x: int, y: int) -> None:
        if text:
            surface.blit(self._font.render(clean_text(text), True, WHITE), (x, y))

    def _explain(self, surface: pygame.Surface, width: int, height: int) -> None:
        """Draw the notes over the picture, in the largest letters that fit."""
        import pygame

        rows = self._notes
        size = LETTER_HEIGHT
        while True:
            font = pygame.font.Font(None, size)
            left = max(font.size(row[0])[0] for row in rows) + size
            wide = left + max(font.size(row[1])[0] for row in rows) + 2 * size
            tall = (len(rows) + 1) * font.get_linesize()
            if size <= 10 or (wide <= width and tall <= height):
                break
            size -= 1
        panel = pygame.Surface((wide, tall), pygame.SRCALPHA)
        panel.fill((0, 0, 0, 200))
        for i, row in enumerate(rows):
            y = round((i + 0.5) * font.get_linesize())
            panel.blit(font.render(row[0], True, WHITE), (size // 2, y))
            panel.blit(font.render(row[1], True, WHITE), (size // 2 + left, y))
        surface.blit(panel, (max(0, (width - wide) // 2), max(0, (height - tall) // 2)))


def _window_size(width: int, height: int) -> tuple[int, int]:
    """Choose the size of a new window for pictures of that size."""
    import pygame

    desktop = pygame.display.get_desktop_sizes()[0]
    scale = max(1.0, MIN_WIDTH / width)
    scale = min(
        scale,
        MAX_DESKTOP_SHARE * desktop[0] / width,
        (MAX_DESKTOP_SHARE * desktop[1] - LINE_HEIGHT) / height,
    )
    return max(1, round(scale * width)), max(1, round(scale * height)) + LINE_HEIGHT


def _place(picture: Image, width: int, height: int) -> tuple[int, int, int, int]:
    """Fit a picture into the middle of an area: x, y, width, height."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    w, h = (max(1, round(scale * side)) for side in (picture.shape[1], picture.shape[0]))
    return (width - w) // 2, (height - h) // 2, w, h


def _surface(picture: Image, width: int, height: int) -> pygame.Surface:
    import cv2
    import pygame

    if (width, height) != (picture.shape[1], picture.shape[0]):
        how = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)
    pixels = np.ascontiguousarray(picture)
    return pygame.image.frombuffer(pixels.data.cast("B"), (width, height), "BGR")


def _circle(surface: pygame.Surface, center: tuple[int, int], radius: int) -> None:
    import pygame

    pygame.draw.circle(surface, WHITE, center, radius + 2)
    pygame.draw.circle(surface, RED, center, radius)
