"""Are the measures right? Against drawn labels, against themselves, and against a landmark model.

Usage:
    python -m benchmarks.measures labels FACES [--count N] [--plot FILE.png]
    python -m benchmarks.measures retest [CLIP …]
    python -m benchmarks.measures mesh PYTHON CLIP …

``labels`` measures portraits whose regions are drawn by hand (a folder with images/, labels/ and
val.txt), once with the masks of the default model and once with the drawn ones, and prints for each
measure the bias, the limits of agreement of Bland and Altman (1986), and the share of faces whose
true value lies within two standard errors. The detector's landmarks are the same for both.

``retest`` measures clips again at other sizes, brighter and darker, and coded with more loss, and
prints the difference to the original as a share of the range (5th to 95th percentile) of the
measure in these clips.

``mesh`` compares openings with those of MediaPipe's Face Mesh. PYTHON is an interpreter with
mediapipe 0.10.14, whose wheel holds the model.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

import facereg
from facereg.measures.face import measure_face
from facereg.types import Box, Image, Measures, RegionMasks
from tests import clips

NAMES = (
    "scale", "face_width", "face_height",
    "left_eye_opening", "right_eye_opening", "left_eye_share", "right_eye_share",
    "mouth_opening", "upper_lip_thickness", "lower_lip_thickness",
    "left_brow_height", "right_brow_height", "center_x", "center_y",
)  # fmt: skip

#: Those that are the same at any size.
SHAPES = NAMES[3:-2]

#: Measures of which the other side's should be the same.
SIDES = ("eye_opening", "eye_share", "brow_height")

Floats = NDArray[np.float64]


# --- against drawn labels ------------------------------------------------------------------------


def pairs_of_labels(folder: Path, count: int) -> Iterator[tuple[Measures, Measures]]:
    """Measure portraits with the model's masks, and with the drawn ones."""
    names = (folder / "val.txt").read_text().split()[:count]
    for name in names:
        stem = Path(name).stem
        (image,) = (folder / "images").glob(f"{stem}.*")
        result = facereg.parse(image)
        if not result.faces:
            continue
        drawn = np.asarray(PIL.Image.open(folder / "labels" / f"{stem}.png"))
        face = max(result.faces, key=lambda face: face.detection.box.area)
        height, width = drawn.shape
        truth = RegionMasks(Box(0, 0, width, height), np.where(drawn == 255, 0, drawn))
        yield face.measures, measure_face(face.detection, truth, result.frame.image)


def labels(args: argparse.Namespace) -> None:
    """Compare with drawn labels."""
    found = list(pairs_of_labels(args.folder, args.count))
    print(f"{len(found)} portraits\n")
    print("| measure | faces | mean | bias | limits of agreement | within two errors |")
    print("|---|---|---|---|---|---|")
    drawn: dict[str, tuple[Floats, Floats]] = {}
    for name in NAMES:
        rows = [
            (ours[name], true[name], ours.errors.get(name, np.nan))
            for ours, true in found
            if ours.usable and np.isfinite([ours[name], true[name]]).all()
        ]
        ours, true, errors = np.array(rows, np.float64).T
        bias, spread = float(np.mean(ours - true)), 1.96 * float(np.std(ours - true))
        within = np.mean(np.abs(ours - true) <= 2 * errors)
        print(
            f"| `{name}` | {len(rows)} | {np.mean(true):.3g} | {bias:+.2g} | "
            f"{bias - spread:+.2g} to {bias + spread:+.2g} | {100 * within:.0f} % |"
        )
        drawn[name] = ours, true
    print("\nBetween the two sides, in drawn labels and in masks (Pearson's r):")
    for name in SIDES:
        for which, k in (("masks", 0), ("drawn", 1)):
            both = [
                (pair[k][f"left_{name}"], pair[k][f"right_{name}"])
                for pair in found
                if np.isfinite([pair[k][f"{side}_{name}"] for side in ("left", "right")]).all()
            ]
            print(f"  {name:12} {which:6} {correlation(*np.array(both).T):.3f} ({len(both)} faces)")
    if args.plot is not None:
        plot(drawn, args.plot)


def plot(drawn: Mapping[str, tuple[Floats, Floats]], path: Path) -> None:
    """Draw Bland-Altman plots of the measures that are used most."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    names = ("left_eye_opening", "mouth_opening", "left_brow_height", "upper_lip_thickness")
    figure, axes = plt.subplots(1, 4, figsize=(15, 3.6), layout="constrained")
    for axis, name in zip(axes, names, strict=True):
        ours, true = drawn[name]
        difference = ours - true
        bias, spread = difference.mean(), 1.96 * difference.std()
        axis.scatter((ours + true) / 2, difference, s=8, alpha=0.5, color="#1f6f5c")
        for level, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
            axis.axhline(level, color="black", linewidth=1, linestyle=style)
        axis.set_title(name.replace("_", " "), fontsize=11)
        axis.set_xlabel("mean of mask and drawing")
    axes[0].set_ylabel("mask less drawing")
    figure.savefig(path, dpi=110)


# --- against themselves --------------------------------------------------------------------------


def brighter(gain: float) -> Callable[[Image], Image]:
    """Return a change of the light."""
    return lambda image: np.clip(image.astype(np.float32) * gain, 0, 255).astype(np.uint8)


def resized(share: float) -> Callable[[Image], Image]:
    """Return a change of the size."""
    return lambda image: np.asarray(cv2.resize(image, None, fx=share, fy=share), np.uint8)


CHANGES: Mapping[str, Callable[[Image], Image]] = {
    "half size": resized(0.5), "double size": resized(2.0),
    "darker by a third": brighter(0.67), "brighter by a third": brighter(1.33),
}  # fmt: skip


#: Frame number and measures of one person; None for a frame that should not be used.
Rows = list[tuple[int, Measures | None]]


def table(source: Path) -> dict[int, Rows]:
    """Measure each person of a clip, frame by frame."""
    found: dict[int, Rows] = {}
    for result in facereg.process(source, detect_every=1):
        for face in result.faces:
            kept = face.measures if face.measures.usable else None
            found.setdefault(face.id, []).append((result.frame.index, kept))
    return found


def values(name: str, found: Mapping[int, Rows]) -> dict[tuple[int, int], float]:
    """Collect one measure by person and frame."""
    return {
        (person, index): measures[name]
        for person, rows in found.items()
        for index, measures in rows
        if measures is not None and np.isfinite(measures[name])
    }


def retest(args: argparse.Namespace) -> None:
    """Measure changed clips, and compare with the unchanged ones."""
    sources = args.clips or [clips.carphone_path()]
    rows: dict[str, dict[str, tuple[Floats, Floats]]] = {}
    ranges: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, source in enumerate(sources):
            original = table(source)
            for name in NAMES:
                ranges.setdefault(name, []).extend(values(name, original).values())
            for change, path in changed(source, Path(folder), number):
                again = table(path)
                for name in NAMES:
                    one, two = values(name, original), values(name, again)
                    both = sorted(one.keys() & two.keys())
                    pair = np.array([[one[k] for k in both], [two[k] for k in both]], np.float64)
                    before = rows.setdefault(name, {}).get(change, np.zeros((2, 0)))
                    rows[name][change] = np.concatenate([before, pair], axis=1)
    changes = list(next(iter(rows.values())))
    print("| measure | range | " + " | ".join(changes) + " |")
    print("|---|---|" + "---|" * len(changes))
    for name in NAMES:
        if name not in SHAPES:
            continue  # pixels change with the size
        low, high = np.percentile(ranges[name], [5, 95])
        cells = [
            f"{100 * np.median(np.abs(one - two)) / (high - low):.1f} % "
            f"({correlation(one, two):.2f})"
            if one.size
            else "too small"
            for one, two in (rows[name][change] for change in changes)
        ]
        print(f"| `{name}` | {high - low:.3g} | " + " | ".join(cells) + " |")
    print("\nMedian difference as a share of the range; in brackets, Pearson's r.")


def changed(source: Path, folder: Path, number: int) -> Iterator[tuple[str, Path]]:
    """Write changed copies of a clip."""
    frames = clips.decoded(source)
    for what, change in CHANGES.items():
        path = folder / f"{number}-{what.replace(' ', '-')}.mkv"
        clips.write_clip(path, map(change, frames))
        yield what, path
    path = folder / f"{number}-coded.mp4"
    clips.ffmpeg("-i", source, "-c:v", "libx264", "-crf", "32", "-an", path)
    yield "coded with CRF 32", path


def correlation(one: Floats, two: Floats) -> float:
    """Compute Pearson's r."""
    return float(np.corrcoef(one, two)[0, 1]) if len(one) > 2 else float("nan")


# --- against a landmark model --------------------------------------------------------------------

#: What runs in the other interpreter: a JSON line a frame with the openings, from the points of
#: Soukupová and Čech for the eyes, and the inner lips' height over the mouth's width.
MESH = r"""
import json, sys
import cv2, numpy as np
import mediapipe as mp
mesh = mp.solutions.face_mesh.FaceMesh(refine_landmarks=True, max_num_faces=1)
video = cv2.VideoCapture(sys.argv[1])
def apart(p, a, b): return float(np.linalg.norm(p[a] - p[b]))
def eye(p, left, right, pairs):
    return sum(apart(p, a, b) for a, b in pairs) / len(pairs) / apart(p, left, right)
while True:
    there, image = video.read()
    if not there:
        break
    found = mesh.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).multi_face_landmarks
    if not found:
        print("null")
        continue
    size = np.array([image.shape[1], image.shape[0]])
    p = np.array([[q.x, q.y] for q in found[0].landmark]) * size
    print(json.dumps({
        "left_eye_opening": eye(p, 362, 263, [(385, 380), (387, 373)]),
        "right_eye_opening": eye(p, 33, 133, [(160, 144), (158, 153)]),
        "mouth_opening": (apart(p, 13, 14) + apart(p, 81, 178) + apart(p, 311, 402)) / 3
        / apart(p, 61, 291),
    }))
"""


def mesh(args: argparse.Namespace) -> None:
    """Compare openings with Face Mesh."""
    print("| clip | measure | frames | Pearson's r | range in Face Mesh |")
    print("|---|---|---|---|---|")
    for clip in args.clips:
        out = subprocess.run(
            [args.python, "-c", MESH, clip], capture_output=True, text=True, check=True
        ).stdout
        theirs = [json.loads(line) for line in out.splitlines()]
        found = table(clip)
        person = max(found, key=lambda key: len(found[key]))
        ours = {index: measures for index, measures in found[person] if measures is not None}
        for name in ("left_eye_opening", "right_eye_opening", "mouth_opening"):
            both = np.array(
                [
                    (measures[name], theirs[index][name])
                    for index, measures in ours.items()
                    if index < len(theirs) and theirs[index] and np.isfinite(measures[name])
                ]
            )
            low, high = np.percentile(both[:, 1], [5, 95])
            print(
                f"| {clip.name} | `{name}` | {len(both)} | {correlation(*both.T):.3f} | "
                f"{low:.2f} to {high:.2f} |"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("labels")
    command.add_argument("folder", type=Path)
    command.add_argument("--count", type=int, default=300)
    command.add_argument("--plot", type=Path)
    command.set_defaults(run=labels)
    command = commands.add_parser("retest")
    command.add_argument("clips", type=Path, nargs="*")
    command.set_defaults(run=retest)
    command = commands.add_parser("mesh")
    command.add_argument("python")
    command.add_argument("clips", type=Path, nargs="+")
    command.set_defaults(run=mesh)
    args = parser.parse_args(arguments)
    args.run(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
