"""Show results in a window, and obey its keys."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..components import EndRun, FindView, Run, Sink
from ..hookspecs import hookimpl
from ..types import SourceInfo
from ..views import view as built_in
from .display import keys
from .display.interactive import InteractiveSink
from .display.keys import Key
from .display.recording import by_local_time
from .display.screen import Screen, start_display
from .display.state import mirrored


class WindowSink(InteractiveSink):
    """A window with the keys of `facereg.sinks.display.keys`."""

    name = "window"

    def __init__(
        self,
        *,
        view: str = "overlay",
        mirror: bool | None = None,
        folder: Path = Path(),
        fullscreen: bool = False,
        hold: float = 1.0,
        find_view: FindView = built_in,
    ) -> None:
        """Find the display; the window opens with the source.

        Args:
            view: what it shows first, as ``--view`` takes it.
            mirror: whether everything is shown mirrored; by default, if the source is a camera.
            folder: for the snapshots and recordings that keys make.
            fullscreen: whether it fills the screen.
            hold: seconds for which each of several separate pictures is shown.
            find_view: finds a view by name; the registry gives its own.

        Raises:
            SinkError: there is no display, or no such folder.
            UsageError: an unknown view, or a negative ``hold``.
        """
        super().__init__(view, mirror, hold, by_local_time(folder), find_view)
        start_display()
        self._fullscreen = fullscreen
        self._screen: Screen | None = None
        self._help = False

    def open(self, info: SourceInfo, run: Run) -> None:
        """Open the window."""
        super().open(info, run)
        isolated = "isolated " if self._state.view.startswith("isolated:") else ""
        title = f"{isolated}{info.name} - facereg"
        self._screen = Screen(title, info.width, info.height, self.press)
        if self._fullscreen:
            self._screen.toggle_fullscreen()
        # A single picture stays until somebody has seen it.
        self._paused = info.stills and info.frame_count == 1 and self._screen.seen

    def tick(self) -> None:
        """Answer keys, and go on recording, while no frame comes."""
        super().tick()
        if self._screen is not None:
            self._screen.say(self._line())

    def close(self) -> None:
        """Finish a recording and close the window."""
        try:
            self._stop_recording()
        finally:
            if self._screen is not None:
                self._screen.close()

    def do_help(self, _: Key) -> None:
        """Show the table of keys, or hide it."""
        self._help = not self._help

    def do_fullscreen(self, _: Key) -> None:
        """Fill the screen, or go back."""
        if self._screen is not None:
            self._screen.toggle_fullscreen()

    def do_quit(self, _: Key) -> None:
        """End the run."""
        raise EndRun

    def _show(self) -> None:
        if self._screen is None or self._shown is None:
            return
        result = mirrored(self._shown) if self._mirror else self._shown
        rows = keys.lines() if self._help else []
        recording = self._captures.recording is not None
        self._screen.show(self._draw(result), self._line(), rows, recording)

    def _look(self) -> None:
        Screen.pump()


@hookimpl
def register_sinks() -> Iterable[type[Sink]]:
    """Return the sinks of this module."""
    return [WindowSink]
