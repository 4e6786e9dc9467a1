"""A bounded hand-over from one thread to another."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class End(Exception):
    """Nothing more will come out of the channel."""


class Channel(Generic[T]):
    """A queue from one producer to one consumer, under one condition.

    The end, an error and the consumer's leaving are flags beside the queue, never items in it, so
    that neither thread can wait for one that has left.

    Args:
        capacity: items that may wait.
        drop_oldest: whether, in a full channel, a new item replaces the oldest instead of waiting.

    Attributes:
        dropped: items that were replaced before anybody took them.
    """

    def __init__(self, capacity: int, drop_oldest: bool) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._drop_oldest = drop_oldest
        self._change = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        self._gone = False
        self.dropped = 0

    def put(self, item: T) -> bool:
        """Hand an item over; wait while the channel is full, unless the oldest may be dropped.

        Returns:
            False if the consumer has left and the producer should stop.
        """
        with self._change:
            if self._drop_oldest and len(self._items) >= self._capacity:
                self._items.popleft()
                self.dropped += 1
            while len(self._items) >= self._capacity and not self._gone:
                self._change.wait()
            if self._gone:
                return False
            self._items.append(item)
            self._change.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """Close from the producer's side: no more items come, perhaps because of an error."""
        with self._change:
            self._ended, self._error = True, error
            self._change.notify_all()

    def get(self, timeout: float) -> T | None:
        """Take the oldest item; None if none comes within ``timeout`` seconds.

        Raises:
            End: the producer has ended and every item has been taken.
            BaseException: the producer's error, after every item has been taken.
        """
        with self._change:
            self._change.wait_for(lambda: self._items or self._ended, timeout)
            if self._items:
                item = self._items.popleft()
                self._change.notify_all()
                return item
            if not self._ended:
                return None
            if self._error is not None:
                raise self._error
            raise End

    def close(self) -> None:
        """Close from the consumer's side: drop queued items and stop the producer."""
        with self._change:
            self._gone = True
            self._items.clear()
            self._change.notify_all()
