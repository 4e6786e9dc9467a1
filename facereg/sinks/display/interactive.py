"""What every sink does that shows results and obeys actions: a window, and a page in a browser."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from ...components import FindView, Run, Sink
from ...errors import SinkError, UsageError
from ...types import FrameResult, Image, SourceInfo
from . import keys
from .keys import Key
from .meter import FpsMeter
from .pacer import Pacer
from .recording import Captures
from .state import DisplayState
from .status import StatusLine

#: Seconds between two looks at what the user does while the next frame has to wait.
NAP_SECONDS = 0.01

#: Change of the colours' opacity by a key.
STRENGTH_STEP = 0.1


class InteractiveSink(Sink):
    """Shows results at their times, and does what the table of `keys` says.

    Args:
        view: what is shown first, as ``--view`` takes it.
        mirror: whether everything is shown mirrored; None: if the source is a camera.
        hold: seconds for which each of several separate pictures is shown.
        name_file: names a new snapshot or recording, given its ending.
        find_view: finds a view by name.

    Raises:
        UsageError: an unknown view, or a negative ``hold``.
    """

    def __init__(
        self,
        view: str,
        mirror: bool | None,
        hold: float,
        name_file: Callable[[str], Path],
        find_view: FindView,
    ) -> None:
        if hold < 0:
            raise UsageError(f"sink {self.name}: hold={hold:g}: must not be negative")
        self._captures = Captures(name_file)
        self._state = DisplayState.of(view, find_view)
        self._mirror, self._hold = mirror, hold
        self._shown: FrameResult | None = None
        self._newest: FrameResult | None = None  # while a live source is paused, not what is shown
        self._paused = False

    def open(self, info: SourceInfo, run: Run) -> None:
        self._info, self._run = info, run
        self._status = StatusLine(FpsMeter(info.live))
        self._pacer = Pacer(info, self._hold)
        if self._mirror is None:
            self._mirror = info.mirror

    def write(self, result: FrameResult) -> None:
        """Show a result, at its time if the source is not live."""
        self._status.meter.count(result)
        while (left := self._pacer.seconds_until(result.frame)) > 0 and not self._stopping():
            self._nap(left)
        self._newest = result
        if self._captures.recording is not None:
            self._record(result)
        if not self._paused or not self._info.live:
            self._shown = result
            self._show()
            self._status.meter.shown(result)
        self._look()
        while self._paused and not self._info.live and not self._stopping():
            self._nap()

    def tick(self) -> None:
        """Obey, and go on recording, while no frame comes."""
        self._look()
        if self._captures.recording is not None:
            self._captures.recording.tick()

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
            path = self._captures.save(self._draw(self._shown))
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
            picture = self._draw(self._newest)
            try:
                path = self._captures.start(self._info, picture, self._newest.frame)
            except SinkError as e:
                self._status.report(f"no recording: {e}", logging.ERROR)
            else:
                self._status.report(f"recording {path}")

    # --- what a kind of display has to do --------------------------------------------------------

    @abstractmethod
    def _show(self) -> None:
        """Show ``self._shown``, if there is one, in the present state."""

    @abstractmethod
    def _look(self) -> None:
        """See what the user has done since the last look."""

    # --- the rest --------------------------------------------------------------------------------

    def _record(self, result: FrameResult) -> None:
        """Add a result to the recording."""
        assert self._captures.recording is not None
        self._captures.recording.write(self._draw(result), result.frame)

    def _draw(self, result: FrameResult) -> Image:
        """Draw a result in the present state, not mirrored."""
        return self._state.draw(result)

    def _stop_recording(self) -> None:
        path = self._captures.stop()
        if path is not None:
            self.outputs = self._captures.outputs
            self._status.report(f"saved {path}")

    def _nap(self, seconds: float = NAP_SECONDS) -> None:
        time.sleep(min(seconds, NAP_SECONDS))
        self._look()

    def _stopping(self) -> bool:
        """Whether the run is to end, as after Ctrl-C."""
        return self._run.status().stopping

    def _line(self) -> str:
        return self._status.text(self._state.title, paused=self._paused)
