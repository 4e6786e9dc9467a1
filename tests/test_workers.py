"""Threads that share work."""

from __future__ import annotations

import threading

import pytest

from facereg.workers import Workers, cores


def test_as_many_threads_as_cores_unless_told_otherwise() -> None:
    assert cores() >= 1
    assert (Workers().threads, Workers(3).threads) == (cores(), 3)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_things(threads: int) -> None:
    workers = Workers(threads)
    assert workers.map(pow, range(20), [2] * 20) == [i**2 for i in range(20)]
    assert workers.map(pow, [], []) == []
    workers.close()


def test_two_things_are_done_at_once() -> None:
    workers, both = Workers(2), threading.Barrier(2)
    assert sorted(workers.map(lambda _: both.wait(5), "ab")) == [0, 1]
    workers.close()


def test_one_thing_is_done_by_the_caller() -> None:
    assert Workers(2).map(lambda _: threading.current_thread(), "a") == [threading.current_thread()]


def test_the_caller_goes_on_while_a_thread_works() -> None:
    workers, go = Workers(2), threading.Event()
    (done,) = workers.start(go.wait, [5])
    assert not done.done()
    go.set()
    assert done.result()
    workers.close()


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        Workers(2).map(lambda x: 1 // x, [1, 0])
