"""The views that facereg brings, registered as everybody's are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..hookspecs import hookimpl
from ..types import Image


@hookimpl
def register_views() -> Mapping[str, Callable[..., Image]]:
    """Register overlay, gallery, face, raw, isolated, blur and pixelate."""
    from .. import drawing

    functions = (drawing.overlay, drawing.gallery, drawing.face, drawing.raw)
    with_regions = (drawing.isolated, drawing.blur, drawing.pixelate)
    return {f.__name__: f for f in (*functions, *with_regions)}
