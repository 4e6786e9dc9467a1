"""The stage that holds faces for views that hide, in a thread of its own."""

from __future__ import annotations

import threading

from ..privacy.guard import Guard
from ..privacy.hold import Hold, HoldSettings
from ..types import FrameResult, SourceInfo
from .channel import Channel, End
from .parser_thread import POLL_SECONDS
from .settings import Settings

#: Results of a recording that wait, so that what comes is known.
HOLD_DELAY = 8
#: Frames from one search of a whole frame to the next, if the frames between them can be searched
#: later for what the next one shows.
LOOK_EVERY = 2


def make_hold(
    guard: Guard | None, info: SourceInfo, settings: Settings, seconds: float | None
) -> Hold:
    """Build the stage that holds faces.

    Args:
        guard: searches for faces that are only to be hidden, or None.
        info: the source.
        settings: the run's. Results of a live source are delayed by ``look_back`` frames.
        seconds: for how long a face is hidden after it was last seen; None is the default.
    """
    delay = settings.look_back
    if delay is None:
        delay = 0 if info.live else HOLD_DELAY
    every = LOOK_EVERY if delay >= LOOK_EVERY and settings.detect_every > 1 else 1
    held = HoldSettings.seconds if seconds is None else seconds
    return Hold(HoldSettings(held, 0 if info.stills else delay, every, info.stills), guard)


class HoldThread:
    """Passes the results of a channel through a `Hold`, and closes it.

    Args:
        parsed: where the results come from.
        hold: what completes them.
        capacity: completed results that may wait.

    Attributes:
        results: where they come out, and the error that ended them.
    """

    def __init__(self, parsed: Channel[FrameResult], hold: Hold, capacity: int) -> None:
        self.results: Channel[FrameResult] = Channel(capacity, drop_oldest=False)
        self._parsed, self._hold = parsed, hold
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facereg-hold", daemon=True)

    def start(self) -> None:
        """Begin to pass results on."""
        self._thread.start()

    def close(self) -> None:
        """Wait until the thread has ended; results that wait for later frames are dropped.

        Raises:
            Exception: whatever the guard's detectors raise when they are closed.
        """
        self._stop.set()
        self.results.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._hold.close()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while not self._stop.is_set():
                result = self._parsed.get(POLL_SECONDS)
                if result is not None and not self._pass_on(self._hold.add(result)):
                    break
        except End:
            self._pass_on(self._hold.flush())
        except BaseException as e:
            error = e
            self._pass_on(self._hold.flush())  # what came before the error was parsed
        self.results.end(error)

    def _pass_on(self, results: list[FrameResult]) -> bool:
        return all(self.results.put(result) for result in results)
