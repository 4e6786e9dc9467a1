"""The cores of this machine, and threads that share work among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Threads for work that releases Python's lock: OpenCV, NumPy, ONNX Runtime.

    Attributes:
        threads: how many there are.
    """

    def __init__(self, threads: int = 0) -> None:
        """Start none yet; 0 takes as many as there are cores."""
        self.threads = threads or cores()
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="facereg-worker")

    def start(self, work: Callable[..., T], *args: Iterable[Any]) -> list[Future[T]]:
        """Call ``work`` with each item in the background; return a future for each call."""
        return [self._pool.submit(work, *call) for call in zip(*args, strict=True)]

    def map(self, work: Callable[..., T], *args: Iterable[Any]) -> list[T]:
        """Call ``work`` with each item; return the results in the order of the items."""
        calls = list(zip(*args, strict=True))
        if self.threads == 1 or len(calls) < 2:
            return [work(*call) for call in calls]
        return list(self._pool.map(lambda call: work(*call), calls))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
