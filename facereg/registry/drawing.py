"""From a view's name, regions and options to the function that draws it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..checks import check_picture
from ..components import View
from ..errors import FaceregError, PluginError, UsageError
from ..regions import class_ids
from ..types import Face, FrameResult, Image
from .loading import Component, takes_regions

#: Views that hide faces: a run with one of them holds faces through gaps.
HIDING_VIEWS = frozenset({"blur", "pixelate", "fill"})
#: Views whose edges come from probabilities, which a dump does not have.
SOFT_VIEWS = frozenset({"matte"})


class Drawing:
    """A view with its regions and options: a function from a result to a picture.

    Args:
        draw: the view's function, which takes the result alone.
        only: ids of the faces that it is drawn for; None is all that are not excluded.
        excluded: ids of the faces that it is not drawn for; None is none.
        name: the view's.

    Attributes:
        hides: whether it hides faces.
        is_soft: whether its edges come from probabilities.
    """

    def __init__(
        self,
        draw: View,
        only: tuple[int, ...] | None,
        excluded: tuple[int, ...] | None,
        name: str = "",
    ) -> None:
        self.hides, self.is_soft = name in HIDING_VIEWS, name in SOFT_VIEWS
        self._draw, self._only, self._excluded = draw, only, excluded
        self._absent = set((only or ()) + (excluded or ()))

    def __call__(self, result: FrameResult) -> Image:
        """Draw a result as a new (h, w, 3) uint8 BGR picture; a matte in black and white."""
        return _as_luma(self.with_alpha(result))

    def with_alpha(self, result: FrameResult) -> Image:
        """Draw a result as a new picture: (h, w, 4) uint8 BGRA of a matte, else (h, w, 3) BGR."""
        if self._only is not None or self._excluded is not None:
            self._absent.difference_update(face.id for face in result.faces)
            result = chosen_faces(result, self._only, self._excluded or ())
        return self._draw(result)

    @property
    def absent(self) -> tuple[int, ...]:
        """The ids that were asked for and that no drawn result had."""
        return tuple(sorted(self._absent))


def _as_luma(picture: Image) -> Image:
    """Show the alpha of a picture in black and white: (H, W, 3); one without alpha as it is."""
    if picture.shape[2] == 3:
        return picture
    return np.ascontiguousarray(np.repeat(picture[..., 3:], 3, axis=2))


def drawing(component: Component, regions: str, options: dict[str, str]) -> Drawing:
    """Prepare a view for drawing: regions and options are read once, here.

    Args:
        component: of the kind ``view``.
        regions: ``REGION+REGION``, or empty.
        options: what the user wrote, by name; ``only`` and ``except`` belong to every view.

    Raises:
        UsageError: an unknown region or option, a wrong value, or regions for a view that takes
            none, or none for one that needs some.
    """
    name = component.name
    if takes_regions(component.cls, f"view {name}"):
        if not regions:
            raise UsageError(f"view {name!r} needs regions: {name}:REGION+REGION, as {name}:eyes")
        arguments: tuple[Any, ...] = (class_ids(regions.replace(",", "+").split("+")),)
    else:
        if regions:
            raise UsageError(f"view {name!r} takes no regions: write {name}")
        arguments = ()
    values = component.values(options)
    only, excluded = values.pop("only", None), values.pop("except", None)
    if only is not None and excluded is not None:
        raise UsageError(f"view {name}: takes only= or except=, not both")
    draw = component.cls if component.layer == "built-in" else _checked(component)

    def view(result: FrameResult) -> Image:
        picture: Image = draw(result, *arguments, **values)
        return picture

    return Drawing(view, only, excluded, name)


def chosen_faces(
    result: FrameResult, only: tuple[int, ...] | None, excluded: tuple[int, ...]
) -> FrameResult:
    """Keep some faces of a result, by id. A pixel of a face that is left out becomes nobody's.

    Args:
        result: what to choose from.
        only: the ids to keep; None keeps every face that is not excluded.
        excluded: the ids to leave out.
    """

    def wanted(face: Face) -> bool:
        return face.id not in excluded if only is None else face.id in only

    own = {id(face): replace(face, regions=regions) for face, regions in result.owned()}
    faces = tuple(own.get(id(face), face) for face in result.faces if wanted(face))
    return replace(result, faces=faces, held=tuple(filter(wanted, result.held)))


def _checked(component: Component) -> Callable[..., Image]:
    """Wrap a plugin's view, so that an error or a wrong picture is reported as the plugin's."""
    who = f"view {component.name} ({component.origin})"

    @functools.wraps(component.cls)
    def draw(result: FrameResult, *arguments: Any, **options: Any) -> Image:
        try:
            picture = component.cls(result, *arguments, **options)
        except FaceregError:
            raise
        except Exception as e:
            raise PluginError(f"{who}, frame {result.frame.index}: {type(e).__name__}: {e}") from e
        return check_picture(picture, result.frame, who)

    return draw
