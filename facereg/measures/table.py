"""Every measure: its name, unit, meaning and source. Files, docs and reports read this."""

from __future__ import annotations

from typing import NamedTuple

#: The group of measures, in the order of the columns.
SHAPE, POSE, PLACE, VISIBLE, PICTURE, COLOUR = (
    "shape", "pose", "place", "visible", "picture", "colour",
)  # fmt: skip

SIDES = ("left", "right")
PATCHES = ("forehead", "left_cheek", "right_cheek", "chin")
CHANNELS = ("r", "g", "b")
VISIBLE_REGIONS = (
    "face", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "nose", "mouth",
)  # fmt: skip

#: Column of a file that says whether a face's measures should be used (1) or not (0), and why not.
USABLE, REASON = "usable", "unusable_because"


class Measure(NamedTuple):
    """One measure of a face.

    Attributes:
        name: of its column.
        unit: ``px`` pixels of the frame; ``iod`` inter-ocular distances; ``iod/s``; ``deg``
            degrees; ``ratio`` of two lengths or areas; ``share`` 0 to 1; ``linear`` light, 0 to 1.
        meaning: what it is, in one line.
        source: the publication or standard that the definition follows; empty for facereg's own.
        group: one of the groups above.
        has_error: whether ``NAME_se``, its standard error in the same unit, follows it.
        needs: what it cannot be measured without: any of ``landmarks`` and ``picture``.
    """

    name: str
    unit: str
    meaning: str
    source: str = ""
    group: str = SHAPE
    has_error: bool = True
    needs: tuple[str, ...] = ("landmarks",)


EAR = "eye aspect ratio, Soukupová & Čech 2016"
MOMENTS = "ellipse of equal second moments, as scikit-image's regionprops"
BLUR = "blur metric, Crété-Roffet et al. 2007"
SRGB = "IEC 61966-2-1 (sRGB), luminance of ITU-R BT.709"


def _shapes() -> list[Measure]:
    rows = [
        Measure("scale", "px", "distance between the eyes' centres, corrected for the pose"),
        Measure("face_width", "px", "extent of the face's regions along the line of the eyes"),
        Measure("face_height", "px", "extent of the face's regions across that line"),
    ]
    rows += [
        Measure(f"{side}_eye_opening", "ratio", f"height over width of the visible {side} eye", EAR)
        for side in SIDES
    ]
    rows += [
        Measure(
            f"{side}_eye_share", "share", f"{side} eye over {side} eye and eyelids, areas", needs=()
        )
        for side in SIDES
    ]
    rows.append(
        Measure("mouth_opening", "ratio", "inner height of the mouth over its width", MOMENTS)
    )
    rows += [
        Measure(f"{lip}_lip_thickness", "iod", f"mean thickness of the {lip} lip", MOMENTS)
        for lip in ("upper", "lower")
    ]
    rows += [
        Measure(f"{side}_brow_height", "iod", f"centre of the {side} brow above that of the eye")
        for side in SIDES
    ]
    return rows


def _poses() -> list[Measure]:
    turns = {
        "yaw": "turn to the side; positive: the face turns to the person's own left",
        "pitch": "nod; positive: the face looks up",
        "roll": "lean; positive: the head leans to the person's own left, clockwise in the picture",
    }
    source = "perspective-n-point, OpenCV's solvePnP"
    return [Measure(name, "deg", meaning, source, POSE) for name, meaning in turns.items()]


def _places() -> list[Measure]:
    return [
        Measure("center_x", "iod", "point between the eyes, from the frame's left edge", "", PLACE),
        Measure("center_y", "iod", "the same, from the frame's upper edge", "", PLACE),
        Measure("speed", "iod/s", "speed of that point since the face's last frame", "", PLACE),
    ]


def _visible() -> list[Measure]:
    return [
        Measure(
            f"{region}_visible",
            "share",
            f"part of the {region.replace('_', ' ')} that nothing hides and the frame shows",
            group=VISIBLE,
            has_error=False,
        )
        for region in VISIBLE_REGIONS
    ]


def _pictures() -> list[Measure]:
    def row(name: str, unit: str, meaning: str, source: str) -> Measure:
        return Measure(name, unit, meaning, source, PICTURE, has_error=False, needs=("picture",))

    return [
        row("sharpness", "share", "1 less the blur of the face's box", BLUR),
        row("exposure", "linear", "mean luminance of the skin", SRGB),
        row("clipped", "share", "share of the skin with a channel at 0 to 2 or 253 to 255", ""),
    ]


def _colours() -> list[Measure]:
    needs = ("landmarks", "picture")
    rows = []
    for patch in PATCHES:
        place = patch.replace("_", " ")
        for kind in ("mean", "median"):
            name = patch if kind == "mean" else f"{patch}_median"
            rows += [
                Measure(
                    f"{name}_{c}", "linear", f"{kind} {c.upper()} of the skin of the {place}", SRGB,
                    COLOUR, kind == "mean", needs,
                )
                for c in CHANNELS
            ]  # fmt: skip
        rows.append(
            Measure(
                f"{patch}_pixels", "px", f"pixels of that skin, {place}", "", COLOUR,
                has_error=False, needs=needs,
            )
        )  # fmt: skip
    return rows


#: Every measure, in the order of the columns.
MEASURES: tuple[Measure, ...] = (
    *_shapes(), *_poses(), *_places(), *_visible(), *_pictures(), *_colours(),
)  # fmt: skip

BY_NAME: dict[str, Measure] = {measure.name: measure for measure in MEASURES}


def columns() -> tuple[str, ...]:
    """Return the names of the columns of a file: measures, each before its standard error.

    >>> columns()[:2], columns()[-2:]
    (('scale', 'scale_se'), ('usable', 'unusable_because'))
    """
    names = [
        name
        for measure in MEASURES
        for name in (measure.name, *([f"{measure.name}_se"] if measure.has_error else []))
    ]
    return (*names, USABLE, REASON)
