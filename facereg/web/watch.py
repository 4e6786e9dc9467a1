"""One pair of eyes: what is sent to somebody who looks at a camera, and what is dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Stream = Literal["h264", "jpeg", "figures", "nothing"]

#: Fragments of video, and lines of figures, that wait for a viewer before some are dropped.
MAX_FRAGMENTS, MAX_LINES = 12, 500


@dataclass(frozen=True)
class Item:
    """Something to send.

    Attributes:
        values: what is said with it, as plain JSON values.
        data: the picture, or nothing.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    data: bytes = b""


class Watch:
    """What waits to be sent to one viewer. Used by the server's one thread.

    Nobody waits for a viewer: of pictures only the newest waits, and of video, of which each
    fragment needs those before it, everything up to the next key picture is dropped.

    Args:
        stream: what is looked at.

    Attributes:
        needs_key: whether the viewer can show nothing before a key picture comes.
        dropped: pictures that were not sent.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.needs_key = stream == "h264"
        self.dropped = 0
        self._items: deque[Item] = deque()
        self._state: Mapping[str, Any] | None = None
        self._changed = asyncio.Event()
        self._closed = False

    def picture(self, item: Item) -> None:
        """Take a picture in place of one that still waits."""
        self.dropped += len(self._items)
        self._items.clear()
        self._append(item)

    def line(self, item: Item) -> None:
        """Take a line of figures; the oldest is dropped if too many wait."""
        if len(self._items) >= MAX_LINES:
            self._items.popleft()
            self.dropped += 1
        self._append(item)

    def fragment(self, item: Item, init: Item, *, key: bool) -> None:
        """Take a fragment of video.

        Args:
            item: the fragment.
            init: the beginning of the video that it belongs to.
            key: whether it stands alone.
        """
        if len(self._items) >= MAX_FRAGMENTS:
            self.dropped += len(self._items)
            self._items.clear()
            self.needs_key = True
        if self.needs_key:
            if not key:
                self.dropped += 1
                return
            self.needs_key = False
            self._append(init)
        self._append(item)

    def state(self, values: Mapping[str, Any]) -> None:
        """Take the newest state of the camera."""
        self._state = values
        self._changed.set()

    def close(self) -> None:
        """Let the viewer go."""
        self._closed = True
        self._changed.set()

    async def take(self) -> tuple[Mapping[str, Any] | None, list[Item]]:
        """Wait for something to send.

        Returns:
            The state, if it changed, and items.

        Raises:
            EOFError: the viewer is to go.
        """
        await self._changed.wait()
        if self._closed:
            raise EOFError
        self._changed.clear()
        items, state = list(self._items), self._state
        self._items.clear()
        self._state = None
        return state, items

    def _append(self, item: Item) -> None:
        self._items.append(item)
        self._changed.set()
