from __future__ import annotations

import threading
import time

import pytest

from facereg.pipeline.channel import Channel, End


def test_items_come_out_in_order_and_then_the_end() -> None:
    channel: Channel[int] = Channel(4, drop_oldest=False)
    for i in range(3):
        assert channel.put(i)
    channel.end()
    assert [channel.get(0.1) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(End):
        channel.get(0.1)


def test_a_live_channel_keeps_the_newest_and_counts_the_rest() -> None:
    channel: Channel[int] = Channel(1, drop_oldest=True)
    for i in range(5):
        channel.put(i)
    assert channel.get(0.1) == 4
    assert channel.dropped == 4


def test_a_full_channel_makes_the_reader_wait_and_loses_nothing() -> None:
    channel: Channel[int] = Channel(2, drop_oldest=False)
    reader = threading.Thread(target=lambda: [channel.put(i) for i in range(50)])
    reader.start()
    got = [channel.get(1.0) for _ in range(50)]
    reader.join()
    assert got == list(range(50))
    assert channel.dropped == 0


def test_get_returns_none_when_nothing_comes() -> None:
    channel: Channel[int] = Channel(1, drop_oldest=False)
    start = time.monotonic()
    assert channel.get(0.02) is None
    assert time.monotonic() - start < 2


def test_waiting_items_are_delivered_before_the_readers_error() -> None:
    channel: Channel[int] = Channel(4, drop_oldest=False)
    channel.put(1)
    channel.end(OSError("the disk went away"))
    assert channel.get(0.1) == 1
    with pytest.raises(OSError, match="the disk went away"):
        channel.get(0.1)


def test_a_reader_that_waits_is_freed_when_the_consumer_leaves() -> None:
    channel: Channel[int] = Channel(1, drop_oldest=False)
    channel.put(0)
    answer: list[bool] = []
    reader = threading.Thread(target=lambda: answer.append(channel.put(1)))
    reader.start()
    channel.close()
    reader.join(5)
    assert answer == [False]
