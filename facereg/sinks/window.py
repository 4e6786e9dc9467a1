"""Show results in a window, and obey its keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from ..components import EndRun, FindView, Run, Sink
from ..errors import SinkError, UsageError
from ..hookspecs import hookimpl
from ..types import FrameResult, SourceInfo
from ..views import view as built_in
from .display import keys
from .display.keys import Key
from .display.meter import FpsMeter
from .display.pacer import Pacer
from .display.recording import Captures
from .display.screen import Screen, start_display
from .display.state import DisplayState, mirrored
from .display.status import StatusLine

#: Seconds between two looks at the keys while the window waits.
NAP_SECONDS = 0.01

#: Change of the colours' opacity by a key.
STRENGTH_STEP = 0.1


class WindowSink(Sink):
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
        if hold < 0:
            raise UsageError(f"sink {self.name}: hold={hold:g}: must not be negative")
        self._captures = Captures(folder)
        self._state = DisplayState.of(view, find_view)
        start_display()
        self._mirror, self._fullscreen, self._hold = mirror, fullscreen, hold
        self._screen: Screen | None = None
        self._shown: FrameResult | None = None
        self._newest: FrameResult | None = None  # while a live source is paused, not what is shown
        self._paused = self._help = False

    def open(self, info: SourceInfo, run: Run) -> None:
        """Open the window."""
        self._info, self._run = info, run
        self._status = StatusLine(FpsMeter(info.live))
        self._pacer = Pacer(info, self._hold)
        if self._mirror is None:
            self._mirror = info.mirror
        isolated = "isolated " if self._state.view.startswith("isolated:") else ""
        title = f"{isolated}{info.name} - facereg"
        self._screen = Screen(title, info.width, info.height, self.press)
        if self._fullscreen:
            self._screen.toggle_fullscreen()
        # A single picture stays until somebody has seen it.
        self._paused = info.stills and info.frame_count == 1 and self._screen.seen

    def write(self, result: FrameResult) -> None:
        """Show a result, at its time if the source is not live."""
        self._status.meter.count(result)
        while (left := self._pacer.seconds_until(result.frame)) > 0 and not self._stopping():
            self._nap(left)
        self._newest = result
        if self._captures.recording is not None:
            self._captures.recording.write(self._state.draw(result), result.frame)
        if not self._paused or not self._info.live:
            self._shown = result
            self._show()
            self._status.meter.shown(result)
        Screen.pump()
        while self._paused and not self._info.live and not self._stopping():
            self._nap()

    def tick(self) -> None:
        """Answer keys, and go on recording, while no frame comes."""
        Screen.pump()
        if self._captures.recording is not None:
            self._captures.recording.tick()
        if self._screen is not None:
            self._screen.say(self._line())

    def close(self) -> None:
        """Finish a recording and close the window."""
        try:
            self._stop_recording()
        finally:
            if self._screen is not None:
                self._screen.close()

    def press(self, pressed: str) -> None:
        """Do what a key means.

        Args:
            pressed: a character or a name in `facereg.sinks.display.keys.KEYS`; others do nothing.

        Raises:
            EndRun: it means to quit.
        """
        key = keys.find(pressed)
        if key is not None:
            getattr(self, f"do_{key.action}")(key)
            self._show()

    # --- one method for each action of the key table ---------------------------------------------

    def do_whole(self, _: Key) -> None:
        """Show the whole picture."""
        self._state = self._state.whole()

    def do_face(self, _: Key) -> None:
        """Show the face."""
        self._state = self._state.closeup()

    def do_region(self, key: Key) -> None:
        """Show a region alone."""
        self._state = self._state.select(key.region)

    def do_overlay(self, _: Key) -> None:
        """Switch the colours on or off."""
        self._state = self._state.recolored()

    def do_gallery(self, _: Key) -> None:
        """Show the gallery, or the whole picture again."""
        self._state = self._state.gallery()

    def do_blur(self, _: Key) -> None:
        """Blur the selected region, or show the whole picture again."""
        self._state = self._state.blurred()

    def do_stronger(self, _: Key) -> None:
        """Strengthen the colours."""
        self._state = self._state.adjusted(STRENGTH_STEP)

    def do_weaker(self, _: Key) -> None:
        """Weaken the colours."""
        self._state = self._state.adjusted(-STRENGTH_STEP)

    def do_mirror(self, _: Key) -> None:
        """Switch mirroring on or off."""
        self._mirror = not self._mirror

    def do_next(self, _: Key) -> None:
        """Show the next face alone; after the last one, all of them."""
        if self._shown is not None:
            self._state = self._state.next_face(self._shown)

    def do_pause(self, _: Key) -> None:
        """Pause, or go on."""
        self._paused = not self._paused
        self._pacer.restart()

    def do_snapshot(self, _: Key) -> None:
        """Save the picture, not mirrored."""
        if self._shown is None:
            return
        try:
            path = self._captures.save(self._state.draw(self._shown))
        except (SinkError, OSError) as e:
            self._status.report(f"no snapshot: {e}", logging.ERROR)
        else:
            self.outputs = self._captures.outputs
            self._status.report(f"saved {path}")

    def do_record(self, _: Key) -> None:
        """Start a recording, or stop it."""
        if self._captures.recording is not None:
            self._stop_recording()
        elif self._newest is not None:
            picture = self._state.draw(self._newest)
            try:
                path = self._captures.start(self._info, picture, self._newest.frame)
            except SinkError as e:
                self._status.report(f"no recording: {e}", logging.ERROR)
            else:
                self._status.report(f"recording {path}")

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

    # --- the rest --------------------------------------------------------------------------------

    def _show(self) -> None:
        if self._screen is None or self._shown is None:
            return
        result = mirrored(self._shown) if self._mirror else self._shown
        rows = keys.lines() if self._help else []
        recording = self._captures.recording is not None
        self._screen.show(self._state.draw(result), self._line(), rows, recording)

    def _stop_recording(self) -> None:
        path = self._captures.stop()
        if path is not None:
            self.outputs = self._captures.outputs
            self._status.report(f"saved {path}")

    def _nap(self, seconds: float = NAP_SECONDS) -> None:
        time.sleep(min(seconds, NAP_SECONDS))
        Screen.pump()

    def _stopping(self) -> bool:
        """Whether the run is to end, as after Ctrl-C."""
        return self._run.status().stopping

    def _line(self) -> str:
        return self._status.text(self._state.title, paused=self._paused)


@hookimpl
def register_sinks() -> Iterable[type[Sink]]:
    """Return the sinks of this module."""
    return [WindowSink]
