"""A source for facereg: change `__init__` and `frames`, keep the rest."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

import facereg

api_version = 1


class MySource(facereg.Source):
    """Makes N seconds of a moving pattern: ``my-source:N``.

    Options:
        width: pixels.
        height: pixels.
        fps: frames a second.
    """

    name = "my-source"

    def __init__(self, spec: str, *, width: int = 320, height: int = 240, fps: int = 25) -> None:
        # Open what the user named here, so that a mistake is reported before anything else starts.
        try:
            seconds = float(spec)
        except ValueError:
            message = f"my-source:{spec}: must be seconds, as my-source:3"
            raise facereg.SourceError(message) from None
        self.info = facereg.SourceInfo(
            name=f"my-source:{spec}",
            width=width,
            height=height,
            fps=Fraction(fps),
            live=False,  # True if frames come in real time: they may be dropped
            frame_count=round(seconds * fps),
        )

    def frames(self) -> Iterator[facereg.Frame]:
        """Yield the frames; this runs in the reader thread."""
        info = self.info
        across, down = np.arange(info.width), np.arange(info.height)[:, None]
        for i in range(info.frame_count or 0):
            # A new array each time, because frames wait in a queue while the next is made.
            image = np.empty((info.height, info.width, 3), np.uint8)
            image[..., 0] = (across + 4 * i) % 256
            image[..., 1] = (down + 2 * i) % 256
            image[..., 2] = (across + down) % 256
            yield facereg.Frame(image, index=i, time=float(i / (info.fps or 1)))

    def close(self) -> None:
        """Release what was opened; called even if not all frames were read."""


@facereg.hookimpl
def register_sources() -> list[type[facereg.Source]]:
    """Name the source to facereg."""
    return [MySource]
