"""What a run keeps from frame to frame, so that another run can continue where it ended.

A *state* is a mapping of plain JSON values and numpy arrays, nested in any way. It is stored
without pickle, and every number comes back exactly as it was.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .types import Frame, FrameResult

State = Mapping[str, Any]

#: The key that marks an array's number in place of the array.
ARRAY = "__array__"

#: Bytes of the checksum that a stored state begins with.
CHECKSUM_BYTES = hashlib.sha256().digest_size


class Stateful(Protocol):
    """A part of the pipeline that may remember earlier frames: the tracker, the segmenter."""

    def state(self) -> State | None:
        """Return what is kept from frame to frame; None if it cannot be told."""

    def restore(self, state: State) -> None:
        """Continue from what `state` returned in another run, before the first frame."""


class FrameParser(Stateful, Protocol):
    """What finds and parses the faces of one frame after another."""

    def parse(self, frame: Frame, coming: Sequence[Frame]) -> FrameResult:
        """Find and parse the faces of the frame after the last one."""


class Resume(Protocol):
    """What lets a run continue exactly where an earlier one was cut off.

    Attributes:
        cached: frames whose faces an earlier run had parsed.
    """

    cached: int

    def parse(self, frame: Frame, coming: Sequence[Frame], parser: FrameParser) -> FrameResult:
        """Return the faces of a frame: those that the earlier run found, or else the parser's.

        Called by one thread for every frame, in order, after the sinks have been opened.
        """


def pack(state: State) -> bytes:
    """Write a state as bytes.

    Raises:
        TypeError: something in it is neither a plain JSON value nor an array of plain values.
    """
    arrays: list[NDArray[Any]] = []
    text = np.frombuffer(json.dumps(_plain(state, arrays)).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, text, *arrays)
    data = file.getvalue()
    return hashlib.sha256(data).digest() + data


def unpack(data: bytes) -> dict[str, Any]:
    """Read what `pack` wrote; tuples have become lists.

    Raises:
        ValueError: a byte of it is missing or another.
    """
    checksum, rest = data[:CHECKSUM_BYTES], data[CHECKSUM_BYTES:]
    if hashlib.sha256(rest).digest() != checksum:
        raise ValueError("a stored state is damaged")
    with np.load(io.BytesIO(rest), allow_pickle=False) as stored:
        text, *arrays = (stored[f"arr_{i}"] for i in range(len(stored.files)))
    found: dict[str, Any] = _whole(json.loads(text.tobytes()), arrays)
    return found


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """Take the arrays out of a value, and leave their numbers in it."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError(f"an array of {value.dtype} cannot be stored")
        arrays.append(value)
        return {ARRAY: len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not text")
        return {key: _plain(item, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, arrays) for item in value]
    return value


def _whole(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """Put the arrays back into a value."""
    if isinstance(value, dict):
        if ARRAY in value:
            return arrays[value[ARRAY]]
        return {key: _whole(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item, arrays) for item in value]
    return value
