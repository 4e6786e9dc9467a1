"""The four things a plugin can be: a source, a detector, a segmenter or a sink.

A component is a class with a ``name`` that derives from one of these bases. Its options are the
keyword-only parameters of its constructor, with annotations and defaults; users write them as
``name:option=value,option=value``. The reader thread calls a source; the main thread calls all
else, one call at a time.
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

#: Finds a view by what users write: ``NAME:REGION+REGION,option=value``. A sink whose constructor
#: has a keyword-only parameter annotated with this is given the views that its run knows.
FindView = Callable[[str], View]


class EndRun(Exception):
    """Raised by a sink's `write` or `tick` to end the run as the end of the input would."""


class Source(ABC):
    """Where frames come from.

    A constructor takes ``spec``, what the user named (a path, a URL, a number), opens it, and
    sets ``info``.

    Attributes:
        info: what is known once it is open. Declare ``live`` there: frames of a live source are
            dropped when the pipeline is busy, those of others never are.
    """

    name: ClassVar[str]
    info: SourceInfo

    @classmethod
    def matches(cls, spec: str) -> bool:
        """Say whether this source is meant by a spec that names no source. Opens nothing."""
        return False

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order. Called once, from the reader thread.

        Raises:
            SourceError: reading failed for good; frames yielded before are still processed.
        """

    def stop(self) -> None:
        """Let `frames` end soon. Called from another thread where the run ends before it does."""

    def close(self) -> None:
        """Release everything. Called once, also when `frames` was not run to its end."""


class Detector(ABC):
    """Finds faces.

    Attributes:
        tracks: whether it fills in `Detection.track` itself, so that nothing else follows the
            faces and it is asked about every frame.
    """

    name: ClassVar[str]
    tracks: ClassVar[bool] = False

    @abstractmethod
    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Find the faces of a frame; best first is not needed, an empty answer is fine."""

    def close(self) -> None:
        """Release everything."""


class Segmenter(ABC):
    """Says what each pixel of a face is."""

    name: ClassVar[str]

    @abstractmethod
    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        """Parse all faces of a frame in one batch, and answer in the same order."""

    def forget(self, track: int) -> None:
        """Drop what was kept for a track that ended."""

    def state(self) -> Mapping[str, Any] | None:
        """Tell what is kept from frame to frame, so that a run that was cut off can be resumed.

        Called about once a second while masks are dumped. The default is right for a segmenter
        that parses every frame by itself.

        Returns:
            Plain JSON values and numpy arrays, in dicts and lists; None where it cannot be told.
        """
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` told in the run that was cut off, before the first frame."""

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
        stopping: whether the run is about to end, as after Ctrl-C.
        failed: whether an error ended the run; known when `Sink.close` is called.
    """

    frames: int = 0
    faces: int = 0
    dropped: int = 0
    skipped: int = 0
    stopping: bool = False
    failed: bool = False

    @property
    def failed_before_first_frame(self) -> bool:
        """Whether an error ended the run before it made a result: then leave no files behind."""
        return self.failed and not self.frames


@dataclass(frozen=True, slots=True)
class Run:
    """What a sink is told of the run that writes to it.

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
        """Take one result; they come in order."""

    def tick(self) -> None:
        """Do what must be done while no frame comes, about 20 times a second."""

    def close(self) -> None:
        """Finish what was written so far. Called once, even if `open` or `write` failed."""
