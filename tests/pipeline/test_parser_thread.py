"""From a channel of frames to a channel of results."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from facereg import Frame, FrameResult, SourceError
from facereg.pipeline.channel import Channel, End
from facereg.pipeline.parser_thread import ParserThread

IMAGE = np.zeros((4, 4, 3), np.uint8)
MAX_WAIT_SECONDS = 60.0


class Parse:
    """Notes how many frames were ready when each was parsed."""

    def __init__(self) -> None:
        self.ahead: dict[int, list[int]] = {}

    def __call__(self, frame: Frame, coming: Sequence[Frame]) -> FrameResult:
        self.ahead[frame.index] = [one.index for one in coming]
        return FrameResult(frame)


def frames(count: int) -> list[Frame]:
    return [Frame(IMAGE, i, i / 25) for i in range(count)]


def put_all(
    channel: Channel[Frame], items: Sequence[Frame], error: Exception | None = None
) -> None:
    def put() -> None:
        for item in items:
            channel.put(item)
        channel.end(error)

    threading.Thread(target=put, daemon=True).start()


def take(thread: ParserThread) -> int:
    result = thread.results.get(MAX_WAIT_SECONDS)
    assert result is not None
    return result.frame.index


def take_all(thread: ParserThread) -> list[int]:
    found: list[int] = []
    try:
        while True:
            found.append(take(thread))
    except End:
        return found
    finally:
        thread.close()


@pytest.mark.parametrize("look_back", [0, 1, 7])
def test_every_frame_is_parsed_with_as_many_after_it_as_look_back_needs(look_back: int) -> None:
    channel: Channel[Frame] = Channel(2, drop_oldest=False)
    parse = Parse()
    thread = ParserThread(channel, parse, live=False, look_back=look_back)
    thread.start()
    put_all(channel, frames(30))
    assert take_all(thread) == list(range(30))
    for index, ahead in parse.ahead.items():
        assert len(ahead) >= min(look_back, 29 - index)
        assert ahead == list(range(index + 1, index + 1 + len(ahead)))


def test_a_live_frame_waits_for_no_more_than_look_back_needs() -> None:
    channel: Channel[Frame] = Channel(1, drop_oldest=True)
    parse = Parse()
    thread = ParserThread(channel, parse, live=True, look_back=2)
    thread.start()
    for one in frames(2):
        channel.put(one)
        while channel._items:  # until it was taken
            time.sleep(0.01)
    assert thread.results.get(0.2) is None
    channel.put(frames(3)[2])
    assert take(thread) == 0
    channel.end()
    assert take_all(thread) == [1, 2]
    assert parse.ahead[0] == [1, 2]


def test_frames_before_a_read_error_are_parsed() -> None:
    channel: Channel[Frame] = Channel(2, drop_oldest=False)
    thread = ParserThread(channel, Parse(), live=False, look_back=7)
    thread.start()
    put_all(channel, frames(5), SourceError("the cable is out"))
    found = [take(thread) for _ in range(5)]
    with pytest.raises(SourceError, match="the cable is out"):
        take(thread)
    thread.close()
    assert found == [0, 1, 2, 3, 4]


def test_the_duration_ends_it_by_the_sources_time() -> None:
    channel: Channel[Frame] = Channel(2, drop_oldest=False)
    thread = ParserThread(channel, Parse(), live=False, duration=0.2, look_back=3)
    thread.start()
    put_all(channel, frames(30))
    assert take_all(thread) == [0, 1, 2, 3, 4]
    channel.close()


def test_it_can_be_stopped_while_it_waits_for_frames() -> None:
    thread = ParserThread(Channel(1, drop_oldest=True), Parse(), live=True, look_back=2)
    thread.start()
    thread.stop()
    assert take_all(thread) == []
