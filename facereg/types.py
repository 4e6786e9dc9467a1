"""What flows through the pipeline. Everything here is made once and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .regions import CLASSES, IDS, class_ids

Image = NDArray[np.uint8]
Labels = NDArray[np.uint8]


class Box(NamedTuple):
    """A rectangle of pixels, half-open: it holds columns x0 to x1 - 1 and rows y0 to y1 - 1."""

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
        """Index of the box in an image: rows, columns. Only for a box inside the frame."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def clip(self, width: int, height: int) -> Box:
        """Keep the part inside a frame of that size; an empty box where there is none."""
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
        time: seconds from the source's first frame; monotonic seconds for a live source.
        clock: when a live frame was taken, in UTC; None for recordings and pictures.
        name: file name, if the source is a folder of images.
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
        image.flags.writeable = False

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
        box: around the face, in pixels of the frame; it may reach over the frame's edge.
        score: 0 to 1.
        landmarks: (5, 2) float32 x, y of right eye, left eye, nose, right and left mouth corner
            (the person's own sides), or None.
        track: who it is from frame to frame; the tracker fills it in.
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32] | None = None
    track: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RegionMasks:
    """The regions of one face.

    Attributes:
        box: the part of the frame that ``labels`` covers; it lies inside the frame.
        labels: (h, w) uint8 class ids at frame resolution.
    """

    box: Box
    labels: Labels

    def mask(self, *names: str) -> NDArray[np.bool_]:
        """Where the named classes or groups are: (h, w) bool, in the box.

        Raises:
            UsageError: an unknown name.
        """
        wanted = np.zeros(256, np.bool_)
        wanted[list(class_ids(names))] = True
        return wanted[self.labels]

    def area(self, name: str) -> int:
        """Count the pixels of a class or group.

        Raises:
            UsageError: an unknown name.
        """
        counts = np.bincount(self.labels.ravel(), minlength=len(CLASSES))
        return int(sum(counts[i] for i in class_ids([name])))

    def areas(self) -> dict[str, int]:
        """Count the pixels of every foreground class that occurs."""
        counts = np.bincount(self.labels.ravel(), minlength=len(CLASSES))
        return {name: int(counts[i]) for name, i in IDS.items() if i and counts[i]}


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face of one frame.

    Attributes:
        id: the same for the same person from frame to frame.
        detection: where it was found.
        regions: its regions, or None where no segmenter ran.
    """

    id: int
    detection: Detection
    regions: RegionMasks | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """A frame and every face in it.

    Attributes:
        frame: what was looked at.
        faces: the faces that were found.
        parsed: whether it was looked at with success. If not, nobody knows what faces are in it,
            and views that hide faces hide the whole frame.
    """

    frame: Frame
    faces: tuple[Face, ...] = ()
    parsed: bool = True

    def labels(self) -> Labels:
        """Compose the label map of the whole frame, (H, W) uint8.

        Where two faces claim a pixel, it goes to the face with the larger box, whatever the order.
        """
        out: Labels = np.zeros(self.frame.image.shape[:2], np.uint8)
        for _, regions in self.painted():
            part = out[regions.box.slices]
            np.copyto(part, regions.labels, where=regions.labels != 0)
        return out

    def instances(self) -> NDArray[np.int32]:
        """Say whose each pixel is: (H, W) int32 face ids, -1 where it is nobody's."""
        out = np.full(self.frame.image.shape[:2], -1, np.int32)
        for face, regions in self.painted():
            out[regions.box.slices][regions.labels != 0] = face.id
        return out

    def owned(self) -> Iterator[tuple[Face, RegionMasks]]:
        """Yield the segmented faces in painting order, each with the pixels that are its own.

        A pixel that a nearer face claims is background there, so that no pixel has two owners.
        """
        faces = list(self.painted())
        for i, (face, regions) in enumerate(faces):
            labels, box = regions.labels, regions.box
            for _, nearer in faces[i + 1 :]:
                shared = box.shared(nearer.box)
                if shared.area:
                    labels = labels.copy() if labels is regions.labels else labels
                    theirs = nearer.labels[shared.moved(-nearer.box.x0, -nearer.box.y0).slices]
                    labels[shared.moved(-box.x0, -box.y0).slices][theirs != 0] = 0
            yield face, regions if labels is regions.labels else RegionMasks(box, labels)

    def painted(self) -> Iterator[tuple[Face, RegionMasks]]:
        """Yield the segmented faces in painting order: the nearest, the largest box, last."""
        for face in sorted(self.faces, key=lambda f: (f.detection.box.area, f.detection.box)):
            if face.regions is not None:
                yield face, face.regions


@dataclass(frozen=True, slots=True, eq=False)
class SourceInfo:
    """What is known of a source when it is open.

    Attributes:
        name: what to call it: a file's name, or a URL without its password.
        width, height: size of its frames in pixels, after rotation; of the first where they vary.
        fps: frames a second, exact, or None where there is no rate.
        live: whether frames come in real time and may be dropped.
        frame_count: how many frames there will be, as far as the source knows, or None.
        has_audio: whether there is sound to be kept.
        duration: seconds, or None.
        rotation: degrees clockwise that were applied to the frames.
        media: the file that the frames and their sound are in, or None.
        mirror: whether a window shows it as a mirror does, as people expect of their own camera.
        stills: whether the frames are pictures that have nothing to do with one another.
        sizes_vary: the frames that differ in size from the first: (name, width, height) of the
            first such frame, or None.
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
