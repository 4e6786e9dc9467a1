"""The detector, in a thread of its own: it looks at coming frames while others are parsed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ..types import Detection, Frame

Found = tuple[Detection, ...]


class Scout:
    """Detects ahead.

    What is found in a frame depends on the frame alone, so that it does not matter when, and a
    frame that was looked at in vain costs time only.

    Args:
        detect: finds the faces of a frame; called from one thread, a frame at a time.
    """

    def __init__(self, detect: Callable[[Frame], Found]) -> None:
        self._detect = detect
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="facereg-detector")
        self._sent: dict[int, Future[Found]] = {}

    def send(self, frame: Frame) -> None:
        """Begin with a frame that will be asked for."""
        if frame.index not in self._sent:
            self._sent[frame.index] = self._thread.submit(self._detect, frame)

    def fetch(self, frame: Frame) -> Found:
        """Give what is in a frame; frames before it will not be asked for any more.

        Raises:
            FaceregError: the detector failed on this frame.
        """
        for index in [i for i in self._sent if i < frame.index]:
            self._sent.pop(index).cancel()
        self.send(frame)
        return self._sent.pop(frame.index).result()

    def close(self) -> None:
        """Wait for what the detector is at, and drop the rest."""
        self._thread.shutdown(cancel_futures=True)
