"""The four kinds of component: source, detector, segmenter and sink.

A component is a class with a ``name`` that derives from one of these bases. Its options are the
keyword-only parameters of its constructor, with annotations and defaults; users write them as
``name:option=value,option=value``.

Each component is called by one thread at a time: a source, a detector and a segmenter by a thread
of their own, a sink by the thread that runs the pipeline, which is the main thread of a program.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from .types import Detection, Frame, FrameResult, Image, RegionMasks, SourceInfo

#: Draws a result as a new (h, w, 3) uint8 BGR picture.
View = Callable[[FrameResult], Image]


def draw_with_alpha(view: View, result: FrameResult) -> Image:
    """Draw a result as a sink does that holds transparency.

    Returns:
        (h, w, 4) uint8 BGRA with straight alpha of a view that has one, such as ``matte``; of any
        other (h, w, 3) BGR.
    """
    draw: View = getattr(view, "with_alpha", view)
    return draw(result)


#: Finds a view by what users write: ``NAME:REGION+REGION,option=value``. A sink whose constructor
#: has a keyword-only parameter annotated with this is given the views that its run knows.
FindView = Callable[[str], View]


class EndRun(Exception):
    """Raised by a sink's `write` or `tick` to end the run as the end of the input would."""


class Source(ABC):
    """Where frames come from.

    The constructor takes ``spec``, which is what the user named (a path, a URL, a number), opens
    it, and sets ``info``.

    Attributes:
        info: what is known of the open source. Declare ``live`` there: frames of a live source are
            dropped when the pipeline is busy, those of others never are.
        reconnects: how often it was lost and found again, if it is a stream.
        report: facts about what was read, such as damage, as plain JSON values; set by `close`.
    """

    name: ClassVar[str]
    info: SourceInfo
    reconnects: int = 0
    report: Mapping[str, object] = MappingProxyType({})

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Whether this source reads such a spec, if the user names no source. Opens nothing."""
        return False

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order. Called once, by the reader's thread.

        Raises:
            SourceError: reading failed for good; frames yielded before are still processed.
        """

    def stop(self) -> None:
        """Make `frames` end soon. Called by another thread if the run ends first."""

    def close(self) -> None:
        """Release everything. Called once, even if `frames` was not run to its end."""


class Detector(ABC):
    """Finds faces.

    Attributes:
        tracks: whether it follows faces itself and sets `Detection.track`. Then it is asked about
            every frame, and nothing else follows them.
    """

    name: ClassVar[str]
    tracks: ClassVar[bool] = False

    @abstractmethod
    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Find the faces of a frame, in any order; an empty answer is fine."""

    def close(self) -> None:
        """Release everything."""


class Segmenter(ABC):
    """Labels each pixel of a face."""

    name: ClassVar[str]

    @abstractmethod
    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        """Parse faces of a frame in one batch, and return their regions in the same order."""

    def forget(self, track: int) -> None:
        """Drop what is kept for a track that has ended."""

    def state(self) -> Mapping[str, Any] | None:
        """Return what is kept from frame to frame, so that a run that was cut off can be resumed.

        Called about once a second while masks are dumped. The default is right for a segmenter
        that parses every frame by itself.

        Returns:
            Plain JSON values and numpy arrays, in dicts and lists; None if that is unknown.
        """
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned in the run that was cut off, before any frame."""

    def close(self) -> None:
        """Release everything."""

    def describe(self) -> dict[str, str]:
        """Name the model for a dump's manifest: ``name`` and ``sha256`` of its weights."""
        return {}


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run has got.

    Attributes:
        frames: results made so far.
        faces: faces in them.
        dropped: frames of a live source that were dropped because the pipeline was busy.
        skipped: frames that failed and were passed on without faces.
        carried: masks that were carried along motion, and not parsed.
        stopping: whether the run is about to end, as after Ctrl-C.
        failed: whether an error ended the run; known when `Sink.close` is called.
        stages: milliseconds spent in each stage so far.
        dropped_sinks: why each sink that failed was dropped, by its name.
    """

    frames: int = 0
    faces: int = 0
    dropped: int = 0
    skipped: int = 0
    carried: int = 0
    stopping: bool = False
    failed: bool = False
    stages: Mapping[str, float] = field(default_factory=dict)
    dropped_sinks: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed_before_first_frame(self) -> bool:
        """Whether an error ended the run before it made a result: then leave no files behind."""
        return self.failed and not self.frames


@dataclass(frozen=True, slots=True)
class Run:
    """What a sink knows of the run that writes to it.

    Attributes:
        provenance: what makes the results, as plain JSON values: ``detector``, ``segmenter`` and
            ``model``. Empty if the caller named nothing.
        status: returns how far the run has got; may be called at any time, from any thread.
    """

    provenance: Mapping[str, object] = field(default_factory=dict)
    status: Callable[[], Status] = Status


class Sink(ABC):
    """Where results go.

    Attributes:
        outputs: the files that it wrote, as the user named them; set by `close`.
        report: facts about these files, as plain JSON values; set by `close`.
        stages: milliseconds spent in parts of `write`, by name, for a sink that measures them
            itself. If it is empty, the run counts all of `write` under the sink's name.
    """

    name: ClassVar[str]
    outputs: tuple[str, ...] = ()
    report: Mapping[str, object] = MappingProxyType({})
    stages: Mapping[str, float] = MappingProxyType({})

    def open(self, info: SourceInfo, run: Run) -> None:
        """Get ready, before the first frame.

        Args:
            info: what is known of the source.
            run: what makes the results, and how far the run has got.

        Raises:
            SinkError: it cannot be written, or cannot take such frames.
        """

    @abstractmethod
    def write(self, result: FrameResult) -> None:
        """Write one result; they come in the order of their frames."""

    def tick(self) -> None:
        """Do what must be done while no frame comes. Called about 20 times a second."""

    def close(self) -> None:
        """Finish what was written so far. Called once, even if `open` or `write` failed."""
