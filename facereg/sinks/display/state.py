"""What a window shows of a result: the view, whose face, how strong the colours are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ...components import FindView
from ...types import Box, Detection, Face, FrameResult, Image
from ...views import gallery, overlay
from ...views import view as built_in


@dataclass(frozen=True)
class DisplayState:
    """How results are drawn. Each key turns one state into the next; nothing here knows a window.

    Attributes:
        view: a view as ``--view`` takes it; ``raw`` with ``colors`` is the overlay.
        colors: whether the regions' colours are drawn over the view.
        region: the selected region, or several as ``eyes+lips``.
        face: id of the one face that is shown, or None for all of them.
        strength: opacity of the colours, 0 to 1.
        find_view: finds a view by name.
    """

    view: str
    colors: bool
    region: str
    face: int | None = None
    strength: float = 0.55
    find_view: FindView = field(default=built_in, repr=False, compare=False)

    @classmethod
    def of(cls, view: str, find_view: FindView = built_in) -> DisplayState:
        """Make the state that shows a view.

        Raises:
            UsageError: there is no such view.
        """
        find_view(view)
        name, _, region = view.partition(":")
        if "=" in region:  # with options, the view is shown as it is
            region, _, _ = region.partition(",")
            return cls(view, False, "face" if "=" in region else region, find_view=find_view)
        region = region.replace(",", "+") or "face"
        if name == "overlay":
            return cls("raw", True, region, find_view=find_view)
        view = f"{name}:{region}" if ":" in view else name
        return cls(view, name == "gallery", region, find_view=find_view)

    def whole(self) -> DisplayState:
        """Show the whole picture with its colours."""
        return replace(self, view="raw", colors=True)

    def closeup(self) -> DisplayState:
        """Show the face."""
        return replace(self, view="face", colors=False)

    def select(self, region: str) -> DisplayState:
        """Show a region alone; if the last one is blurred, blur this one instead."""
        name = "blur" if self.view.startswith("blur:") else "isolated"
        return replace(self, view=f"{name}:{region}", region=region, colors=False)

    def recolored(self) -> DisplayState:
        """Switch the colours on or off."""
        return replace(self, colors=not self.colors)

    def gallery(self) -> DisplayState:
        """Show the gallery, or the whole picture again."""
        return self.whole() if self.view == "gallery" else replace(self.whole(), view="gallery")

    def blurred(self) -> DisplayState:
        """Blur the selected region, or show the whole picture again."""
        if self.view.startswith("blur:"):
            return self.whole()
        return replace(self, view=f"blur:{self.region}", colors=False)

    def adjusted(self, step: float) -> DisplayState:
        """Make the colours stronger or weaker, and switch them on."""
        strength = round(min(1.0, max(0.1, self.strength + step)), 2)
        return replace(self, strength=strength, colors=True)

    def next_face(self, result: FrameResult) -> DisplayState:
        """Show the face with the next id; after the last one, all of them."""
        ids = sorted(face.id for face in result.faces)
        later = [i for i in ids if self.face is None or i > self.face]
        return replace(self, face=later[0] if later else None)

    @property
    def title(self) -> str:
        """A short name for the status line."""
        name = "overlay" if self.view == "raw" and self.colors else self.view
        name = name.removeprefix("isolated:").replace("+", ", ").replace(":", " ")
        return name if self.face is None else f"{name} of face {self.face}"

    def draw(self, result: FrameResult) -> Image:
        """Draw a result: (h, w, 3) uint8 BGR, in the size that the view gives it."""
        if self.face is not None:
            faces = tuple(face for face in result.faces if face.id == self.face)
            result = replace(result, faces=faces)
        picture = overlay(result, strength=self.strength) if self.colors else result.frame.image
        if self.view == "raw":
            return picture if self.colors else picture.copy()
        if self.view == "gallery":
            out = gallery(result)
            out[:, : picture.shape[1]] = picture
            return out
        result = replace(result, frame=replace(result.frame, image=picture))
        return self.find_view(self.view)(result)


def mirrored(result: FrameResult) -> FrameResult:
    """Flip a result left to right. Regions keep their names: a left eye is still the left eye."""
    frame = result.frame
    width = frame.width
    faces = tuple(
        Face(
            face.id,
            _detection(face.detection, width),
            None if face.regions is None else face.regions.mirrored(width),
        )
        for face in result.faces
    )
    image = np.ascontiguousarray(frame.image[:, ::-1])
    return replace(result, frame=replace(frame, image=image), faces=faces)


def _box(box: Box, width: int) -> Box:
    return Box(width - box.x1, box.y0, width - box.x0, box.y1)


def _detection(detection: Detection, width: int) -> Detection:
    points = detection.landmarks
    if points is not None:
        points = np.array([width - 1, 0], np.float32) + points * np.array([-1, 1], np.float32)
    return replace(detection, box=_box(detection.box, width), landmarks=points)
