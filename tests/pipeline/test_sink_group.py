"""The sinks of a run, treated as one."""

from __future__ import annotations

import pytest

from facereg import EndRun, FrameResult, Run, Sink, SinkError, SourceInfo
from facereg.pipeline.sink_group import SinkGroup
from facereg.testing import some_result

INFO = SourceInfo("test", 64, 48)


class Notes(Sink):
    """Notes what happens to it; fails where it is told to."""

    def __init__(self, label: str, log: list[str], fails: str = "") -> None:
        self.name = label  # type: ignore[misc]
        self.log, self._fails = log, fails

    def _note(self, what: str) -> None:
        self.log.append(f"{what} {self.name}")
        if what == self._fails:
            raise OSError("connection refused")

    def open(self, info: SourceInfo, run: Run) -> None:
        self._note("open")

    def write(self, result: FrameResult) -> None:
        self._note("write")

    def tick(self) -> None:
        self._note("tick")

    def close(self) -> None:
        self._note("close")
        self.outputs = (f"{self.name}.txt",)
        self.report = {"from": self.name}


def run(group: SinkGroup) -> BaseException | None:
    error = None
    try:
        group.open(INFO, Run())
        for i in range(2):
            group.write(some_result(i))
            group.tick()
    except SinkError as e:
        error = e
    return group.close(error)


@pytest.mark.parametrize("when", ["open", "write", "tick"])
def test_a_sink_that_fails_is_dropped_and_the_others_go_on(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []
    group = SinkGroup([Notes("a", log), Notes("b", log, when), Notes("c", log)], "drop")
    assert run(group) is None
    assert [line for line in log if line.endswith("c")] == [
        "open c", "write c", "tick c", "write c", "tick c", "close c",
    ]  # fmt: skip
    assert log.count("close b") == 1
    assert log.index("close b") == log.index(f"{when} b") + 1
    assert set(group.dropped) == {"b"}
    assert "OSError: connection refused" in group.dropped["b"]
    assert "this sink is dropped, the others go on" in caplog.text
    assert sorted(group.outputs) == ["a.txt", "b.txt", "c.txt"]


def test_the_last_sink_is_not_dropped() -> None:
    log: list[str] = []
    group = SinkGroup([Notes("a", log, "write"), Notes("b", log, "tick")], "drop")
    assert "sink b" in str(run(group))
    assert set(group.dropped) == {"a"}


def test_a_sink_that_fails_ends_the_run_by_default() -> None:
    log: list[str] = []
    group = SinkGroup([Notes("a", log), Notes("b", log, "write"), Notes("c", log)])
    error = run(group)
    assert isinstance(error, SinkError)
    assert "frame 0: OSError: connection refused" in str(error)
    assert log == [
        "open a", "open b", "open c", "write a", "write b", "close c", "close b", "close a",
    ]  # fmt: skip


def test_an_output_that_cannot_be_finished_is_an_error_even_if_others_were_dropped() -> None:
    log: list[str] = []
    group = SinkGroup([Notes("a", log, "close"), Notes("b", log, "write")], "drop")
    assert "sink a" in str(run(group))


def test_a_sink_may_end_the_run() -> None:
    class Quitting(Notes):
        def write(self, result: FrameResult) -> None:
            raise EndRun

    group = SinkGroup([Quitting("a", []), Notes("b", [])], "drop")
    group.open(INFO, Run())
    with pytest.raises(EndRun):
        group.write(some_result(0))
    assert group.close() is None
    assert group.dropped == {}


def test_time_is_counted_under_the_sinks_name_or_its_own_stages() -> None:
    class Staged(Notes):
        stages = {"draw": 2.0, "encode": 3.0}

    group = SinkGroup([Notes("a", []), Staged("b", [])])
    assert run(group) is None
    assert set(group.stages) == {"a", "draw", "encode"}
    assert group.reports == {"a": {"from": "a"}, "b": {"from": "b"}}
