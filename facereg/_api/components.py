"""The components that a call names, built and closed together."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from ..checks import describe_component, wrap_errors
from ..components import Detector, Segmenter, Source
from ..errors import FaceregError, PluginError, UsageError
from ..privacy.guard import NEAR_DETECTOR, WHOLE_DETECTOR, Guard
from ..registry.registry import Registry, split_spec

#: The components of a run that names none.
DETECTOR, SEGMENTER = "mtcnn", "pspnet"


def build_segmenter(registry: Registry, spec: str, smooth: bool | None) -> Segmenter:
    """Build a segmenter; if it can smooth, ``smooth`` switches that on or off.

    Raises:
        UsageError: ``smooth`` is given, and the segmenter cannot smooth.
    """
    name = split_spec(spec)[0]
    if smooth is not None and "smooth" not in registry.find("segmenter", name).options():
        raise UsageError(f"segmenter {name}: has no smoothing; leave --smooth and --no-smooth out")
    return cast(Segmenter, registry.build("segmenter", spec, smooth=smooth))


def build_guard(registry: Registry, spec: str | None) -> Guard | None:
    """Build what searches for faces that are only to be hidden.

    Args:
        registry: finds the detectors.
        spec: the detector of whole frames; ``none`` builds no guard; None is the default one.
    """
    if spec == "none":
        return None
    whole = registry.build("detector", WHOLE_DETECTOR if spec is None else spec)
    try:
        return Guard(whole, registry.build("detector", NEAR_DETECTOR))
    except BaseException:
        whole.close()
        raise


def close_component(kind: str, component: Source | Detector | Segmenter) -> None:
    """Close a component; what it raises becomes a `FaceregError` that names it."""
    with wrap_errors(describe_component(kind, component), None, PluginError):
        component.close()


def keep_after_fork(process: int, *components: object) -> None:
    """In a fork of the process that made them, keep components from ever being destroyed.

    The destructor of an ONNX Runtime session waits for its threads, and a forked process has none
    of them: it would wait for ever, at the latest when the interpreter ends.
    """
    if os.getpid() != process:
        for component in components:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(component))


class Loaded:
    """A detector and a segmenter, with a lock for each: a component takes one call at a time."""

    def __init__(self, registry: Registry, detector: str, segmenter: str) -> None:
        self.registry = registry
        with ExitStack() as opened:
            self.detector: Detector = registry.build("detector", detector)
            opened.callback(close_component, "detector", self.detector)
            self.segmenter = build_segmenter(registry, segmenter, None)
            opened.pop_all()
        weakref.finalize(self, keep_after_fork, os.getpid(), self.detector, self.segmenter)
        self.detecting, self.segmenting = threading.Lock(), threading.Lock()

    def close(self) -> None:
        """Close both, when neither is at work."""
        with self.detecting, self.segmenting, ExitStack() as opened:
            opened.callback(close_component, "detector", self.detector)
            opened.callback(close_component, "segmenter", self.segmenter)


class Models:
    """Loads a detector and a segmenter when they are first needed, once a process.

    Threads of ONNX Runtime and OpenCV do not survive a fork, so a forked process loads its own.
    What its parent loaded stays where it is: see `keep_after_fork`.

    Args:
        detector, segmenter: ``NAME`` or ``NAME:option=value,…``.
        plugins: plugin files to load first.
    """

    def __init__(self, detector: str, segmenter: str, plugins: Iterable[str | Path] = ()) -> None:
        self.detector, self.segmenter = detector, segmenter
        self.plugins = tuple(map(str, plugins))
        self._registry: Registry | None = None
        self._by_process: dict[int, _OnceLoaded] = {}
        self._closed = False

    def load(self) -> Loaded:
        """Return the components of this process.

        Raises:
            FaceregError: they cannot be found or loaded, or were closed.
        """
        # A lock that another thread held during the fork stays locked, so each process has its own.
        once = self._by_process.setdefault(os.getpid(), _OnceLoaded())
        with once.lock:
            if self._closed:
                raise FaceregError("this FaceParser is closed; make another one")
            if once.loaded is None:
                if self._registry is None:
                    self._registry = Registry(self.plugins)
                once.loaded = Loaded(self._registry, self.detector, self.segmenter)
            return once.loaded

    def close(self) -> None:
        """Close what this process loaded. It can be called again."""
        once = self._by_process.setdefault(os.getpid(), _OnceLoaded())
        with once.lock:
            self._closed = True
            loaded, once.loaded = once.loaded, None
        if loaded is not None:
            loaded.close()


class _OnceLoaded:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loaded: Loaded | None = None
