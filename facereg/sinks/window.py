"""Show results in a window, and obey its keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from .. import output
from ..components import EndRun, FindView, Run, Sink
from ..errors import SinkError, UsageError
from ..hookspecs import hookimpl
from ..types import FrameResult, SourceInfo
from ..views import view as built_in
from .display import keys
from .display.keys import Key
from .display.meter import Meter
from .display.recording import Recording, new_path
from .display.scene import Scene, mirrored
from .display.screen import Screen, start_display

log = logging.getLogger(__name__)

#: Seconds between looks at the keys while nothing else is to be done.
NAP = 0.01

#: Seconds by which a picture of a file may come late and still be caught up with.
LATE = 0.25

#: Seconds that the status line tells what a key did.
NOTE = 3.0

#: Change of the colours' strength by a key.
STEP = 0.1


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
            mirror: whether it shows everything mirrored; none: as a camera wishes.
            folder: for the snapshots and recordings that are made by keys.
            fullscreen: whether it fills the screen.
            hold: seconds for which each of several separate pictures is shown.
            find_view: finds a view by name; the registry gives its own.

        Raises:
            SinkError: there is no display, or no such folder.
            UsageError: an unknown view, or a negative ``hold``.
        """
        if hold < 0:
            raise UsageError(f"sink {self.name}: hold={hold:g}: must not be negative")
        if not folder.is_dir():
            raise SinkError(f"{folder}: no such folder for snapshots and recordings")
        self._scene = Scene.of(view, find_view)
        start_display()
        self._mirror, self._folder, self._fullscreen = mirror, folder, fullscreen
        self._hold = hold
        self._screen: Screen | None = None
        self._recording: Recording | None = None
        self._result: FrameResult | None = None  # what is shown
        self._newest: FrameResult | None = None  # what came last: another one while paused
        self._paused = self._help = False
        self._note, self._note_until = "", 0.0
        self._clock: float | None = None  # monotonic time of the source's time 0

    def open(self, info: SourceInfo, run: Run) -> None:
        """Open the window."""
        self._info, self._run, self._meter = info, run, Meter(info.live)
        if self._mirror is None:
            self._mirror = info.mirror
        title = f"{'' if self.name == 'window' else self.name + ' '}{info.name} - facereg"
        self._screen = Screen(title, info.width, info.height, self.press)
        if self._fullscreen:
            self._screen.toggle_fullscreen()
        # One picture stays until somebody has seen it.
        self._paused = info.stills and info.frame_count == 1 and self._screen.seen

    def write(self, result: FrameResult) -> None:
        """Show a result; wait for its time, unless the source is live."""
        self._meter.count(result)
        if not self._info.live:
            self._wait_for(result)
        self._newest = result
        if self._recording is not None:
            self._recording.write(self._scene.draw(result), result.frame)
        if not self._paused or not self._info.live:
            self._result = result
            self._show()
            self._meter.shown(result)
        Screen.pump()
        while self._paused and not self._info.live and not self._stopping():
            self._nap()

    def tick(self) -> None:
        """Answer keys, and go on recording, while no frame comes."""
        Screen.pump()
        if self._recording is not None:
            self._recording.tick()
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
        self._scene = self._scene.whole()

    def do_face(self, _: Key) -> None:
        """Show the face."""
        self._scene = self._scene.closeup()

    def do_region(self, key: Key) -> None:
        """Show a region alone."""
        self._scene = self._scene.select(key.region)

    def do_overlay(self, _: Key) -> None:
        """Put the colours on or off."""
        self._scene = self._scene.recolored()

    def do_gallery(self, _: Key) -> None:
        """Show the gallery, or not."""
        self._scene = self._scene.gallery()

    def do_blur(self, _: Key) -> None:
        """Blur the selected region, or not."""
        self._scene = self._scene.blurred()

    def do_stronger(self, _: Key) -> None:
        """Strengthen the colours."""
        self._scene = self._scene.adjusted(STEP)

    def do_weaker(self, _: Key) -> None:
        """Weaken the colours."""
        self._scene = self._scene.adjusted(-STEP)

    def do_mirror(self, _: Key) -> None:
        """Mirror the window, or not."""
        self._mirror = not self._mirror

    def do_next(self, _: Key) -> None:
        """Show the next face alone, or everybody."""
        if self._result is not None:
            self._scene = self._scene.next_face(self._result)

    def do_pause(self, _: Key) -> None:
        """Pause, or go on."""
        self._paused = not self._paused
        self._clock = None

    def do_snapshot(self, _: Key) -> None:
        """Save the picture, not mirrored."""
        import cv2

        if self._result is None:
            return
        path = new_path(self._folder, ".png")
        data = cv2.imencode(".png", self._scene.draw(self._result))[1]
        try:
            with output.AtomicFile(path) as file:
                file.part.write_bytes(data.tobytes())
        except (SinkError, OSError) as e:
            self._tell(f"no snapshot: {e}", logging.ERROR)
            return
        self.outputs += (str(path),)
        self._tell(f"saved {path}")

    def do_record(self, _: Key) -> None:
        """Start a recording, or stop it."""
        if self._recording is not None:
            self._stop_recording()
        elif self._newest is not None:
            path = new_path(self._folder, ".mp4")
            picture = self._scene.draw(self._newest)
            try:
                self._recording = Recording(path, self._info, picture)
            except SinkError as e:
                self._tell(f"no recording: {e}", logging.ERROR)
                return
            self._recording.write(picture, self._newest.frame)
            self._tell(f"recording {path}")

    def do_help(self, _: Key) -> None:
        """Show the key table, or not."""
        self._help = not self._help

    def do_fullscreen(self, _: Key) -> None:
        """Fill the screen, or not."""
        if self._screen is not None:
            self._screen.toggle_fullscreen()

    def do_quit(self, _: Key) -> None:
        """End the run."""
        raise EndRun

    # --- the rest --------------------------------------------------------------------------------

    def _show(self) -> None:
        if self._screen is None or self._result is None:
            return
        result = mirrored(self._result) if self._mirror else self._result
        rows = keys.lines() if self._help else []
        self._screen.show(self._scene.draw(result), self._line(), rows, bool(self._recording))

    def _stop_recording(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.finish()
            self.outputs += (str(recording.path),)
            self._tell(f"saved {recording.path}")

    def _wait_for(self, result: FrameResult) -> None:
        """Wait until a frame of a file is due, and answer keys meanwhile."""
        when = self._hold * result.frame.index if self._info.stills else result.frame.time
        while not self._stopping():
            now = time.monotonic()
            # Who comes much too late, or out of a pause, is not to hurry afterwards.
            if self._clock is None or now - when - self._clock > LATE:
                self._clock = now - when
            if (left := self._clock + when - now) <= 0:
                break
            self._nap(left)

    def _nap(self, seconds: float = NAP) -> None:
        time.sleep(min(seconds, NAP))
        Screen.pump()

    def _stopping(self) -> bool:
        """Ask whether the run is to end, as after Ctrl-C."""
        return self._run.status().stopping

    def _line(self) -> str:
        """Write the status line."""
        if time.monotonic() < self._note_until:
            return self._note
        line = f"{self._meter.line()}   {self._scene.title}"
        return f"{line}   paused" if self._paused else line

    def _tell(self, text: str, level: int = logging.INFO) -> None:
        """Say what a key did, in the status line and in the log."""
        log.log(level, "%s", text)
        self._note, self._note_until = text, time.monotonic() + NOTE


@hookimpl
def register_sinks() -> Iterable[type[Sink]]:
    """Return the sinks of this module."""
    return [WindowSink]
