"""Record a view of the results as a video, with the source's sound.

During the run a fragmented file grows under a hidden name beside the final one: a player can open
it at any moment, whatever becomes of this process. `Mp4Sink.close` adds the sound, moves the index
to the front, reads the result back, and renames it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path

from .. import output
from ..components import FindView, Run, Sink, draw_with_alpha
from ..errors import FaceregError, MediaError, SinkError, UsageError
from ..hookspecs import hookimpl
from ..output import AtomicFile
from ..privacy.record import Record
from ..types import Frame, FrameResult, Image, SourceInfo
from ..video import encoders, finishing, recording, sound
from ..video.encoders import Preset, Quality, Shape
from ..video.finishing import Recorded
from ..video.formats import FORMATS
from ..video.recording import Recorder
from ..video.sound import Audio, Track
from ..video.timeline import Timeline, recording_rate
from ..views import view as built_in

#: Seconds without a frame after which a live source's last picture is recorded again: little by
#: little, so that no long gap has to be filled at once, and the end of a stall is recorded too.
STALL_SECONDS = 0.3

#: Seconds without a tick, which come every 50 ms, after which the machine slept or was stopped.
MAX_STALL_SECONDS = 30.0

log = logging.getLogger(__name__)


class Mp4Sink(Sink):
    """Writes a video of constant rate that is true to the frames' times."""

    name = "mp4"

    def __init__(
        self,
        *,
        path: Path,
        view: str = "overlay",
        crf: int = 18,
        preset: Preset = "veryfast",
        codec: str = "auto",
        audio: Audio = "copy",
        overwrite: bool = False,
        find_view: FindView = built_in,
    ) -> None:
        """Name what is to be recorded.

        Args:
            path: the file, ending in .mp4, .mov, .mkv or .webm.
            view: the picture, as ``--view`` takes it.
            crf: quality, 0 (lossless) to 51, on x264's scale; ProRes and FFV1 have no such setting.
            preset: the encoder's speed, in x264's words.
            codec: h264, hevc, av1, vp9, prores, prores4444, ffv1, or one of ffmpeg's encoders by
                name, such as h264_nvenc; auto is H.264, or VP9 in .webm; of a view with
                transparency, ProRes 4444 in .mov and VP9 in .webm and .mkv.
            audio: copy re-encodes only what the file cannot hold; aac always does; none leaves it
                out.
            overwrite: whether an existing file is replaced.
            find_view: finds the view by name; the registry gives its own.

        Raises:
            UsageError: an unknown view, or a crf out of range.
        """
        if not 0 <= crf <= 51:
            raise UsageError(f"sink mp4: crf={crf}: must be 0 (lossless) to 51 (smallest)")
        self.path, self._overwrite = path, overwrite
        self.report: dict[str, object] = {}
        self.stages: dict[str, float] = {}
        self._view, self._draw = view, find_view(view)
        self._record: Record | None = None  # of a view that hides
        self._quality, self._audio = Quality(codec, crf, preset), audio
        self._drew = False  # whether a first picture was drawn
        self._keeps_alpha = False  # known once the encoders are checked
        self._recording: Recording | None = None  # while it is open

    def open(self, info: SourceInfo, run: Run) -> None:
        """Check everything that can be checked before there is a frame."""
        media = None if info.media is None else Path(info.media)
        self._check(info, media)
        file = AtomicFile(self.path, overwrite=self._overwrite, leftovers="keep")
        try:
            origin = Origin.of(info, run, media, self._audio, self.path)
        except BaseException:
            file.discard()
            raise
        self._recording = Recording(file, origin, self._quality)
        if getattr(self._draw, "hides", False):
            self._record = Record(self._view, run.provenance)

    def write(self, result: FrameResult) -> None:
        """Draw one result and record it at its time."""
        assert self._recording is not None, "open comes first"
        if self._record is not None:
            self._record.see(result)
        if self._recording.state is not State.FAILED:
            with self._stage("draw"):
                drawn = self._picture(result)
            with self._stage("encode"):
                self._recording.add(drawn, result.frame)

    def tick(self) -> None:
        """Go on with the last picture while a live source gives no other."""
        if self._recording is not None:
            self._recording.tick()

    def close(self) -> None:
        """Finish the file, read it back and give it its name."""
        if self._recording is not None:
            with self._stage("encode"):
                comment = "" if self._record is None else self._record.comment()
                report = self._recording.close(comment)
            self._recording = None
            if report:
                self.outputs, self.report = (str(report["path"]),), report

    def _picture(self, result: FrameResult) -> Image:
        """Draw a result, with alpha if the view has some and the file holds it."""
        if self._keeps_alpha:
            return draw_with_alpha(self._draw, result)
        if not self._drew and draw_with_alpha(self._draw, result).shape[2] == 4:
            log.info(
                "%s holds no transparency, so that the matte is written in black and white; .mov, "
                ".webm, .mkv and a folder of pictures hold it",
                self.path,
            )
        self._drew = True
        return self._draw(result)

    def _check(self, info: SourceInfo, media: Path | None) -> None:
        """Check that the source can be recorded under this name, with this encoder.

        Raises:
            UsageError: there is no such kind of video, or no such encoder.
            SinkError: it cannot.
        """
        if self.path.suffix.lower() not in FORMATS:
            raise UsageError(
                f"{self.path}: the name of a video must end in .mp4, .mov, .mkv or .webm; a name "
                "without an ending is a folder, with a picture for each frame"
            )
        output.check_file(self.path, tuple(FORMATS), self._overwrite)
        if info.sizes_vary is not None:
            name, width, height = info.sizes_vary
            raise SinkError(
                f"{self.path}: {name} is {width}x{height} and the first image is "
                f"{info.width}x{info.height}, but a video has one size; masks, stats and image "
                "folders take any"
            )
        if media is not None and self.path.exists() and self.path.samefile(media):
            raise SinkError(f"{self.path} is the source itself; choose another name")
        try:
            encoders.check_codec(self._quality.codec)
        except MediaError as e:
            raise SinkError(f"{self.path}: {e}") from e
        self._keeps_alpha = encoders.holds_alpha(self._quality, FORMATS[self.path.suffix.lower()])

    @contextlib.contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = 1000 * (time.perf_counter() - start)
            self.stages[name] = self.stages.get(name, 0.0) + spent


@dataclass(frozen=True)
class Origin:
    """Where the frames of a recording come from.

    Attributes:
        info: the source.
        run: the run that records it.
        media: the file that its sound is in, if it has one.
        tracks: the sound tracks that belong into the recording.
        sar: width of a pixel over its height; None if unknown.
    """

    info: SourceInfo
    run: Run
    media: Path | None
    tracks: tuple[Track, ...]
    sar: Fraction | None

    @classmethod
    def of(cls, info: SourceInfo, run: Run, media: Path | None, audio: Audio, path: Path) -> Origin:
        """Ask a source's file for its sound and the shape of its pixels.

        Args:
            info: the source.
            run: the run that records it.
            media: the source's file, if it is one.
            audio: what becomes of the sound.
            path: the recording.
        """
        tracks: tuple[Track, ...] = ()
        sar = None
        if media is not None:
            sar = sound.pixel_shape(media)
            tracks = sound.plan_tracks(media, audio, FORMATS[path.suffix.lower()])
        if sar is not None and info.rotation % 180:
            sar = 1 / sar
        return cls(info, run, None if info.live else media, tracks, sar)


class State(Enum):
    """How far a recording is."""

    WAITING = "no frame has come yet"
    RECORDING = "frames are encoded"
    FAILED = "an error ended it; what plays of it is kept"
    CLOSED = "it is finished, or nothing came"


class Recording:
    """One recording, from its first frame to the finished file.

    Args:
        file: where it grows, and its final name.
        origin: where the frames come from.
        quality: how they are encoded.

    Attributes:
        state: how far it is.
    """

    def __init__(self, file: AtomicFile, origin: Origin, quality: Quality) -> None:
        self.state = State.WAITING
        self._file, self._origin, self._quality = file, origin, quality
        self._format = FORMATS[file.path.suffix.lower()]
        self._recorder: Recorder | None = None  # from the first frame on
        self._zero = math.inf  # monotonic seconds of a live source's time 0, at the latest

    @property
    def encoder_pid(self) -> int | None:
        """The process id of the encoder, while there is one."""
        return self._recorder.pid if self._recorder else None

    def add(self, drawn: Image, frame: Frame) -> None:
        """Record a picture of a frame.

        Raises:
            SinkError: it cannot be recorded; what was recorded before is kept if it plays.
        """
        picture = recording.even(drawn)
        if self._recorder is None:
            self._recorder = self._start(drawn, picture)
            self.state = State.RECORDING
        height, width = picture.shape[:2]
        shape = self._recorder.shape
        if (width, height) != (shape.width, shape.height):
            raise self._fail(
                f"the picture of frame {frame.index} is {width}x{height}, and those before are "
                f"{shape.width}x{shape.height}, but a video has one size"
            )
        self._zero = min(self._zero, time.monotonic() - frame.time)
        try:
            self._recorder.add(picture, frame.time)
        except MediaError as e:
            raise self._fail(str(e)) from e

    def tick(self) -> None:
        """Go on with the last picture while a live source gives no other.

        Raises:
            SinkError: it cannot be recorded.
        """
        if self.state is not State.RECORDING or not self._origin.info.live:
            return
        assert self._recorder is not None
        now = time.monotonic() - self._zero
        if STALL_SECONDS < now - self._recorder.last < MAX_STALL_SECONDS:
            try:
                self._recorder.hold(now)
            except MediaError as e:
                raise self._fail(str(e)) from e

    def close(self, comment: str = "") -> dict[str, object]:
        """Finish the file, read it back and give it its name.

        Args:
            comment: what the file says of itself.

        Returns:
            What is in the file; nothing if there is none, or if it failed before.

        Raises:
            SinkError: it cannot be finished; what was recorded is kept if it plays.
        """
        self.tick()
        if self.state is State.WAITING:
            self._file.discard()
            if not self._origin.run.status().failed_before_first_frame:
                log.warning("%s was not written: no frame came", self._file.path)
            self.state = State.CLOSED
        if self.state is not State.RECORDING:
            return {}
        try:
            report = self._finish(comment)
        except FaceregError as e:
            raise self._fail(str(e)) from e
        self.state = State.CLOSED
        return report

    def _start(self, drawn: Image, picture: Image) -> Recorder:
        """Start the encoder; only the first picture tells the size."""
        height, width = picture.shape[:2]
        if drawn.shape != picture.shape:
            log.info(
                "%s: %dx%d is odd, and video has even sizes: its edge is repeated to %dx%d",
                *(self._file.path, drawn.shape[1], drawn.shape[0], width, height),
            )
        info, kind = self._origin.info, self._format
        timeline = Timeline(recording_rate(info), None if info.live else info.duration)
        shape = Shape(width, height, timeline.rate, self._origin.sar, alpha=picture.shape[2] == 4)
        try:
            output.check_room(self._file.path, *recording.room_needed(shape, info.duration))
            encoder = encoders.choose_encoder(self._quality, shape, kind)
            arguments = recording.encoding_arguments(self._file.part, shape, encoder)
            return Recorder(shape, timeline, arguments)
        except FaceregError as e:
            raise self._fail(str(e)) from e

    def _finish(self, comment: str) -> dict[str, object]:
        recorder, file = self._recorder, self._file
        assert recorder is not None
        recorded = Recorded(
            timeline=recorder.timeline,
            first=recorder.first,
            last=recorder.last,
            media=self._origin.media,
            tracks=self._origin.tracks,
            format=self._format,
            one_more=recorder.interrupted,
            comment=comment,
        )
        recorder.finish(finishing.end_of_last(recorded))
        complete = file.another()
        report = finishing.finish(file.part, recorded, complete)
        path = file.finish(complete, failed=self._origin.run.status().failed)
        return {"path": str(path), **report}

    def _fail(self, why: str) -> SinkError:
        """End the encoder, keep what plays of its work, and make the error that reports both."""
        self.state = State.FAILED
        path, part = self._file.path, self._file.part
        why = why if why.startswith(f"{path}") else f"{path}: {why}"
        if self._recorder is not None:
            self._recorder.abandon()
        if recording.plays(part):
            return SinkError(f"{why}; what was recorded is in {self._file.keep()}")
        self._file.discard()
        return SinkError(why)


@hookimpl
def register_sinks() -> tuple[type[Sink], ...]:
    """Register the sink."""
    return (Mp4Sink,)
