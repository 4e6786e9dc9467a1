"""The values that flow through the pipeline. They are made once and never changed.

An image is (H, W, 3) uint8 in OpenCV's channel order, blue, green, red. Coordinates are pixels,
x to the right and y down, from the top left corner of the frame.
"""

from __future__ import annotations

import importlib
import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import PluginError, missing_extra
from .regions import CLASSES, IDS, class_ids

if TYPE_CHECKING:
    import supervision

#: (H, W, 3) uint8 BGR.
Image = NDArray[np.uint8]

#: (H, W) uint8 class ids, as in `facereg.regions.CLASSES`.
Labels = NDArray[np.uint8]

#: (h, w) float32, 0 to 1.
Probability = NDArray[np.float32]

#: Computes how likely each pixel of a face's regions is one of some classes, from their ids.
FindProbability = Callable[[tuple[int, ...]], Probability]

#: The module that finds the built-in views. It is named, as the registry names the built-in
#: components, because what draws a result is built on this module.
BUILT_IN_VIEWS = "facereg.views"

#: The module that measures faces; it is named for the same reason.
MEASURES = "facereg.measures"


class Box(NamedTuple):
    """A rectangle of pixels, half-open: it holds columns x0 to x1 - 1 and rows y0 to y1 - 1.

    >>> box = Box(10, 20, 14, 22)
    >>> box.width, box.height, box.area
    (4, 2, 8)
    """

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns, never negative."""
        return max(0, self.x1 - self.x0)

    @property
    def height(self) -> int:
        """Rows, never negative."""
        return max(0, self.y1 - self.y0)

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an image: rows, columns. Only for a box inside the frame.

        >>> image[Box(10, 20, 14, 22).slices].shape
        (2, 4, 3)
        """
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def clip(self, width: int, height: int) -> Box:
        """Keep the part inside a frame of that size; if there is none, the box is empty.

        >>> Box(-5, -5, 3, 3).clip(width=100, height=2)
        Box(x0=0, y0=0, x1=3, y1=2)
        """
        x0, x1 = (min(max(x, 0), width) for x in (self.x0, self.x1))
        y0, y1 = (min(max(y, 0), height) for y in (self.y0, self.y1))
        return Box(x0, y0, max(x0, x1), max(y0, y1))

    def moved(self, across: int, down: int) -> Box:
        """Move it to the right and down by some pixels."""
        return Box(self.x0 + across, self.y0 + down, self.x1 + across, self.y1 + down)

    def grown(self, reach: int) -> Box:
        """Move each side outwards by some pixels."""
        return Box(self.x0 - reach, self.y0 - reach, self.x1 + reach, self.y1 + reach)

    def joined(self, other: Box) -> Box:
        """Return the smallest box that holds both."""
        return Box(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )

    def shared(self, other: Box) -> Box:
        """Return the part that lies in another box too; it has no area if there is none."""
        return Box(
            max(self.x0, other.x0),
            max(self.y0, other.y0),
            min(self.x1, other.x1),
            min(self.y1, other.y1),
        )

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1."""
        across = min(self.x1, other.x1) - max(self.x0, other.x0)
        down = min(self.y1, other.y1) - max(self.y0, other.y0)
        shared = max(0, across) * max(0, down)
        return shared / (self.area + other.area - shared) if shared else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        image: (H, W, 3) uint8 BGR, read-only.
        index: its number in the source, from 0.
        time: seconds from the source's first frame.
        clock: when a live frame was taken, in UTC; None for recordings and pictures.
        name: file name, if the source is a folder of images.

    Raises:
        ValueError: the image has another shape or type, or is empty; the clock has no time zone.

    >>> Frame(np.zeros((240, 320, 3), np.uint8), index=3, time=0.12)
    Frame(320x240, index=3, time=0.12)
    """

    image: Image
    index: int = 0
    time: float = 0.0
    clock: datetime | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        image = self.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f"a frame's image must be (H, W, 3) uint8, not {image.shape} {image.dtype}"
            )
        if self.clock is not None and self.clock.utcoffset() is None:
            raise ValueError(f"a frame's clock must have a time zone: {self.clock}")
        image.flags.writeable = False

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"Frame({self.width}x{self.height}, index={self.index}, time={self.time:g}{name})"

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.image.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face that a detector found.

    Attributes:
        box: around the face, in pixels of the frame; it may extend beyond the frame.
        score: confidence, 0 to 1.
        landmarks: (5, 2) float32 x, y in pixels of the right eye, left eye, nose, right and left
            mouth corner (the person's own sides), or None.
        track: identifies a face from frame to frame; the tracker fills it in.

    >>> Detection(Box(10, 20, 110, 140), 0.98)
    Detection(box=(10, 20, 110, 140), score=0.98, landmarks=no)
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32] | None = None
    track: int | None = None

    def __repr__(self) -> str:
        track = "" if self.track is None else f", track={self.track}"
        landmarks = "no" if self.landmarks is None else "yes"
        box = tuple(self.box)
        return f"Detection(box={box}, score={self.score:.4g}, landmarks={landmarks}{track})"


@dataclass(frozen=True, slots=True, eq=False)
class RegionMasks:
    """The regions of one face.

    Attributes:
        box: the part of the frame that ``labels`` covers; it lies inside the frame.
        labels: (h, w) uint8 class ids, one for each pixel of the box.
        find_probability: computes what `probability` returns, from class ids; None if the segmenter
            knows labels alone.

    >>> regions = RegionMasks(Box(10, 20, 13, 21), np.array([[1, 7, 9]], np.uint8))
    >>> regions
    RegionMasks(box=(10, 20, 13, 21), classes=3)
    """

    box: Box
    labels: Labels
    find_probability: FindProbability | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"RegionMasks(box={tuple(self.box)}, classes={len(self.areas())})"

    def mask(self, *names: str) -> NDArray[np.bool_]:
        """Return where the named classes or groups are: (h, w) bool, within the box.

        Raises:
            UsageError: an unknown name.

        >>> regions = RegionMasks(Box(10, 20, 13, 21), np.array([[1, 7, 9]], np.uint8))
        >>> regions.mask("lips").tolist()
        [[False, True, True]]
        """
        wanted = np.zeros(256, np.bool_)
        wanted[list(class_ids(names))] = True
        return wanted[self.labels]

    def probability(self, *names: str) -> Probability | None:
        """Compute how likely each pixel is one of the named classes or groups.

        Where the model wavers between two classes the value passes through 0.5, so the edge of a
        region is soft, and lies between pixels. It is computed when it is asked for.

        Returns:
            (h, w) float32, 0 to 1, within the box, smoothed over time as the labels are; None if
            the segmenter knows labels alone, as one that plays a mask dump.

        Raises:
            UsageError: an unknown name.
            PluginError: the segmenter's answer is not (h, w) float32 of the box's size.

        >>> soft = result.faces[0].regions.probability("hair")
        >>> soft.dtype, float(soft.max()) > 0.9
        (dtype('float32'), True)
        """
        ids = class_ids(names)
        if self.find_probability is None:
            return None
        found = self.find_probability(ids)
        shape = (self.box.height, self.box.width)
        if not isinstance(found, np.ndarray) or found.dtype != np.float32 or found.shape != shape:
            kind = getattr(found, "dtype", type(found).__name__)
            raise PluginError(
                f"a segmenter's find_probability answered {getattr(found, 'shape', '')} {kind}, "
                f"not {shape} float32 as its regions' box"
            )
        return found

    def without(self, pixels: NDArray[np.bool_]) -> RegionMasks:
        """Return the regions without some pixels, (h, w) bool: they become background."""
        labels = np.where(pixels, np.uint8(0), self.labels)
        find = self.find_probability
        return RegionMasks(self.box, labels, None if find is None else partial(_part, find, pixels))

    def mirrored(self, width: int) -> RegionMasks:
        """Flip the regions left to right in a frame of that width; names and ids stay."""
        box = Box(width - self.box.x1, self.box.y0, width - self.box.x0, self.box.y1)
        find = self.find_probability
        labels = np.ascontiguousarray(self.labels[:, ::-1])
        return RegionMasks(box, labels, None if find is None else partial(_flipped, find))

    def area(self, name: str) -> int:
        """Count the pixels of a class or group.

        Raises:
            UsageError: an unknown name.

        >>> result.faces[0].regions.area("lips") > 100
        True
        """
        counts = self._counts()
        return int(sum(counts[i] for i in class_ids([name])))

    def areas(self) -> dict[str, int]:
        """Count the pixels of every class that occurs, the background excepted.

        >>> RegionMasks(Box(0, 0, 3, 1), np.array([[0, 7, 7]], np.uint8)).areas()
        {'lower_lip': 2}
        """
        counts = self._counts()
        return {name: int(counts[i]) for name, i in IDS.items() if i and counts[i]}

    def _counts(self) -> NDArray[np.int64]:
        return np.bincount(self.labels.ravel(), minlength=len(CLASSES))


def _part(find: FindProbability, pixels: NDArray[np.bool_], ids: tuple[int, ...]) -> Probability:
    """Compute a probability in which some pixels are background for certain."""
    return np.where(pixels, np.float32(0 in ids), find(ids))


def _flipped(find: FindProbability, ids: tuple[int, ...]) -> Probability:
    """Compute a probability and flip it left to right."""
    return np.ascontiguousarray(find(ids)[:, ::-1])


@dataclass(frozen=True, slots=True, eq=False)
class Measures(Mapping[str, float]):
    """The measures of one face, by the names that docs/measures.md describes.

    What cannot be measured is NaN, and `reasons` says why.

    Attributes:
        known: the values, without those that could not be measured.
        errors: standard errors, each in the unit of its measure.
        reasons: why each of the others is missing.
        unusable_because: why none of them should be used; empty if they can be.

    >>> measures = result.faces[0].measures
    >>> measures["mouth_opening"] < 0.5, measures.usable
    (True, True)
    """

    known: Mapping[str, float]
    errors: Mapping[str, float]
    reasons: Mapping[str, str]
    unusable_because: str = ""

    @property
    def usable(self) -> bool:
        """Whether they should be used."""
        return not self.unusable_because

    def __getitem__(self, name: str) -> float:
        if name in self.reasons:
            return math.nan
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        yield from (*self.known, *self.reasons)

    def __len__(self) -> int:
        return len(self.known) + len(self.reasons)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of one frame.

    Attributes:
        id: the same for the same person from frame to frame.
        detection: where it was found.
        regions: its regions, or None if no segmenter ran.
        carried: whether the regions were carried from the frame before along the motion in the
            picture, and not parsed.

    >>> result.faces[0]
    Face(id=1, box=(...), score=..., regions=yes)
    """

    id: int
    detection: Detection
    regions: RegionMasks | None = None
    carried: bool = False
    # What `measures` needs besides: the picture, which lives as long as its frame, and the answer.
    _image: Callable[[], Image | None] | None = field(default=None, init=False, repr=False)
    _measures: Measures | None = field(default=None, init=False, repr=False)
    # Standard errors that were known when the face still had its probabilities.
    _errors: Mapping[str, float] | None = field(default=None, init=False, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Face, tuple(getattr(self, f.name) for f in fields(self) if f.init)

    @property
    def measures(self) -> Measures:
        """What people measure of a face: openings, pose, colour, each with its standard error.

        They are computed when they are asked for first, about 5 milliseconds. Ask while you have
        the result: what is measured in the picture is missing once its frame is gone.

        >>> face = result.faces[0]
        >>> -90 < face.measures["yaw"] < 90, face.measures.errors["yaw"] > 0
        (True, True)
        """
        known = self._measures
        if known is None:
            image = None if self._image is None else self._image()
            measure = importlib.import_module(MEASURES).measure_face
            known = measure(self.detection, self.regions, image)
            if self._errors is not None:
                known = replace(known, errors=self._errors)
            object.__setattr__(self, "_measures", known)
        assert known is not None
        return known

    def known_errors(self) -> Mapping[str, float] | None:
        """Return the standard errors of `measures`, if they were asked for."""
        return None if self._measures is None else self._measures.errors

    def with_errors(self, errors: Mapping[str, float]) -> Face:
        """Return this face with the standard errors that another run found: a mask has none."""
        face = replace(self)
        object.__setattr__(face, "_errors", errors)
        return face

    def __repr__(self) -> str:
        found = self.detection
        regions = "no" if self.regions is None else "yes"
        box = tuple(found.box)
        return f"Face(id={self.id}, box={box}, score={found.score:.4g}, regions={regions})"

    def to_dict(self) -> dict[str, Any]:
        """Describe the face in plain values, as in a line of ``frames.jsonl``.

        Returns:
            ``id``; ``box``, four ints; ``score``; ``areas``, pixels by class; ``crop``, the box of
            its regions, if it has some; and ``landmarks``, five pairs of x and y, if it has some.

        >>> sorted(result.faces[0].to_dict())
        ['areas', 'box', 'crop', 'id', 'landmarks', 'score']
        """
        plain: dict[str, Any] = {
            "id": self.id,
            "box": [int(x) for x in self.detection.box],
            "score": round(float(self.detection.score), 4),
            "areas": {} if self.regions is None else self.regions.areas(),
        }
        if self.regions is not None:
            # What the segmenter looked at: a replay needs it to draw views that work face by face.
            plain["crop"] = [int(x) for x in self.regions.box]
        if self.detection.landmarks is not None:
            # Pose and scale are measured with them, from a dump as from a run.
            plain["landmarks"] = [[round(float(v), 2) for v in p] for p in self.detection.landmarks]
        if self.carried:
            plain["carried"] = True
        return plain


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """A frame and every face in it.

    Attributes:
        frame: the frame.
        faces: its faces, in no particular order.
        parsed: whether the frame could be parsed. If not, nobody knows what faces are in it, and
            views that hide faces hide the whole frame.
        held: faces that were not found in this frame, or are wider than they were found, and have
            to be hidden. Only views that hide look at them: they are in no mask and no statistics.
            A face that has no number has the id -1.
        find_view: finds the views that `draw` knows by name; None knows the built-in ones.

    >>> result
    FrameResult(512x512, index=0, time=0, faces=1)
    """

    frame: Frame
    faces: tuple[Face, ...] = ()
    parsed: bool = True
    held: tuple[Face, ...] = ()
    find_view: Callable[[str], Callable[[FrameResult], Image]] | None = field(
        default=None, repr=False
    )

    def __repr__(self) -> str:
        frame = repr(self.frame).removeprefix("Frame(").removesuffix(")")
        return f"FrameResult({frame}, faces={len(self.faces)})"

    def __post_init__(self) -> None:
        picture = weakref.ref(self.frame.image)
        for face in self.faces:
            if face._image is None or face._image() is None:  # noqa: SLF001
                object.__setattr__(face, "_image", picture)

    def __reduce__(self) -> tuple[Any, ...]:
        # A plugin's views stay behind: another process may not have loaded the plugin.
        return FrameResult, (self.frame, self.faces, self.parsed, self.held)

    def labels(self) -> Labels:
        """Compose the label map of the whole frame, (H, W) uint8 class ids.

        A pixel that two faces claim goes to the face with the larger box.

        >>> result.labels().shape
        (512, 512)
        """
        out: Labels = np.zeros(self.frame.image.shape[:2], np.uint8)
        for _, regions in self.painted():
            part = out[regions.box.slices]
            np.copyto(part, regions.labels, where=regions.labels != 0)
        return out

    def instances(self) -> NDArray[np.int32]:
        """Return the face id of each pixel: (H, W) int32, -1 where there is no face.

        >>> np.unique(result.instances()).tolist()
        [-1, 1]
        """
        out = np.full(self.frame.image.shape[:2], -1, np.int32)
        for face, regions in self.painted():
            out[regions.box.slices][regions.labels != 0] = face.id
        return out

    def draw(self, view: str = "overlay") -> Image:
        """Draw the result as a new picture.

        Args:
            view: what ``--view`` takes: ``overlay``, ``gallery``, ``face``, ``raw``, or
                ``NAME:REGION+REGION,option=value`` as in ``blur:face`` or ``isolated:eyes+lips``.

        Returns:
            (h, w, 3) uint8 BGR, in most views of the frame's size.

        Raises:
            UsageError: an unknown view, region or option.

        >>> result.draw("blur:face").shape
        (512, 512, 3)
        """
        find = self.find_view or importlib.import_module(BUILT_IN_VIEWS).view
        picture: Image = find(view)(self)
        return picture

    def to_dict(self) -> dict[str, Any]:
        """Describe the result in plain values: a line of ``frames.jsonl`` without its ``file``.

        Returns:
            ``index``; ``time`` in seconds; ``clock`` if the frame is live; ``name`` if it is one of
            several pictures; ``parsed``, false, if the frame could not be parsed; ``faces``, as
            `Face.to_dict` describes each.

        >>> import json
        >>> json.dumps(result.to_dict())
        '{"index": 0, "time": 0.0, "faces": [{"id": 1, "box": [...], ...}]}'
        """
        frame = self.frame
        plain: dict[str, Any] = {"index": frame.index, "time": round(frame.time, 6)}
        if frame.clock is not None:
            plain["clock"] = utc_text(frame.clock)
        if frame.name is not None:
            plain["name"] = frame.name
        if not self.parsed:
            plain["parsed"] = False
        plain["faces"] = [face.to_dict() for face in self.faces]
        return plain

    def to_supervision(self) -> supervision.Detections:
        """Convert the faces for the package supervision, one detection a face.

        Returns:
            ``xyxy`` (n, 4) float32; ``confidence`` (n,) float32; ``tracker_id`` (n,) int, the ids
            of the faces; ``class_id`` (n,) int, all 0; ``mask`` (n, H, W) bool, every labelled
            pixel of a face, or None if a face has no regions.

        Raises:
            FaceregError: the package supervision is not installed.

        >>> result.to_supervision().tracker_id.tolist()
        [1]
        """
        try:
            from supervision import Detections
        except ImportError:
            raise missing_extra("supervision", "formats", "to_supervision()") from None
        if not self.faces:
            return Detections.empty()
        masks = None
        if all(face.regions is not None for face in self.faces):
            masks = np.zeros((len(self.faces), *self.frame.image.shape[:2]), np.bool_)
            for mask, face in zip(masks, self.faces, strict=True):
                if face.regions is not None:
                    mask[face.regions.box.slices] = face.regions.labels != 0
        return Detections(
            xyxy=np.array([face.detection.box for face in self.faces], np.float32),
            mask=masks,
            confidence=np.array([face.detection.score for face in self.faces], np.float32),
            class_id=np.zeros(len(self.faces), np.int64),
            tracker_id=np.array([face.id for face in self.faces], np.int64),
            data={"class_name": np.array(["face"] * len(self.faces))},
        )

    def _repr_png_(self) -> bytes:
        """Show the overlay in a notebook."""
        import cv2

        return bytes(cv2.imencode(".png", self.draw("overlay"))[1])

    def owned(self) -> Iterator[tuple[Face, RegionMasks]]:
        """Yield the segmented faces in painting order, each with the pixels that are its own.

        A pixel that a nearer face claims becomes background, so that no pixel has two owners.
        """
        faces = list(self.painted())
        corners = np.array([regions.box for _, regions in faces], np.int64).reshape(-1, 2, 2)
        for i, (face, regions) in enumerate(faces):
            box = regions.box
            hidden: NDArray[np.bool_] | None = None
            starts, ends = corners[i + 1 :, 0], corners[i + 1 :, 1]
            overlaps = ((starts < corners[i, 1]) & (ends > corners[i, 0])).all(axis=1)
            for k in np.flatnonzero(overlaps):
                nearer = faces[i + 1 + k][1]
                shared = box.shared(nearer.box)
                if hidden is None:
                    hidden = np.zeros(regions.labels.shape, np.bool_)
                theirs = nearer.labels[shared.moved(-nearer.box.x0, -nearer.box.y0).slices]
                hidden[shared.moved(-box.x0, -box.y0).slices] |= theirs != 0
            yield face, regions if hidden is None else regions.without(hidden)

    def painted(self) -> Iterator[tuple[Face, RegionMasks]]:
        """Yield the segmented faces in painting order, the largest box last: it is the nearest."""
        for face in sorted(self.faces, key=lambda f: (f.detection.box.area, f.detection.box)):
            if face.regions is not None:
                yield face, face.regions


@dataclass(frozen=True, slots=True, eq=False)
class SourceInfo:
    """What is known about a source once it is open.

    Attributes:
        name: a file's name, or a URL without its password.
        width, height: size of its frames in pixels, after rotation; if sizes vary, of the first.
        fps: frames a second, exact, or None if there is no rate.
        live: whether frames come in real time and may be dropped.
        frame_count: number of frames, or None if the source does not know it.
        has_audio: whether there is sound to keep.
        duration: seconds, or None.
        rotation: degrees clockwise by which the frames were turned.
        media: the file that holds the frames and their sound, or None.
        mirror: whether a window shows it mirrored, as people expect of their own camera.
        stills: whether the frames are unrelated pictures.
        sizes_vary: (name, width, height) of the first frame that differs in size from the first
            one, or None.

    >>> SourceInfo("in.mp4", 1920, 1080, Fraction(25), frame_count=250)
    SourceInfo('in.mp4', 1920x1080, fps=25, frames=250)
    """

    name: str
    width: int
    height: int
    fps: Fraction | None = None
    live: bool = False
    frame_count: int | None = None
    has_audio: bool = False
    duration: float | None = None
    rotation: int = 0
    media: str | None = None
    mirror: bool = False
    stills: bool = False
    sizes_vary: tuple[str, int, int] | None = None

    def __repr__(self) -> str:
        rate = f", fps={float(self.fps):g}" if self.fps is not None else ""
        count = f", frames={self.frame_count}" if self.frame_count is not None else ""
        live = ", live" if self.live else ""
        return f"SourceInfo({self.name!r}, {self.width}x{self.height}{rate}{count}{live})"


def utc_text(clock: datetime) -> str:
    """Write a moment in UTC, ISO 8601 with milliseconds, as files have it.

    >>> utc_text(datetime(2030, 5, 17, 9, 30, tzinfo=timezone.utc))
    '2030-05-17T09:30:00.000Z'
    """
    return clock.astimezone(timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"
