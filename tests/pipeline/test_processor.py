from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from facereg import (
    Box,
    Detection,
    Detector,
    EndRun,
    Frame,
    FrameResult,
    PluginError,
    RegionMasks,
    Run,
    Segmenter,
    Sink,
    SinkError,
    Source,
    SourceError,
    SourceInfo,
    Status,
)
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings


class Numbers(Source):
    """Frames whose first pixel is their number, read by whatever thread asks."""

    name = "numbers"

    def __init__(self, count: int, *, live: bool = False, fail_at: int | None = None) -> None:
        self.info = SourceInfo("numbers", 16, 16, live=live, stills=not live)
        self._count, self._fail_at = count, fail_at
        self.closed = 0
        self.thread = ""

    def frames(self) -> Iterator[Frame]:
        self.thread = threading.current_thread().name
        for i in range(self._count):
            if i == self._fail_at:
                raise OSError("the cable is out")
            image = np.full((16, 16, 3), i % 256, np.uint8)
            yield Frame(image, i, i / 25)

    def close(self) -> None:
        self.closed += 1


class One(Detector):
    name = "one"

    def __init__(self, *, fail_at: int | None = None, delay: float = 0.0) -> None:
        self._fail_at, self._delay = fail_at, delay

    def detect(self, frame: Frame) -> Sequence[Detection]:
        time.sleep(self._delay)
        if frame.index == self._fail_at:
            raise ZeroDivisionError("division by zero")
        return [Detection(Box(2, 2, 14, 14), 0.9)]


class Skin(Segmenter):
    name = "skin"

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        return [
            RegionMasks(d.box, np.ones((d.box.height, d.box.width), np.uint8)) for d in detections
        ]


class Notes(Sink):
    """Remembers everything that happened to it."""

    name = "notes"

    def __init__(self, log: list[str] | None = None, *, label: str = "notes") -> None:
        self.results: list[FrameResult] = []
        self.log = [] if log is None else log
        self.label = label
        self.ticks = 0

    def open(self, info: SourceInfo, run: Run) -> None:
        self.run = run
        self.log.append(f"open {self.label}")

    def write(self, result: FrameResult) -> None:
        self.results.append(result)

    def tick(self) -> None:
        self.ticks += 1

    def close(self) -> None:
        self.log.append(f"close {self.label}")


class Failing(Notes):
    def write(self, result: FrameResult) -> None:
        if result.frame.index == 3:
            raise OSError("no space left")


def test_every_frame_arrives_once_in_order() -> None:
    source, sink = Numbers(40), Notes()
    totals = Processor(source, One(), Skin(), [sink]).run()
    assert [r.frame.index for r in sink.results] == list(range(40))
    assert all(r.faces[0].regions is not None for r in sink.results)
    assert (totals.frames, totals.faces, totals.dropped) == (40, 40, 0)
    assert {"read", "detect", "segment", "notes"} <= set(totals.stages)
    assert source.closed == 1
    assert source.thread == "facereg-reader"


def test_results_can_be_iterated_without_sinks() -> None:
    results = list(Processor(Numbers(5), One(), Skin()).results())
    assert [r.frame.index for r in results] == [0, 1, 2, 3, 4]


def test_leaving_the_iteration_early_closes_the_source() -> None:
    source = Numbers(1000)
    results = Processor(source, One(), Skin()).results()
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert source.closed == 1


def test_a_live_source_drops_what_nobody_has_time_for_and_counts_it() -> None:
    sink = Notes()
    totals = Processor(Numbers(300, live=True), One(delay=0.01), None, [sink]).run()
    assert totals.dropped > 0
    assert totals.frames + totals.dropped == 300
    assert sink.results[-1].frame.index == 299


def test_frames_before_a_read_error_are_kept_and_sinks_are_closed() -> None:
    sink = Notes()
    with pytest.raises(SourceError, match=r"source numbers \(.*\): OSError: the cable is out"):
        Processor(Numbers(10, fail_at=6), One(), None, [sink]).run()
    assert len(sink.results) == 6
    assert sink.log == ["open notes", "close notes"]


def test_a_foreign_exception_names_component_and_frame() -> None:
    with pytest.raises(PluginError, match=r"detector one \(.*\), frame 7: ZeroDivisionError"):
        Processor(Numbers(10), One(fail_at=7), None, [Notes()]).run()


def test_a_detector_that_exits_is_an_error() -> None:
    class Leaving(One):
        def detect(self, frame: Frame) -> Sequence[Detection]:
            sys.exit(0)

    with pytest.raises(PluginError, match=r"detector one \(.*\), frame 0: SystemExit: 0"):
        Processor(Numbers(10), Leaving(), None, [Notes()]).run()


def test_a_source_that_cannot_stop_is_an_error_after_all_was_closed() -> None:
    class Stubborn(Numbers):
        def stop(self) -> None:
            raise OSError("no answer")

    sink = Notes()
    with pytest.raises(SourceError, match=r"source numbers \(.*\): OSError: no answer"):
        Processor(Stubborn(4), One(), None, [sink]).run()
    assert len(sink.results) == 4
    assert sink.log == ["open notes", "close notes"]


def test_a_detector_may_count_faces_from_nought() -> None:
    class Counting(One):
        tracks = True

        def detect(self, frame: Frame) -> Sequence[Detection]:
            return [
                Detection(Box(2, 2, 8, 8), 0.9, None, 0),
                Detection(Box(9, 2, 14, 8), 0.9, None, 1),
            ]

    sink = Notes()
    Processor(Numbers(2), Counting(), None, [sink]).run()
    assert [[face.id for face in r.faces] for r in sink.results] == [[0, 1]] * 2


def test_numbers_of_a_detector_that_does_not_follow_are_not_taken() -> None:
    class Numbering(One):
        def detect(self, frame: Frame) -> Sequence[Detection]:
            x = 2 + frame.index
            return [Detection(Box(x, 2, x + 6, 8), 0.9, None, 100 + frame.index)]

    sink = Notes()
    Processor(Numbers(4), Numbering(), None, [sink], Settings(detect_every=1)).run()
    assert [[face.id for face in r.faces] for r in sink.results] == [[1]] * 4
    assert sink.results[3].faces[0].detection.box.x0 > sink.results[0].faces[0].detection.box.x0


def test_on_error_skip_passes_the_frame_on_without_faces_and_counts_it() -> None:
    sink = Notes()
    totals = Processor(Numbers(10), One(fail_at=7), None, [sink], Settings(on_error="skip")).run()
    assert totals.skipped == 1
    assert [len(r.faces) for r in sink.results] == [1] * 7 + [0] + [1] * 2


def test_frames_that_are_passed_over_do_not_fill_the_screen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Never(One):
        def detect(self, frame: Frame) -> Sequence[Detection]:
            raise ValueError("several\n  lines")

    totals = Processor(Numbers(50), Never(), None, [], Settings(on_error="skip")).run()
    assert totals.skipped == 50
    assert len(caplog.messages) == 5
    assert "frame 0: ValueError: several lines; frame passed on" in caplog.messages[0]
    assert caplog.messages[4].endswith("further ones are only counted")


def test_a_failing_sink_ends_the_run_after_the_others_were_closed_in_reverse() -> None:
    log: list[str] = []
    sinks = [Notes(log, label="a"), Failing(log, label="b"), Notes(log, label="c")]
    with pytest.raises(SinkError, match=r"sink notes \(.*\.py\), frame 3: OSError: no space left"):
        Processor(Numbers(10), One(), None, sinks).run()
    assert log == ["open a", "open b", "open c", "close c", "close b", "close a"]


def test_a_sink_that_cannot_open_is_closed_with_those_that_could() -> None:
    class Shut(Notes):
        def open(self, info: SourceInfo, run: Run) -> None:
            raise SinkError("out.mp4: exists")

    log: list[str] = []
    source = Numbers(10)
    sinks = [Notes(log, label="a"), Shut(log, label="b"), Notes(log, label="c")]
    with pytest.raises(SinkError, match="exists"):
        Processor(source, One(), None, sinks).run()
    assert log == ["open a", "close b", "close a"]
    assert source.closed == 1


def test_a_sink_ends_the_run_like_the_end_of_the_input() -> None:
    class Enough(Notes):
        def write(self, result: FrameResult) -> None:
            super().write(result)
            if result.frame.index == 4:
                raise EndRun

    sink = Enough()
    totals = Processor(Numbers(100), One(), None, [sink]).run()
    assert totals.frames == 5
    assert sink.log[-1] == "close notes"


@pytest.mark.slow
def test_stop_ends_a_run_that_waits_for_a_camera() -> None:
    class Silent(Numbers):
        def frames(self) -> Iterator[Frame]:
            yield from super().frames()
            while not self.released.wait(0.05):
                pass

        released = threading.Event()

    source, sink = Silent(2, live=True), Notes()
    run = Processor(source, One(), None, [sink])
    threading.Timer(0.4, lambda: (run.stop(), source.released.set())).start()
    run.run()
    assert sink.ticks > 2
    assert sink.log[-1] == "close notes"


def test_max_faces_keeps_the_largest() -> None:
    class Many(Detector):
        name = "many"

        def detect(self, frame: Frame) -> Sequence[Detection]:
            return [Detection(Box(0, 0, side, side), 0.9) for side in (4, 12, 8)]

    sink = Notes()
    Processor(Numbers(2), Many(), None, [sink], Settings(max_faces=2)).run()
    assert sorted(f.detection.box.width for f in sink.results[0].faces) == [8, 12]


def test_duration_ends_by_the_sources_time() -> None:
    sink = Notes()
    Processor(Numbers(100), One(), None, [sink], Settings(duration=1.0)).run()
    assert len(sink.results) == 25


def test_a_detector_that_answers_nonsense_is_named() -> None:
    class Nan(Detector):
        name = "nan"

        def detect(self, frame: Frame) -> Sequence[Detection]:
            return [Detection(Box(0, 0, 4, 4), float("nan"))]

    with pytest.raises(PluginError, match=r"detector nan \(.*\), frame 0.*score is nan"):
        Processor(Numbers(2), Nan(), None, [Notes()]).run()


def test_sinks_are_told_what_made_the_results() -> None:
    sink = Notes()
    Processor(Numbers(1), One(), None, [sink], Settings(provenance={"detector": "one"})).run()
    assert sink.run.provenance == {"detector": "one"}
    assert dataclasses.replace(sink.run.status(), stages={}) == Status(frames=1, faces=1)


@pytest.mark.slow
def test_an_interrupt_ends_a_run_whose_detector_hangs_and_its_files_are_finished() -> None:
    release = threading.Event()

    class Hanging(One):
        def detect(self, frame: Frame) -> Sequence[Detection]:
            if frame.index == 3:
                release.wait(60)
            return super().detect(frame)

    sink = Notes()
    run = Processor(Numbers(10), Hanging(), Skin(), [sink])

    def press_ctrl_c_twice() -> None:
        run.stop()  # what the first does
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Timer(0.5, press_ctrl_c_twice).start()
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert not release.is_set()
    assert sink.log[-1] == "close notes"
    assert [r.frame.index for r in sink.results] == [0, 1, 2]
    release.set()
    stages = ("facereg-reader", "facereg-detector", "facereg-parser")
    for thread in [t for t in threading.enumerate() if t.name.startswith(stages)]:
        thread.join(60)
        assert not thread.is_alive(), "a thread stays behind"


def test_a_run_that_never_began_can_be_closed() -> None:
    source, detector = Numbers(10), One()
    run = Processor(source, detector, None)
    run.close()
    run.close()
    assert source.closed == 1


def test_a_run_that_was_left_can_be_closed() -> None:
    source = Numbers(100)
    results = Processor(source, One(), None).results()
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert source.closed == 1


class Entering(Detector):
    """Finds one face in every frame, and from frame 11 on another one."""

    name = "entering"

    def __init__(self) -> None:
        self.asked: set[int] = set()

    def detect(self, frame: Frame) -> Sequence[Detection]:
        self.asked.add(frame.index)
        boxes = [Box(0, 0, 6, 6), Box(8, 8, 14, 14)]
        return [Detection(box, 0.99) for box in boxes[: 1 + (frame.index >= 11)]]


@pytest.mark.parametrize(("look_back", "first"), [(None, 11), (7, 11), (3, 13), (0, 16)])
def test_a_face_is_found_in_frames_before_the_detection_that_shows_it(
    look_back: int | None, first: int
) -> None:
    sink, source = Notes(), Numbers(40)
    source.info = SourceInfo("numbers", 16, 16)
    Processor(source, Entering(), None, [sink], Settings(look_back=look_back)).run()
    assert [len(r.faces) for r in sink.results] == [1] * first + [2] * (40 - first)


def test_looking_back_detects_only_while_a_face_is_looked_for() -> None:
    detector, source = Entering(), Numbers(40)
    source.info = SourceInfo("numbers", 16, 16)
    Processor(source, detector, None, [Notes()]).run()
    assert {8, 9, 10, 11, 16, 24, 32, 39} <= detector.asked
    assert not detector.asked & {1, 7, 12, 15, 17, 23}
