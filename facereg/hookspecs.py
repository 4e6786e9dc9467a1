"""The hooks by which a plugin says what it has. pluggy calls each once, when plugins are loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pluggy

from .components import Detector, Segmenter, Sink, Source
from .types import Image

#: What this facereg expects of a plugin. A plugin module may set ``api_version``; one that needs a
#: higher number than this is not loaded.
API_VERSION = 1

hookspec = pluggy.HookspecMarker("facereg")
hookimpl = pluggy.HookimplMarker("facereg")


@hookspec
def register_sources() -> Iterable[type[Source]]:
    """Return source classes."""
    raise NotImplementedError


@hookspec
def register_detectors() -> Iterable[type[Detector]]:
    """Return detector classes."""
    raise NotImplementedError


@hookspec
def register_segmenters() -> Iterable[type[Segmenter]]:
    """Return segmenter classes."""
    raise NotImplementedError


@hookspec
def register_sinks() -> Iterable[type[Sink]]:
    """Return sink classes."""
    raise NotImplementedError


@hookspec
def register_views() -> Mapping[str, Callable[..., Image]]:
    """Return views: a name, and a function that draws a `facereg.FrameResult` as a new picture.

    A function of one argument, the result, is named as ``NAME``. One of two arguments also takes
    class ids, ``tuple[int, ...]``, and is named as ``NAME:REGION+REGION``. Keyword-only parameters
    are options. The picture is (h, w, 3) uint8 BGR, of one size for all frames of one size.
    """
    raise NotImplementedError
