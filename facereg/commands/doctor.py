"""``facereg doctor``: check this installation, and say how to mend what does not work."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from .._version import __version__
from ..errors import FaceregError, clean_text
from ..models import example, find_models, folders
from ..pipeline.processor import Processor
from ..pipeline.settings import Settings
from ..registry.registry import Registry
from ..sources.webcam import cameras
from ..video import encoders
from ..video.run import executable, output_lines
from . import options
from .opencv import installed_opencvs, opencv_clash
from .python_process import python_command
from .terminal import print_json

#: Opens a window system in a process of its own: it may hang, or end the process that asks.
DISPLAY = "import pygame; pygame.display.init(); print(pygame.display.get_driver())"

#: How long it may take on a busy machine.
DISPLAY_SECONDS = 60

#: What SDL falls back to if there is nothing to show a window on.
NO_DISPLAY = ("dummy", "offscreen")


#: The model that pspnet takes unless another is named, and how much of the example is run.
DEFAULT_MODEL, RUN_SECONDS = "base", 0.12


@dataclass(frozen=True)
class Check:
    """A finding about one thing.

    Attributes:
        name: the thing.
        state: ``ok``; ``none`` if it is absent and not needed; ``warning`` if something beyond a
            default run does not work; ``error`` if a default run does not.
        detail: one line for people.
        found: the same for programs.
    """

    name: str
    state: Literal["ok", "none", "warning", "error"]
    detail: str
    found: Any = field(default=None)


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns 1 if something that a default run needs is broken, else 0."""
    checks = [check for probe in PROBES for check in _safely(probe)]
    if args.json:
        fine = all(check.state in ("ok", "none") for check in checks)
        print_json({"ok": fine, "checks": [asdict(check) for check in checks]}, indent=2)
    else:
        for check in checks:
            print(f"{check.state:<9}{check.name:<16}{clean_text(check.detail)}")
    return int(any(check.state == "error" for check in checks))


def _safely(probe: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Run one probe; an exception is a finding, too."""
    try:
        yield from probe()
    except Exception as e:  # a broken installation may raise anything at all
        reason = str(e) if isinstance(e, FaceregError) else f"{type(e).__name__}: {e}"
        name = probe.__name__.strip("_").replace("_", " ")
        yield Check(name, "error", " ".join(reason.split()))


def _python() -> Iterator[Check]:
    version = platform.python_version()
    yield Check("facereg", "ok", f"{__version__} on Python {version}, {platform.platform()}")
    yield Check("cpu", "ok", f"{os.cpu_count()} cores, {platform.machine()}", os.cpu_count())


def _packages() -> Iterator[Check]:
    """Compare what is installed with what facereg requires."""
    installed: dict[str, str] = {}
    missing: list[str] = []
    try:
        requirements = importlib.metadata.requires("facereg") or []
    except importlib.metadata.PackageNotFoundError:
        yield Check("packages", "warning", "facereg is not installed: pip install -e . does it")
        return
    for requirement in requirements:
        name, _, marker = requirement.partition(";")
        name = re.split(r"[^\w.-]", name.strip(), maxsplit=1)[0]
        if name == "facereg":
            continue  # one of its extras names another
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if not marker:
                missing.append(name)
    listed = ", ".join(f"{name} {version}" for name, version in installed.items())
    if missing:
        yield Check("packages", "error", f"missing: {', '.join(missing)}; pip install them")
    yield Check("versions", "ok", listed, installed)


def _opencv() -> Iterator[Check]:
    """Check OpenCV, and whether several of them overwrote one another."""
    import cv2

    versions = installed_opencvs()
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    if clash := opencv_clash(versions):
        yield Check("opencv", "warning", clash, versions)
    elif not hasattr(cv2, "CascadeClassifier"):
        cure = "pip install 'opencv-python>=4.10,<5'"
        yield Check(
            "opencv", "warning", f"{named}: the detector haar cannot work: {cure}", versions
        )
    else:
        yield Check("opencv", "ok", named or cv2.__version__, versions)
    registry = cv2.videoio_registry
    compiled = (*registry.getStreamBackends(), *registry.getCameraBackends())
    backends = sorted({registry.getBackendName(b) for b in compiled if registry.hasBackend(b)})
    state: Literal["ok", "error"] = "ok" if "FFMPEG" in backends else "error"
    yield Check("video reading", state, ", ".join(backends), backends)


def _encoders() -> Iterator[Check]:
    """List which encoders of the bundled ffmpeg work here."""
    version = next(iter(output_lines("-version"))).split()[2]
    yield Check("ffmpeg", "ok", version, {"version": version, "path": executable()})
    working = encoders.working_encoders()
    listed = "; ".join(f"{codec}: {', '.join(names) or '-'}" for codec, names in working.items())
    yield Check("encoders", "ok" if working["h264"] else "error", listed, working)


def _display() -> Iterator[Check]:
    environment = {**os.environ, "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    try:
        done = subprocess.run(
            python_command(DISPLAY), env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=DISPLAY_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        yield Check("display", "warning", "the window system does not answer; -w will not work")
        return
    driver = done.stdout.strip()
    if done.returncode == 0 and driver not in NO_DISPLAY:
        yield Check("display", "ok", driver, driver)
        return
    reason = done.stderr.strip().splitlines()[-1:] if done.returncode else []
    yield Check("display", "none", f"{(*reason, 'none')[0]}; only -w and -i need one")


def _cameras() -> Iterator[Check]:
    if sys.platform != "linux":
        yield Check("cameras", "none", "cannot be listed here; try facereg info 0")
        return
    found = cameras()
    listed = ", ".join(f"{path} ({label})" if label else path for path, label in found.items())
    yield Check("cameras", "ok" if found else "none", listed or "none", found)


def _models() -> Iterator[Check]:
    models = find_models()
    for model in models:
        state: Literal["ok", "warning", "error"] = "ok"
        if model.state != "ok":
            state = "error" if model.name == DEFAULT_MODEL else "warning"
        cure = "" if state == "ok" else "; install facereg again"
        yield Check(f"model {model.name}", state, f"{model.state}: {model.path}{cure}", model.state)
    if not models:
        looked = ", ".join(map(str, folders()))
        yield Check("models", "error", f"none in {looked}; install facereg again")


def _default_run() -> Iterator[Check]:
    """Do what ``facereg run SOURCE -o OUT.mp4`` does, for a few frames of the example."""
    registry = Registry()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.mp4"
        totals = Processor(
            registry.open_source(str(example())),
            registry.build("detector", options.DETECTOR.keywords["default"]),
            registry.build("segmenter", options.SEGMENTER.keywords["default"]),
            [registry.build("sink", "mp4", path=path)],
            Settings(duration=RUN_SECONDS),
        ).run()
        size = path.stat().st_size
    found = {"frames": totals.frames, "faces": totals.faces, "bytes": size}
    done = f"{totals.frames} frames, {totals.faces} faces, a video of {size} bytes"
    yield Check("default run", "ok" if totals.faces else "error", done, found)


PROBES = (
    _python,
    _packages,
    _opencv,
    _encoders,
    _display,
    _cameras,
    _models,
    _default_run,
)
