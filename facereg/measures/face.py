"""Everything that is measured of one face in one frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ..types import Box, Detection, Image, Measures, RegionMasks
from .axes import MOUTH, Axes, find_axes
from .colour import measure_patches, measure_picture
from .shapes import Shape, Shapes
from .table import BY_NAME, COLOUR, MEASURES, REASON, SIDES, USABLE, VISIBLE_REGIONS
from .visibility import Visibility

#: Largest turn, in degrees, at which the shape of eyes, mouth and brows is measured; of the eye and
#: brow that turn away.
MAX_YAW, MAX_PITCH, MAX_FAR_YAW = 45.0, 40.0, 32.0
#: Smallest visible share of a region whose shape is measured.
MIN_VISIBLE = 0.75
#: Smallest area of eye and eyelids in which an eye is taken to be there, in squared inter-ocular
#: distances; of an eye whose lids are not seen, as behind glasses.
MIN_EYE_AND_LIDS, MIN_EYE = 0.015, 0.006
#: Eyelids that must be seen for an eye without any pixel to be closed, in the same unit.
MIN_LIDS_OF_CLOSED = 0.015
#: Smallest scale in pixels, visible share, sharpness; largest share cut off, exposure and clipping
#: of a face whose measures should be used.
MIN_SCALE, MIN_FACE_VISIBLE, MIN_SHARPNESS = 16.0, 0.6, 0.2
MAX_CUT, MIN_EXPOSURE, MAX_CLIPPED = 0.1, 0.01, 0.4

#: Standard errors over those that borders alone give, by the end of the name: of portraits with
#: drawn labels 90 to 98 % are within two (benchmarks/measures.py).
CALIBRATION: dict[str, float] = {
    "scale": 1.1,
    "face_width": 1.9,
    "face_height": 3.7,
    "eye_opening": 0.9,
    "eye_share": 0.6,
    "mouth_opening": 0.55,
    "upper_lip_thickness": 0.5,
    "lower_lip_thickness": 0.65,
    "brow_height": 0.52,
    "center_x": 1.15,
    "center_y": 1.1,
}

NO_LANDMARKS = "needs landmarks, which the detector did not give"
NO_PICTURE = "needs the picture, which is not at hand"


def cells(measures: Measures) -> dict[str, float | int | str]:
    """Return the cells of a row of a file, by column; what is missing has none."""
    found: dict[str, float | int | str] = {}
    for name, value in measures.known.items():
        found[name] = float(f"{value:.6g}")
        if name in measures.errors:
            found[f"{name}_se"] = float(f"{measures.errors[name]:.3g}")
    reason = {} if measures.usable else {REASON: measures.unusable_because}
    return {**found, USABLE: int(measures.usable), **reason}


def measure_face(
    detection: Detection,
    regions: RegionMasks | None,
    image: Image | None,
    frame: tuple[int, int] | None = None,
) -> Measures:
    """Measure one face.

    Args:
        detection: where it is.
        regions: its regions.
        image: (H, W, 3) uint8 BGR; None leaves out what is measured in the picture.
        frame: height and width of the frame, if there is no image.
    """
    found = _Found()
    if regions is None or not regions.box.area:
        found.miss(BY_NAME, "no regions: no segmenter ran")
        return found.finish("no regions")
    shape = image.shape[:2] if image is not None else frame
    size = shape if shape is not None else (regions.box.y1, regions.box.x1)
    axes = None
    if detection.landmarks is None:
        found.miss((m.name for m in MEASURES if "landmarks" in m.needs), NO_LANDMARKS)
    else:
        axes = find_axes(detection.landmarks, regions)
        if axes is None:
            found.miss(
                (m.name for m in MEASURES if "landmarks" in m.needs), "too small or a profile"
            )
    if image is None:
        found.miss((m.name for m in MEASURES if "picture" in m.needs), NO_PICTURE)
    else:
        box = Box(*detection.box).clip(size[1], size[0]).shared(regions.box)
        for name, value in measure_picture(image, regions, box).items():
            found.put(name, value)
    why = _unusable_picture(found)
    if axes is None:
        _eye_shares_alone(found, regions)
        return found.finish(why or found.reasons.get("scale", ""))
    seen = Visibility(regions, axes, size)
    _place(found, axes)
    _shapes(found, regions, axes, seen)
    if image is not None:
        _colours(found, image, regions, axes)
    return found.finish(_unusable(found, axes, seen) or why)


class _Found:
    """Values, errors and reasons while they are gathered."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.errors: dict[str, float] = {}
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: float, error: float | None = None) -> None:
        self.values[name] = float(value)
        if error is not None:
            ending = name.removeprefix("left_").removeprefix("right_")
            self.errors[name] = float(error) * CALIBRATION.get(ending, 1.0)

    def miss(self, names: Iterator[str] | Mapping[str, object] | tuple[str, ...], why: str) -> None:
        for name in names:
            self.reasons.setdefault(name, why)

    def finish(self, why: str) -> Measures:
        for name in BY_NAME:
            if name not in self.values:
                self.reasons.setdefault(name, "cannot be seen")
        reasons = {name: why for name, why in self.reasons.items() if name not in self.values}
        reasons["speed"] = "needs the frame before: it is in files and events"
        return Measures(self.values, self.errors, reasons, why)


def _place(found: _Found, axes: Axes) -> None:
    found.put("scale", axes.scale, axes.scale_error)
    for name, value, error in zip(
        ("yaw", "pitch", "roll"), axes.angles, axes.angle_errors, strict=True
    ):
        found.put(name, value, error)
    for name, pixels in zip(("center_x", "center_y"), axes.origin, strict=True):
        share = axes.scale_error / axes.scale
        found.put(name, pixels / axes.scale, math.hypot(0.02, pixels / axes.scale * share))


def _shapes(found: _Found, regions: RegionMasks, axes: Axes, seen: Visibility) -> None:
    """Measure everything whose size is that of a region."""
    shapes, (shrink_x, shrink_y) = Shapes(regions, axes), axes.foreshortening
    for region in VISIBLE_REGIONS:
        found.put(f"{region}_visible", seen.share(region))
    extent = shapes.extent("face")
    if extent is not None:
        error = math.sqrt(2) * shapes.unknown_border_error()
        found.put("face_width", extent[0] / shrink_x, error / shrink_x)
        found.put("face_height", extent[1] / shrink_y, error / shrink_y)
    turned = _turned(axes)
    for side in SIDES:
        names = tuple(f"{side}_{part}" for part in ("eye_opening", "eye_share", "brow_height"))
        if turned or _turns_away(side, axes):
            found.miss(names, turned or f"the face is turned {abs(axes.angles[0]):.0f} degrees")
        elif seen.share(f"{side}_eye", glasses_hide=False) < MIN_VISIBLE:
            found.miss(names, f"the {side} eye is covered")
        else:
            _eye(found, side, shapes, axes, seen)
    names = ("mouth_opening", "upper_lip_thickness", "lower_lip_thickness")
    if turned or seen.share("mouth") < MIN_VISIBLE:
        found.miss(names, turned or "the mouth is covered")
    else:
        _mouth(found, shapes, axes)


def _turned(axes: Axes) -> str:
    yaw, pitch, _ = axes.angles
    if abs(yaw) > MAX_YAW:
        return f"the face is turned {abs(yaw):.0f} degrees"
    return f"the face is tilted {abs(pitch):.0f} degrees" if abs(pitch) > MAX_PITCH else ""


def _turns_away(side: str, axes: Axes) -> bool:
    """Whether an eye is the far one of a face that is turned."""
    yaw = axes.angles[0]
    return bool(yaw > MAX_FAR_YAW if side == "left" else yaw < -MAX_FAR_YAW)


def _eye(found: _Found, side: str, shapes: Shapes, axes: Axes, seen: Visibility) -> None:
    """Measure an eye's opening and share, and its brow's height."""
    (shrink_x, shrink_y), unit = axes.foreshortening, (axes.scale**2)
    unit *= shrink_x * shrink_y
    eye, lids = shapes.find(f"{side}_eye"), shapes.find(f"{side}_eyelid")
    areas = [0 if s is None else s.area / unit for s in (eye, lids)]
    opening, share, brow_height = (
        f"{side}_{n}" for n in ("eye_opening", "eye_share", "brow_height")
    )
    there = areas[0] + areas[1] >= MIN_EYE_AND_LIDS or areas[0] >= MIN_EYE
    if not there:
        found.miss((opening, share, brow_height), f"the {side} eye cannot be seen")
        return
    if eye is not None and (areas[0] >= MIN_EYE or areas[1] >= MIN_LIDS_OF_CLOSED):
        found.put(opening, *_ratio(eye.height / shrink_y, eye.width / shrink_x, eye.border_error))
    elif lids is not None and areas[1] >= MIN_LIDS_OF_CLOSED:
        error = lids.border_error / (0.36 * axes.scale)
        found.put(opening, 0.0, error)
    if lids is None or areas[1] < MIN_LIDS_OF_CLOSED / 2:
        found.miss((share,), f"the lids of the {side} eye cannot be seen")
    else:
        found.put(share, *_share(eye, lids))
    brow = shapes.find(f"{side}_eyebrow")
    if brow is None or seen.share(f"{side}_eyebrow") < MIN_VISIBLE:
        found.miss((brow_height,), f"the {side} eyebrow is covered")
    else:
        point = axes.eyes[1 if side == "left" else 0] - axes.origin
        height = (float(point @ axes.down) - brow.down) / shrink_y / axes.scale
        found.put(brow_height, height, brow.border_error / axes.scale)


def _share(eye: Shape | None, lids: Shape) -> tuple[float, float]:
    """Return eye over eye and lids, and its standard error."""
    area = 0 if eye is None else eye.area
    total = area + lids.area
    around = math.pi * lids.width
    error = lids.border_error * around / total
    return area / total, error / 2


def _ratio(height: float, width: float, border: float) -> tuple[float, float]:
    """Return height over width, and its standard error from that of the border.

    A width is less certain than a height: a corner is where two borders meet at a small angle.
    """
    share = math.hypot(border / max(height, border), 2.5 * border / width)
    return height / width, height / width * share


def _mouth(found: _Found, shapes: Shapes, axes: Axes) -> None:
    mouth, upper, lower = (shapes.find(*n) for n in (MOUTH, ("upper_lip",), ("lower_lip",)))
    shrink_x, shrink_y = axes.foreshortening
    names = ("mouth_opening", "upper_lip_thickness", "lower_lip_thickness")
    if mouth is None or upper is None or lower is None:
        found.miss(names, "the mouth cannot be seen")
        return
    width = mouth.width / shrink_x
    inner = shapes.find("mouth_interior")
    # The mean height over the mouth's width, so that a slit and a wide gap are on one scale.
    gap = 0.0 if inner is None else 4 * inner.area / (math.pi * mouth.width) / shrink_y
    error = mouth.border_error / shrink_y
    found.put(
        "mouth_opening", gap / width, math.hypot(error / width, gap / width * 2.5 * error / width)
    )
    for name, lip in (("upper_lip_thickness", upper), ("lower_lip_thickness", lower)):
        thickness = lip.area / lip.width / shrink_y / axes.scale
        found.put(name, thickness, error / axes.scale)


def _eye_shares_alone(found: _Found, regions: RegionMasks) -> None:
    """Measure what needs no axes: the share of each eye in eye and lids."""
    for side in SIDES:
        eye, lids = regions.area(f"{side}_eye"), regions.area(f"{side}_eyelid")
        if lids < 12 or eye + lids < 24:
            found.miss((f"{side}_eye_share",), f"the {side} eye cannot be seen")
            continue
        error = math.sqrt(lids) / (eye + lids)
        found.put(f"{side}_eye_share", eye / (eye + lids), error)


def _colours(found: _Found, image: Image, regions: RegionMasks, axes: Axes) -> None:
    turned = _turned(axes)
    if turned:
        found.miss((m.name for m in MEASURES if m.group == COLOUR), turned)
        return
    values, errors, reasons = measure_patches(image, regions, axes)
    for name, value in values.items():
        found.put(name, value, errors.get(name))
    found.reasons |= reasons


def _unusable_picture(found: _Found) -> str:
    v = found.values
    if v.get("sharpness", 1) < MIN_SHARPNESS:
        return "blurred"
    if v.get("exposure", 1) < MIN_EXPOSURE:
        return "too dark"
    return "overexposed or too dark" if v.get("clipped", 0) > MAX_CLIPPED else ""


def _unusable(found: _Found, axes: Axes, seen: Visibility) -> str:
    if axes.scale < MIN_SCALE:
        return f"too small: less than {MIN_SCALE:.0f} pixels between the eyes"
    if turned := _turned(axes):
        return turned
    if seen.cut() > MAX_CUT:
        return "cut off by the frame's edge"
    return "covered" if found.values["face_visible"] < MIN_FACE_VISIBLE else ""
