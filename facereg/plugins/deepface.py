"""Every detector of the deepface package, as ``deepface:backend=NAME``.

deepface prints to stdout, changes the environment and the warning filters, and makes folders under
the home directory. This module contains all of that.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..components import Detector
from ..errors import PluginError, UsageError, missing_extra, nearest
from ..hookspecs import hookimpl
from ..types import Box, Detection, Frame, Image

log = logging.getLogger(__name__)

#: Our order of landmarks, in deepface's words; both mean the person's own sides.
LANDMARKS = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")


class DeepfaceDetector(Detector):
    """Finds faces with one of deepface's back ends, such as opencv, yunet, retinaface, yolov8n.

    Most need another package, or weights that are downloaded at first use: into
    ``$DEEPFACE_HOME/.deepface/weights``, or ``~/.deepface/weights`` if that exists, or else
    ``~/.cache/facereg/.deepface/weights``.

    Options:
        backend: one of deepface's detectors.
        align: whether deepface searches a frame padded by half on each side.
        score: minimum score of a face, 0 to 1; its meaning differs between back ends.
    """

    name = "deepface"

    def __init__(self, *, backend: str = "opencv", align: bool = False, score: float = 0.0) -> None:
        if not 0 <= score <= 1:
            raise UsageError(f"detector deepface: score={score}: must be from 0 to 1")
        self._backend, self._align, self._score = backend, align, score
        self._home = _home()
        with _contained(self._home), _weights_folder(self._home):
            known = _backends()
            if backend not in known:
                raise UsageError(f"detector deepface: backend={backend}: {nearest(backend, known)}")
            try:
                # Some load only now, and a camera should not be opened in vain.
                self._answers(np.zeros((64, 64, 3), np.uint8))
            except Exception as e:  # whatever a back end does when it is built
                raise PluginError(
                    f"detector deepface: backend {backend}: {_reason(e, self._home)}"
                ) from e

    def detect(self, frame: Frame) -> Sequence[Detection]:
        """Find the faces of a frame."""
        with _contained(self._home):
            answers = self._answers(frame.image.copy())  # some back ends write into it
        found = []
        for answer in answers:
            one = _detection(answer)
            if one.box.area and one.score >= self._score and not _is_whole(one, frame):
                found.append(one)
        return found

    def _answers(self, image: Image) -> Sequence[Mapping[str, Any]]:
        from deepface.modules import detection

        answers: Sequence[Mapping[str, Any]] = detection.extract_faces(
            image,
            detector_backend=self._backend,
            enforce_detection=False,
            align=self._align,
            normalize_face=False,
        )
        return answers


def _backends() -> list[str]:
    """List the detectors of the installed deepface.

    Raises:
        FaceregError: deepface, or something that it needs, is not installed.
    """
    try:
        from deepface.modules import modeling
    except ModuleNotFoundError as e:
        package = str(e.name or "deepface").partition(".")[0]
        raise missing_extra(package, "deepface", "detector deepface") from e
    except ImportError as e:
        raise PluginError(
            f"detector deepface: deepface cannot be imported: {e}: pip install 'facereg[deepface]'"
        ) from e
    return sorted(modeling.AVAILABLE_MODELS["face_detector"])


def _reason(error: Exception, home: Path) -> str:
    """Say in one line what is missing, and what to do."""
    text = " ".join(str(error).split())
    download = re.search(r"downloading (\S+) from (.+?)\. \D*? to (\S+?)\.?$", text)
    if download:
        file, urls, target = download.groups()
        return (
            f"{file} cannot be downloaded from {urls.replace(', ', ' or ')} "
            f"({_cause(error)}); put it into {Path(target).parent}"
        )
    lacking = next(
        (e for e in (error, error.__cause__) if isinstance(e, ModuleNotFoundError)), None
    )
    if lacking is not None:
        package = re.search(r"pip install ([\w.\[\]-]+)", text)
        return (
            f"it needs the module {lacking.name}, which is not installed: pip install "
            f"{package[1] if package else lacking.name}"
        )
    weights = home / ".deepface" / "weights"
    hint = f"; if a file in {weights} is damaged, delete it" if any(weights.glob("*")) else ""
    return f"{type(error).__name__}: {text}{hint}"


def _cause(error: Exception) -> str:
    """Name why a download failed: the server's status, or else the kind of error."""
    cause = error.__cause__
    if isinstance(cause, ValueError) and "status code" in str(cause):
        return f"status {str(cause).rpartition(' ')[2]}"
    return type(cause).__name__


def _detection(answer: Mapping[str, Any]) -> Detection:
    area = answer["facial_area"]
    x, y, w, h = (int(area[key]) for key in "xywh")
    score = min(max(float(answer["confidence"]), 0.0), 1.0)
    return Detection(Box(x, y, x + max(w, 0), y + max(h, 0)), score, _landmarks(area))


def _landmarks(area: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """Take the five landmarks, (5, 2) float32; None if the back end gives fewer."""
    points = [area.get(name) for name in LANDMARKS]
    return None if any(point is None for point in points) else np.array(points, np.float32)


def _is_whole(one: Detection, frame: Frame) -> bool:
    """Recognise deepface's answer for no face: the whole frame, with confidence 0."""
    return (
        one.score == 0 and one.box.width + 1 >= frame.width and one.box.height + 1 >= frame.height
    )


# What deepface does to its surroundings


def _home() -> Path:
    """Find the folder in which deepface is to have its ``.deepface``."""
    if given := os.environ.get("DEEPFACE_HOME"):
        return Path(given)
    if Path("~/.deepface").expanduser().is_dir():
        return Path.home()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "facereg"


@contextmanager
def _weights_folder(home: Path) -> Iterator[None]:
    """Make the folder that a download needs, and remove it again if nothing was downloaded."""
    made = [p for p in (home, home / ".deepface", home / ".deepface" / "weights") if not p.exists()]
    try:
        (home / ".deepface" / "weights").mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise PluginError(
            f"detector deepface: {e.filename}: {e.strerror}; set DEEPFACE_HOME"
        ) from e
    try:
        yield
    finally:
        with suppress(OSError):  # there is something in it
            for folder in reversed(made):
                folder.rmdir()


@contextmanager
def _contained(home: Path) -> Iterator[None]:
    """Let deepface see its home; undo its changes of the environment; log what it prints."""
    before = dict(os.environ)
    os.environ["DEEPFACE_HOME"] = str(home)
    try:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            stack.enter_context(redirect_stdout(_Log()))
            if not sys.stderr.isatty():  # on a terminal, a download's progress is welcome
                stack.enter_context(redirect_stderr(_Log()))
            yield
    finally:
        for key in os.environ.keys() - before.keys():
            del os.environ[key]
        for key, value in before.items():
            if os.environ.get(key) != value:
                os.environ[key] = value


class _Log(io.TextIOBase):
    """A stream whose lines go to the log."""

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.strip():
                log.debug("%s", line.strip())
        return len(text)


@hookimpl
def register_detectors() -> list[type[Detector]]:
    """Register `deepface`."""
    return [DeepfaceDetector]
