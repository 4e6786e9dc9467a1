"""Find every face in a video and say, pixel by pixel, what is skin, eye, lip or hair.

>>> import facereg
>>> result = facereg.parse("portrait.jpg")            # doctest: +SKIP
>>> result.faces[0].regions.area("lips")              # doctest: +SKIP
>>> for result in facereg.process("in.mp4"):          # doctest: +SKIP
...     print(result.frame.time, len(result.faces))
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from ._version import __version__

# ONNX Runtime reads this when it is imported, by us or by a plugin: it then keeps no device id and
# no store of events under the home directory, and reports nothing.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from ._api import open_masks as open_masks
    from ._api import parse as parse
    from ._api import process as process
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

# Public name -> the module that has it; loaded when it is first asked for.
_PUBLIC = {
    **dict.fromkeys(
        ("Detector", "EndRun", "Run", "Segmenter", "Sink", "Source", "Status"), "components"
    ),
    **dict.fromkeys(
        ("FaceregError", "ModelError", "PluginError", "SinkError", "SourceError", "UsageError"),
        "errors",
    ),
    **dict.fromkeys(
        ("Box", "Detection", "Face", "Frame", "FrameResult", "RegionMasks", "SourceInfo"), "types"
    ),
    "hookimpl": "hookspecs",
    "open_masks": "_api",
    "parse": "_api",
    "process": "_api",
}

__all__ = ["__version__", *sorted(_PUBLIC)]  # noqa: PLE0604  (names, made from the table above)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name == "regions":
        return importlib.import_module(".regions", __name__)
    if name not in _PUBLIC:
        raise AttributeError(f"module 'facereg' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
