"""Record a view of the results as an MP4, with the source's sound.

While the run goes on, a fragmented MP4 grows under a hidden name beside the final one: a player
can open it at any moment, whatever becomes of this process. `Mp4Sink.close` adds the sound, moves
the index to the front, reads the result back, and renames it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from .. import output
from ..components import FindView, Run, Sink, View
from ..errors import MediaError, SinkError, UsageError
from ..hookspecs import hookimpl
from ..types import FrameResult, Image, SourceInfo
from ..video import encoders, finishing, recording, sound
from ..video.encoders import Codec, Preset
from ..video.finishing import Recorded
from ..video.recording import Quality, Shape
from ..video.run import FrameWriter
from ..video.sound import Audio
from ..video.timeline import Grid, recording_rate
from ..views import view as built_in

#: Seconds after which a live source that gives no frame is recorded as standing still: little by
#: little, so that no long gap has to be filled at once, and the end of a stall is recorded too.
STALL = 0.3
#: Seconds without a tick, which come every 50 ms, after which the machine slept or was stopped.
MAX_STALL = 30.0

log = logging.getLogger(__name__)


class Mp4Sink(Sink):
    """Writes an MP4 of constant rate that is true to the frames' times."""

    name = "mp4"

    def __init__(
        self,
        *,
        path: Path,
        view: str = "overlay",
        crf: int = 18,
        preset: Preset = "veryfast",
        codec: Codec = "auto",
        audio: Audio = "copy",
        overwrite: bool = False,
        find_view: FindView = built_in,
    ) -> None:
        """Name what is to be recorded.

        Args:
            path: the file, ending in .mp4.
            view: the picture, as ``--view`` takes it.
            crf: quality, 0 (lossless) to 51, on x264's scale.
            preset: the encoder's speed, in x264's words.
            codec: auto is H.264.
            audio: copy re-encodes only what MP4 cannot hold; aac always does; none leaves it out.
            overwrite: whether an existing file is replaced.

            find_view: finds the view by name; the registry gives its own.

        Raises:
            UsageError: an unknown view, or a crf out of range.
        """
        if not 0 <= crf <= 51:
            raise UsageError(f"sink mp4: crf={crf}: must be 0 (lossless) to 51 (smallest)")
        self.path, self.overwrite = path, overwrite
        self.report: dict[str, object] = {}
        self.stages: dict[str, float] = {}
        self._draw: View = find_view(view)
        self._quality, self._audio = Quality(codec, crf, preset), audio
        self._target: output.AtomicFile | None = None
        self._encoder: FrameWriter | None = None
        self._shape: Shape | None = None
        self._picture: Image | None = None  # as it was sent last
        self._failed = self._interrupted = False

    def open(self, info: SourceInfo, run: Run) -> None:
        """Check everything that can be checked before a frame has come."""
        self._run = run
        output.check_file(self.path, (".mp4",), self.overwrite)
        if info.sizes_vary is not None:
            name, width, height = info.sizes_vary
            raise SinkError(
                f"{self.path}: {name} is {width}x{height} and the first image is "
                f"{info.width}x{info.height}, but a video has one size; masks, stats and image "
                "folders take any"
            )
        self._info, self._media = info, None if info.media is None else Path(info.media)
        if self._media is not None and self.path.exists() and self.path.samefile(self._media):
            raise SinkError(f"{self.path} is the source itself; choose another name")
        encoders.check(self._quality.codec)
        self._grid = Grid(recording_rate(info), None if info.live else info.duration)
        self._tracks, self._sar = sound.find(self._media, self._audio)
        self._zero = math.inf  # monotonic seconds of a live source's time 0, at the latest
        self._target = output.AtomicFile(self.path, overwrite=self.overwrite, leftovers="keep")

    def write(self, result: FrameResult) -> None:
        """Draw one result and place it on the grid."""
        if self._failed:
            return
        frame = result.frame
        with self._stage("draw"):
            drawn = self._draw(result)
            picture = recording.even(drawn)
        if self._encoder is None:
            self._begin(drawn, picture, frame.time)
        assert self._shape is not None
        if (picture.shape[1], picture.shape[0]) != self._shape.size:
            raise self._failure(
                f"the picture of frame {frame.index} is {picture.shape[1]}x{picture.shape[0]}, and "
                f"those before are {self._shape.width}x{self._shape.height}, but a video has one "
                "size"
            )
        with self._stage("encode"):
            repeats, wanted = self._grid.place(frame.time)
            before = [] if self._picture is None else [self._picture] * repeats
            self._picture, self._last = picture, frame.time
            self._zero = min(self._zero, time.monotonic() - frame.time)
            self._send([*before, picture] if wanted else before)

    def tick(self) -> None:
        """Go on with the last picture while a live source gives no other."""
        if self._encoder is None or self._failed or not self._info.live:
            return
        now = time.monotonic() - self._zero
        if STALL < now - self._last < MAX_STALL:
            assert self._picture is not None
            repeats, wanted = self._grid.place(now)
            self._last = now
            self._send([self._picture] * (repeats + wanted))

    def close(self) -> None:
        """Finish the file, read it back and give it its name."""
        if self._target is None or self._failed:
            return
        self.tick()
        if self._encoder is None:
            self._target.discard()
            if not self._run.status().failed_before_first_frame:
                log.warning("%s was not written: no frame came", self.path)
            return
        with self._stage("encode"):
            self._finish(self._target, self._encoder)

    def _begin(self, drawn: Image, picture: Image, first: float) -> None:
        """Start the encoder; only the first picture tells the size."""
        assert self._target is not None
        height, width = picture.shape[:2]
        if drawn.shape != picture.shape:
            log.info(
                "%s: %dx%d is odd, and video has even sizes: its edge is repeated to %dx%d",
                *(self.path, drawn.shape[1], drawn.shape[0], width, height),
            )
        sar = self._sar
        if sar is not None and self._info.rotation % 180:
            sar = 1 / sar
        self._shape, self._first = Shape(width, height, self._grid.rate, sar), first
        try:
            recording.check_room(self.path, self._shape, self._info.duration)
            self._encoder = recording.start(self._target.part, self._shape, self._quality)
        except MediaError as e:
            self._failed = True
            self._target.discard()
            raise SinkError(f"{self.path}: {e}") from e
        except SinkError:
            self._failed = True
            self._target.discard()
            raise

    def _send(self, pictures: Iterable[Image]) -> None:
        assert self._encoder is not None
        try:
            for picture in pictures:
                self._encoder.write(picture.data.cast("B"))
        except MediaError as e:
            raise self._failure(f"the encoder failed: {e}") from e
        except BaseException:
            self._interrupted = True  # by Ctrl-C: a picture may have been sent and not counted
            raise

    def _finish(self, target: output.AtomicFile, encoder: FrameWriter) -> None:
        recorded = Recorded(
            grid=self._grid,
            first=self._first,
            last=self._last,
            media=None if self._info.live else self._media,
            tracks=self._tracks,
            audio=self._audio,
            one_more=self._interrupted,
        )
        try:
            end = finishing.end_of_last(recorded)
            if end is not None and self._picture is not None:
                self._send([self._picture] * self._grid.extend(end))
            encoder.finish()
            complete = target.another()
            report = finishing.finish(target.part, recorded, complete)
        except (MediaError, SinkError) as e:
            if self._failed:
                raise  # from _send, which has reported it
            raise self._failure(str(e)) from e
        path = target.finish(complete, failed=self._run.status().failed)
        self.outputs = (str(path),)
        self.report = {"path": str(path), **report}

    def _failure(self, why: str) -> SinkError:
        """End the encoder, keep what plays of its work, and make the error that tells of both."""
        assert self._target is not None
        self._failed = True
        if self._encoder is not None:
            with contextlib.suppress(MediaError):
                self._encoder.finish()
        salvaged = recording.salvage(self._target.keep())
        return SinkError(f"{self.path}: {why}{salvaged}")

    @contextlib.contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = 1000 * (time.perf_counter() - start)
            self.stages[name] = self.stages.get(name, 0.0) + spent


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (Mp4Sink,)
