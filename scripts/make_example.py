"""Make examples/astronaut.mp4: a camera move over scikit-image's photograph of an astronaut.

The photograph of Eileen Collins is NASA's and in the public domain; so is the clip. It needs
``pip install -e '.[test]'`` for scikit-image. Usage: ``python scripts/make_example.py [OUT.mp4]``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import skimage.data
from numpy.typing import NDArray

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "astronaut.mp4"

WIDTH, HEIGHT, RATE, COUNT = 480, 360, 25, 100

#: Points of the camera's path: when (0 to 1), centre x and y in the photograph, width of what is
#: seen, tilt in degrees.
PATH = (
    (0.0, 256, 192, 512, 0),
    (0.35, 225, 140, 280, -10),
    (0.65, 215, 135, 240, 12),
    (1.0, 256, 192, 512, 0),
)


def frames() -> list[NDArray[np.uint8]]:
    """Draw the frames, each (HEIGHT, WIDTH, 3) uint8 BGR."""
    photo = np.ascontiguousarray(skimage.data.astronaut()[..., ::-1])
    when, *tracks = (np.array(column, float) for column in zip(*PATH, strict=True))
    eased = (1 - np.cos(np.pi * np.linspace(0, 1, COUNT))) / 2  # start and stop gently
    made = []
    for x, y, seen, tilt in zip(*(np.interp(eased, when, t) for t in tracks), strict=True):
        move = cv2.getRotationMatrix2D((x, y), tilt, WIDTH / seen)
        move[:, 2] += WIDTH / 2 - x, HEIGHT / 2 - y
        picture = cv2.warpAffine(
            photo, move, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
        )
        made.append(np.asarray(picture, np.uint8))
    return made


def write(path: Path) -> None:
    """Encode the clip."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    command += ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(RATE)]
    command += ["-i", "pipe:0", "-c:v", "libx264", "-preset", "veryslow", "-crf", "24"]
    command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames()), check=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE)
