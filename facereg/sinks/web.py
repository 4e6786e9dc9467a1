"""Show results to people in browsers: draws what somebody looks at, and obeys their buttons."""

from __future__ import annotations

import contextlib
import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..components import FindView, Run, View
from ..errors import SinkError
from ..measures.face import cells
from ..types import FrameResult, Image, SourceInfo, utc_text
from ..views import view as built_in
from .display import keys
from .display.interactive import InteractiveSink
from .display.keys import WINDOW_ONLY, Key
from .display.recording import unused
from .display.state import mirrored

log = logging.getLogger(__name__)

#: Views after which the whole picture may be shown, too. Any other one hides something: whatever
#: is drawn later is drawn over what it leaves.
OPEN_VIEWS = {"overlay", "gallery", "face", "raw", "isolated", "recolor", "matte"}

#: Seconds between two reports of the state.
BEAT_SECONDS = 0.5

#: Upper bounds of the histogram of latencies, in seconds.
LATENCY_BOUNDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)

#: Orders that a page may give.
ORDERS = {key.key for key in keys.KEYS if key.action not in WINDOW_ONLY | {"help", "fullscreen"}}


class Outlet(Protocol):
    """Where a `WebSink` sends what it shows, and where its orders come from."""

    @property
    def wanted(self) -> frozenset[str]:
        """What somebody looks at: ``h264`` or ``jpeg`` for pictures, and ``figures``."""

    def orders(self) -> Iterable[Mapping[str, Any]]:
        """Return what was ordered since the last call.

        ``{"do": KEY}`` presses a key; ``{"ask": "snapshot" or "masks", …}`` asks for a picture.
        """

    def show(self, picture: Image, facts: Mapping[str, Any]) -> None:
        """Send a picture, (h, w, 3) uint8 BGR, to those who look."""

    def answer(self, order: Mapping[str, Any], picture: Any) -> None:
        """Send a picture that was asked for; None if there is none yet."""

    def report(self, event: str, values: Mapping[str, Any]) -> None:
        """Send plain JSON values."""


class WebSink(InteractiveSink):
    """Shows a run's results on a page.

    Args:
        outlet: takes what is shown.
        name_file: names a new recording, given its ending.
        view: what is shown first, as ``--view`` takes it. If it hides something, nothing that is
            shown, saved or recorded has more in it, whatever the buttons do.
        hold: seconds for which each of several separate pictures is shown.
        find_view: finds a view by name.

    Raises:
        UsageError: an unknown view.
    """

    name = "web"

    def __init__(
        self,
        outlet: Outlet,
        name_file: Callable[[str], Path],
        *,
        view: str = "overlay",
        hold: float = 1.0,
        find_view: FindView = built_in,
    ) -> None:
        self._hides = hides(view)
        first = "raw" if self._hides else view
        super().__init__(first, None, hold, name_file, find_view)
        self._hide: View | None = find_view(view) if self._hides else None
        self._view, self._outlet = view, outlet
        self._hidden: tuple[FrameResult, FrameResult] | None = None  # the last one, and hidden
        self._beat = 0.0
        self._problem = ""
        self._latencies = [0] * (len(LATENCY_BOUNDS) + 1)
        self._latency_sum = 0.0
        self._recorded_bytes = 0

    def open(self, info: SourceInfo, run: Run) -> None:
        """Say what the source is."""
        super().open(info, run)
        size = {"width": info.width, "height": info.height}
        rate = None if info.fps is None else float(info.fps)
        self._outlet.report("opened", {**size, "fps": rate, "live": info.live})

    def write(self, result: FrameResult) -> None:
        self._count_latency(result)
        if "figures" in self._outlet.wanted:
            line = result.to_dict()
            for described, face in zip(line["faces"], result.faces, strict=True):
                described["measures"] = cells(face.measures)
            self._outlet.report("figures", {"line": line})
        super().write(result)

    def tick(self) -> None:
        with self._recording_may_fail():
            super().tick()

    def close(self) -> None:
        """Finish a recording."""
        self._stop_recording()
        self._report_state()

    def do_snapshot(self, _: Key) -> None:
        """Do nothing: a page asks for the picture itself."""

    # --- what InteractiveSink asks for -----------------------------------------------------------

    def _show(self) -> None:
        if self._shown is None or not {"h264", "jpeg"} & self._outlet.wanted:
            return
        frame = self._shown.frame
        facts = {
            "index": frame.index,
            "time": round(frame.time, 6),
            "clock": None if frame.clock is None else utc_text(frame.clock),
            "faces": sorted(face.id for face in self._shown.faces),
        }
        self._outlet.show(self._picture(self._shown), facts)

    def _look(self) -> None:
        for order in self._outlet.orders():
            if "do" in order:
                self.press(order["do"])
                self._beat = 0.0
            elif order.get("ask") == "masks":
                shown = self._shown
                self._outlet.answer(order, None if shown is None else shown.labels())
            else:
                shown = self._shown
                self._outlet.answer(order, None if shown is None else self._draw(shown))
        if time.monotonic() - self._beat >= BEAT_SECONDS:
            self._report_state()

    def _draw(self, result: FrameResult) -> Image:
        if self._hide is None:
            return super()._draw(result)
        hidden = self._hidden_result(result)
        if hidden.frame.image.shape != result.frame.image.shape:
            return np.array(hidden.frame.image)  # a view of another shape: nothing fits on it
        return super()._draw(hidden)

    def _record(self, result: FrameResult) -> None:
        with self._recording_may_fail():
            super()._record(result)

    def _stop_recording(self) -> None:
        recording = self._captures.recording
        with self._recording_may_fail():
            super()._stop_recording()
        if recording is not None and recording.path.exists():
            self._recorded_bytes += recording.path.stat().st_size

    # --- the rest --------------------------------------------------------------------------------

    def _picture(self, result: FrameResult) -> Image:
        """Draw what is shown."""
        return self._draw(mirrored(result) if self._mirror else result)

    def _hidden_result(self, result: FrameResult) -> FrameResult:
        """Replace the frame by what the view leaves of it; the last one is kept."""
        assert self._hide is not None
        if self._hidden is None or self._hidden[0] is not result:
            frame = replace(result.frame, image=self._hide(result))
            self._hidden = result, replace(result, frame=frame)
        return self._hidden[1]

    @contextlib.contextmanager
    def _recording_may_fail(self) -> Any:
        """Go on without the recording if it fails: people still look."""
        try:
            yield
        except SinkError as e:
            log.error("no more recording: %s", e)
            self._problem = str(e)
            recording, self._captures.recording = self._captures.recording, None
            if recording is not None:
                with contextlib.suppress(SinkError):
                    recording.finish()

    def _count_latency(self, result: FrameResult) -> None:
        if result.frame.clock is not None:
            seconds = (datetime.now(timezone.utc) - result.frame.clock).total_seconds()
            self._latencies[bisect_left(LATENCY_BOUNDS, seconds)] += 1
            self._latency_sum += seconds

    def _report_state(self) -> None:
        self._beat = time.monotonic()
        meter, status = self._status.meter, self._run.status()
        if self._captures.recording is not None:
            self._problem = ""
        self._outlet.report(
            "state",
            {
                "frames": status.frames,
                "found": status.faces,
                "dropped": status.dropped,
                "skipped": status.skipped,
                "carried": status.carried,
                "stages": dict(status.stages),
                "problems": [p for p in (self._problem, *status.dropped_sinks.values()) if p],
                "latencies": list(self._latencies),
                "latency_sum": round(self._latency_sum, 3),
                "recorded_bytes": self._recorded_bytes,
                "fps": round(meter.fps, 1),
                "latency": None if meter.latency is None else round(meter.latency),
                "message": self._status.message,
                "title": self._state.title,
                "view": self._state.view,
                "colors": self._state.colors,
                "region": self._state.region,
                "strength": self._state.strength,
                "hides": self._view if self._hides else None,
                "paused": self._paused,
                "mirror": bool(self._mirror),
                "recording": self._captures.recording is not None,
            },
        )


def hides(view: str) -> bool:
    """Whether a view hides something that nobody is to see.

    >>> hides("blur:face"), hides("isolated:lips")
    (True, False)
    """
    return view.partition(":")[0].partition(",")[0] not in OPEN_VIEWS


def by_utc(folder: Path, camera: str, view: str) -> Callable[[str], Path]:
    """Name new recordings of a camera by the time in UTC; the folder is made when it is needed.

    Args:
        folder: for all cameras.
        camera: the camera's name.
        view: that the run shows; files whose view hides something are marked as such.
    """

    def name_file(ending: str) -> Path:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as e:
            raise SinkError(f"{folder}: {e.strerror or e}") from e
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return unused(folder, f"{camera}-{moment}{'-hidden' if hides(view) else ''}", ending)

    return name_file
