"""Find every face in a video and say, pixel by pixel, what is skin, eye, lip or hair.

>>> import facereg
>>> result = facereg.parse("portrait.jpg")
>>> len(result.faces), result.faces[0].regions.area("lips") > 100
(1, True)
>>> with facereg.process("in.mp4") as run:
...     times = [result.frame.time for result in run]
>>> times[:3]
[0.0, 0.04, 0.08]
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from ._version import __version__

# ONNX Runtime reads this when it is imported, by us or by a plugin: it then keeps no device id and
# no store of events under the home directory, and reports nothing.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:  # the table below, for type checkers; a test holds the two together
    from ._api import FaceParser as FaceParser
    from ._api import open_masks as open_masks
    from ._api import parse as parse
    from ._api import process as process
    from ._api import read_stats as read_stats
    from .components import Detector as Detector
    from .components import EndRun as EndRun
    from .components import Run as Run
    from .components import Segmenter as Segmenter
    from .components import Sink as Sink
    from .components import Source as Source
    from .components import Status as Status
    from .errors import FaceregError as FaceregError
    from .errors import ModelError as ModelError
    from .errors import PluginError as PluginError
    from .errors import SinkError as SinkError
    from .errors import SourceError as SourceError
    from .errors import UsageError as UsageError
    from .hookspecs import hookimpl as hookimpl
    from .types import Box as Box
    from .types import Detection as Detection
    from .types import Face as Face
    from .types import Frame as Frame
    from .types import FrameResult as FrameResult
    from .types import RegionMasks as RegionMasks
    from .types import SourceInfo as SourceInfo

# The public names of each module, which is loaded when one of them is first asked for.
_PUBLIC = {
    "_api": ("FaceParser", "open_masks", "parse", "process", "read_stats"),
    "components": ("Detector", "EndRun", "Run", "Segmenter", "Sink", "Source", "Status"),
    "errors": (
        "FaceregError",
        "ModelError",
        "PluginError",
        "SinkError",
        "SourceError",
        "UsageError",
    ),
    "hookspecs": ("hookimpl",),
    "types": ("Box", "Detection", "Face", "Frame", "FrameResult", "RegionMasks", "SourceInfo"),
}
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}

#: Modules that are public as a whole.
_PUBLIC_MODULES = ("errors", "regions", "testing", "types")

__all__ = ["__version__", *sorted(_MODULES)]  # noqa: PLE0604  (names, made from the table above)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_PUBLIC_MODULES})


def __getattr__(name: str) -> Any:
    if name in _PUBLIC_MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module 'facereg' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
