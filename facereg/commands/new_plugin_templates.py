"""The plugins that ``facereg new-plugin`` writes: each runs as it is.

In every text ``$name`` is what users call the component, ``$Class`` its class, ``$module`` the
module that it is in, ``$package`` the distribution, and ``$version`` the facereg that wrote it.
"""

from __future__ import annotations

DETECTOR = '''\
"""A detector for facereg: change `detect`, keep the rest."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import facereg
import numpy as np

api_version = 1


class $Class(facereg.Detector):
    """Finds areas of skin colour; replace it by what you know of faces.

    Options:
        least: share of the frame's width that a face must have.
    """

    name = "$name"

    def __init__(self, *, least: float = 0.08) -> None:
        # Load a model here: this runs once, before the source is opened.
        if not 0 < least <= 1:
            raise facereg.UsageError(f"detector $name: least={least}: must be from 0 to 1")
        self._least = least

    def detect(self, frame: facereg.Frame) -> Sequence[facereg.Detection]:
        """Find the faces of a frame. ``frame.image`` is (H, W, 3) uint8 BGR and read-only."""
        colors = cv2.cvtColor(frame.image, cv2.COLOR_BGR2YCrCb)
        skin = cv2.inRange(colors, (100, 138, 95), (255, 180, 135))
        size = max(1, round(self._least * frame.width / 3))
        skin = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))
        _, _, areas, _ = cv2.connectedComponentsWithStats(skin)
        found = []
        for x, y, width, height, pixels in areas[1:].tolist():  # the first is all that is no skin
            if width >= self._least * frame.width and 0.7 < height / width < 2.5:
                box = facereg.Box(x, y, x + width, y + height)
                found.append(facereg.Detection(box, score=pixels / box.area))
        return found


@facereg.hookimpl
def register_detectors() -> list[type[facereg.Detector]]:
    return [$Class]
'''

SEGMENTER = '''\
"""A segmenter for facereg: change `segment`, keep the rest."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import facereg
import numpy as np
from facereg.regions import IDS

api_version = 1


#: Where parts of a face are, in sides of its box.
EYES, NOSE, MOUTH = ((0.3, 0.4), (0.7, 0.4)), (0.5, 0.6), (0.5, 0.78)


class $Class(facereg.Segmenter):
    """Draws the same simple face into every box; replace it by what a model says.

    Options:
        fill: share of the box's sides that the skin has.
    """

    name = "$name"

    def __init__(self, *, fill: float = 0.9) -> None:
        # Load a model here: this runs once, before the source is opened.
        if not 0 < fill <= 1:
            raise facereg.UsageError(f"segmenter $name: fill={fill}: must be from 0 to 1")
        self._fill = fill

    def segment(
        self, frame: facereg.Frame, detections: Sequence[facereg.Detection]
    ) -> Sequence[facereg.RegionMasks]:
        """Parse all faces of a frame; answer in the same order.

        A face's labels are uint8 class ids at frame resolution, and its box is inside the frame.
        """
        found = []
        for whole in (detection.box for detection in detections):
            labels = self._face(whole.width, whole.height)
            box = whole.clip(frame.width, frame.height)
            rows = slice(box.y0 - whole.y0, box.y1 - whole.y0)
            columns = slice(box.x0 - whole.x0, box.x1 - whole.x0)
            found.append(facereg.RegionMasks(box, labels[rows, columns]))
        return found

    def _face(self, width: int, height: int) -> np.ndarray:
        labels = np.zeros((height, width), np.uint8)

        def draw(part: str, place: tuple[float, float], across: float, down: float) -> None:
            middle = (round(place[0] * width), round(place[1] * height))
            axes = (round(across / 2 * width), round(down / 2 * height))
            cv2.ellipse(labels, middle, axes, 0, 0, 360, IDS[part], cv2.FILLED)

        draw("skin", (0.5, 0.5), self._fill, self._fill)
        draw("right_eye", EYES[0], 0.16, 0.07)  # the person's right, the picture's left
        draw("left_eye", EYES[1], 0.16, 0.07)
        draw("nose", NOSE, 0.16, 0.2)
        draw("lower_lip", MOUTH, 0.35, 0.1)
        return labels


@facereg.hookimpl
def register_segmenters() -> list[type[facereg.Segmenter]]:
    return [$Class]
'''

SOURCE = '''\
"""A source for facereg: change `__init__` and `frames`, keep the rest."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import facereg
import numpy as np

api_version = 1


class $Class(facereg.Source):
    """Makes so many seconds of a moving pattern: ``$name:3``.

    Options:
        width: pixels.
        height: pixels.
        fps: frames a second.
    """

    name = "$name"

    def __init__(self, spec: str, *, width: int = 320, height: int = 240, fps: int = 25) -> None:
        # Open what the user named here, so that a mistake is told before anything else starts.
        try:
            seconds = float(spec)
        except ValueError:
            message = f"$name:{spec}: must be seconds, as $name:3"
            raise facereg.SourceError(message) from None
        self.info = facereg.SourceInfo(
            name=f"$name:{spec}",
            width=width,
            height=height,
            fps=Fraction(fps),
            live=False,  # True for what comes in real time: its frames may be dropped
            frame_count=round(seconds * fps),
        )

    def frames(self) -> Iterator[facereg.Frame]:
        """Yield the frames; this runs in the reader thread."""
        info = self.info
        across, down = np.arange(info.width), np.arange(info.height)[:, None]
        for i in range(info.frame_count or 0):
            # A new array each time: frames wait in a queue while the next is made.
            image = np.empty((info.height, info.width, 3), np.uint8)
            image[..., 0] = (across + 4 * i) % 256
            image[..., 1] = (down + 2 * i) % 256
            image[..., 2] = (across + down) % 256
            yield facereg.Frame(image, index=i, time=float(i / (info.fps or 1)))

    def close(self) -> None:
        """Release what was opened; also called when not all frames were read."""


@facereg.hookimpl
def register_sources() -> list[type[facereg.Source]]:
    return [$Class]
'''

SINK = '''\
"""A sink for facereg: change `write`, keep the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import facereg

api_version = 1


class $Class(facereg.Sink):
    """Writes a line of text for each frame: its time, and where its faces are.

    Options:
        path: the file to write; ``$name:FILE`` for short.
        overwrite: whether a file that exists is replaced.
    """

    name = "$name"

    def __init__(self, *, path: Path, overwrite: bool = False) -> None:
        self._path, self._overwrite = path, overwrite
        self._file: TextIO | None = None

    def open(self, info: facereg.SourceInfo, run: facereg.Run) -> None:
        """Get ready; called once, before the first frame."""
        if self._path.exists() and not self._overwrite:
            raise facereg.SinkError(f"{self._path} exists: $name:{self._path},overwrite=yes")
        self._file = self._path.open("w", encoding="utf-8")

    def write(self, result: facereg.FrameResult) -> None:
        """Take one frame and its faces; this runs in the main thread, so be quick."""
        boxes = "  ".join(f"{face.id}: {tuple(face.detection.box)}" for face in result.faces)
        assert self._file is not None
        self._file.write(f"{result.frame.time:8.3f}  {boxes}\\n")

    def close(self) -> None:
        """Finish; called once, even if `open` failed."""
        if self._file is None:
            return
        self._file.close()
        self.outputs = (str(self._path),)


@facereg.hookimpl
def register_sinks() -> list[type[facereg.Sink]]:
    return [$Class]
'''

PLUGINS = {"detector": DETECTOR, "segmenter": SEGMENTER, "source": SOURCE, "sink": SINK}

_DETECTOR_TEST = '''\
"""What every detector promises, checked on $Class; add what yours promises."""

from facereg.testing import DetectorContract

from $module import $Class


class Test$Class(DetectorContract):
    component = $Class
'''

_SEGMENTER_TEST = '''\
"""What every segmenter promises, checked on $Class; add what yours promises."""

from facereg.testing import SegmenterContract

from $module import $Class


class Test$Class(SegmenterContract):
    component = $Class
'''

_SOURCE_TEST = '''\
"""What every source promises, checked on $Class; add what yours promises."""

from pathlib import Path

from facereg.testing import SourceContract

from $module import $Class


class Test$Class(SourceContract):
    component = $Class
    missing = "no number"

    def make_spec(self, tmp_path: Path) -> str:
        return "2"
'''

_SINK_TEST = '''\
"""What every sink promises, checked on $Class; add what yours promises."""

from pathlib import Path

from facereg.testing import SinkContract

from $module import $Class


class Test$Class(SinkContract):
    component = $Class

    def make(self, tmp_path: Path) -> $Class:
        return $Class(path=tmp_path / "out.txt")
'''

TESTS = {
    "detector": _DETECTOR_TEST,
    "segmenter": _SEGMENTER_TEST,
    "source": _SOURCE_TEST,
    "sink": _SINK_TEST,
}

#: How each kind is used on the command line.
USES = {
    "detector": "facereg run in.mp4$plugin -d $name -o out.mp4",
    "segmenter": "facereg run in.mp4$plugin -s $name -o out.mp4",
    "source": "facereg run $name:3$plugin -o out.mp4",
    "sink": "facereg run in.mp4$plugin --sink $name:out.txt",
}

PROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "$package"
version = "0.1.0"
description = "A $kind for facereg"
readme = "README.md"
requires-python = ">=3.10"
dependencies = ["facereg>=$version"]

[project.optional-dependencies]
test = ["pytest"]

# facereg finds the plugin by this.
[project.entry-points.facereg]
$name = "$module"

[tool.setuptools]
py-modules = ["$module"]
"""

README = """\
# $package

A $kind for [facereg](https://pypi.org/project/facereg/), named `$name`.

    pip install .
    $use

Tests: `pip install -e '.[test]' && pytest`
"""
