"""What a server and the process of a camera say to each other, over two pipes.

The server writes lines of JSON to the process's stdin; their end tells it to stop:

| line | meaning |
|---|---|
| ``{"argv": […], "name": …, "folder": …}`` | the first one: what to run |
| ``{"want": ["h264", "jpeg", "figures"]}`` | what somebody looks at |
| ``{"keyframe": true}`` | somebody new looks: the next picture of h264 must stand alone |
| ``{"do": KEY}`` | press a key |
| ``{"ask": "snapshot" or "masks", "id": N, "format": "jpg" or "png"}`` | send one picture |

The process writes messages to its stdout: the lengths of a JSON object and of the bytes that belong
to it, then both.

| event | with it |
|---|---|
| ``opened`` | width, height, fps, live |
| ``state`` | counters, and what is shown |
| ``jpeg`` | ``frame``; the picture |
| ``init`` | ``codec``; the beginning of a fragmented MP4 |
| ``fragment`` | ``frame``, ``key``, ``at``; one picture as a fragment of it |
| ``figures`` | ``line``: what ``frames.jsonl`` has of a frame |
| ``answer`` | ``id``; the picture that was asked for |
| ``log`` | ``level``, ``text`` |
| ``result`` | ``totals`` |
| ``error`` | ``text``, ``code`` |
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from typing import Any

HEAD = struct.Struct(">II")

#: Most bytes of the two parts of a message.
MAX_JSON, MAX_PAYLOAD = 1 << 24, 1 << 28


def pack(event: str, values: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """Write a message.

    >>> len(pack("log", {"text": "hello"}))
    43
    """
    head = json.dumps({"event": event, **values}).encode()
    return HEAD.pack(len(head), len(payload)) + head + payload


async def read_message(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    """Read a message.

    Raises:
        EOFError: there is none any more, or it is damaged.
    """
    try:
        lengths = HEAD.unpack(await reader.readexactly(HEAD.size))
        if lengths[0] > MAX_JSON or lengths[1] > MAX_PAYLOAD:
            raise EOFError
        head = json.loads(await reader.readexactly(lengths[0]))
        return head, await reader.readexactly(lengths[1])
    except (asyncio.IncompleteReadError, ValueError, ConnectionError) as e:
        raise EOFError from e


def encode_line(value: Mapping[str, Any]) -> bytes:
    """Write a line for the process."""
    return json.dumps(value).encode() + b"\n"
