"""Show chosen regions alone in a window of their own, everything else black."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..components import FindView, Sink
from ..errors import UsageError
from ..hookspecs import hookimpl
from ..views import view as built_in
from .window import WindowSink


class IsolatedSink(WindowSink):
    """A window that begins with the chosen regions; its keys are those of every window."""

    name = "isolated"

    def __init__(
        self,
        *,
        regions: tuple[str, ...],
        mirror: bool | None = None,
        folder: Path = Path(),
        fullscreen: bool = False,
        hold: float = 1.0,
        find_view: FindView = built_in,
    ) -> None:
        """Find the display; the window opens with the source.

        Args:
            regions: what is shown, as eyes+lips.
            mirror: whether it shows everything mirrored; none: as a camera wishes.
            folder: for the snapshots and recordings that are made by keys.
            fullscreen: whether it fills the screen.
            hold: seconds for which each of several separate pictures is shown.
            find_view: finds a view by name; the registry gives its own.

        Raises:
            SinkError: there is no display, or no such folder.
            UsageError: an unknown region, or none.
        """
        if not regions or not all(regions):
            raise UsageError(f"sink {self.name}: regions=: name some, as regions=eyes+lips")
        super().__init__(
            view=f"isolated:{'+'.join(regions)}",
            mirror=mirror,
            folder=folder,
            fullscreen=fullscreen,
            hold=hold,
            find_view=find_view,
        )


@hookimpl
def register_sinks() -> Iterable[type[Sink]]:
    """Return the sinks of this module."""
    return [IsolatedSink]
