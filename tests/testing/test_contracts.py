"""The public fakes run through the real pipeline, and the contracts catch what breaks them."""

from __future__ import annotations

import itertools
import subprocess
import sys
import unittest
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facereg.components import Detector, Run, Segmenter, Sink, Source
from facereg.errors import FaceregError, PluginError
from facereg.hookspecs import hookimpl
from facereg.pipeline.processor import Processor
from facereg.pipeline.settings import Settings
from facereg.testing import (
    DetectorContract,
    MemorySource,
    RecordingSink,
    ScriptedDetector,
    SegmenterContract,
    SinkContract,
    SourceContract,
    noise,
    run_through,
    some_result,
)
from facereg.types import Box, Detection, Frame, FrameResult, RegionMasks, SourceInfo

FACE = Detection(Box(10, 10, 40, 40), 0.9)


def failures(contract: type, component: Any, folder: Path, **attributes: Any) -> set[str]:
    """Run a contract against a component and name the checks that fail."""
    case: Any = type("Case", (contract,), {"component": component, **attributes})()
    failed = set()
    for i, name in enumerate(name for name in dir(case) if name.startswith("test_")):
        check = getattr(case, name)
        (folder / str(i)).mkdir(parents=True)
        arguments = [folder / str(i)] if check.__code__.co_argcount > 1 else []
        try:
            check(*arguments)
        except unittest.SkipTest:
            pass
        except Exception:
            failed.add(name)
    return failed


# Fakes


def run(script: dict[int, Any], settings: Settings) -> tuple[RecordingSink, Processor]:
    sink = RecordingSink()
    source = MemorySource([noise(60, 80, i) for i in range(4)], fps=Fraction(30000, 1001))
    processor = Processor(source, ScriptedDetector(script), None, [sink], settings)
    processor.run()
    return sink, processor


def test_the_fakes_make_a_pipeline() -> None:
    sink, processor = run({0: [FACE], 2: [FACE, FACE]}, Settings())

    assert [len(result.faces) for result in sink.results] == [1, 0, 2, 0]
    assert [result.frame.index for result in sink.results] == [0, 1, 2, 3]
    assert sink.results[3].frame.time == pytest.approx(3 * 1001 / 30000)
    assert sink.info is not None and sink.info.fps == Fraction(30000, 1001)
    assert sink.closed and processor.totals.faces == 3


def test_a_detector_that_raises_is_named_with_its_frame() -> None:
    with pytest.raises(PluginError, match="detector scripted, frame 2: KeyError: 'gpu'"):
        run({2: KeyError("gpu")}, Settings())


def test_a_detector_that_raises_may_be_skipped() -> None:
    nan = replace(FACE, score=float("nan"))

    sink, processor = run({0: [FACE], 1: KeyError("x"), 2: [nan]}, Settings(on_error="skip"))

    assert [len(result.faces) for result in sink.results] == [1, 0, 0, 0]
    assert processor.totals.skipped == 2


def test_testing_needs_no_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; import facereg.testing"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Contracts of good components, registered by this module


class GoodDetector(ScriptedDetector):
    """Finds a face in the middle."""

    name = "good"

    def __init__(self) -> None:
        super().__init__({})

    def detect(self, frame: Frame) -> Sequence[Detection]:
        width, height = frame.width, frame.height
        return [Detection(Box(width // 4, height // 4, width // 2 + 1, height // 2 + 1), 0.5)]


class GoodSegmenter(Segmenter):
    """Says that everything is skin."""

    name = "good"

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        boxes = [d.box.clip(frame.width, frame.height) for d in detections]
        return [RegionMasks(b, np.ones((b.height, b.width), np.uint8)) for b in boxes]


class GoodSource(MemorySource):
    """Yields noise."""

    name = "good"

    def __init__(self, spec: str) -> None:
        super().__init__([noise(9, 7, i) for i in range(3)])


class GoodSink(Sink):
    """Counts frames into a file."""

    name = "good"

    def __init__(self, *, path: Path = Path("x"), overwrite: bool = False) -> None:
        self.path, self._overwrite, self._count = path, overwrite, 0
        self._is_open = False

    def open(self, info: SourceInfo, run: Run) -> None:
        if self.path.exists() and not self._overwrite:
            raise FaceregError(f"{self.path} exists: overwrite=yes replaces it")
        self._is_open = True

    def write(self, result: FrameResult) -> None:
        self._count += 1

    def close(self) -> None:
        if not self._is_open:
            return
        self.path.write_text(str(self._count))
        self.outputs = (str(self.path),)


@hookimpl
def register_detectors() -> list[type[Detector]]:
    return [GoodDetector]


@hookimpl
def register_segmenters() -> list[type[Segmenter]]:
    return [GoodSegmenter]


@hookimpl
def register_sources() -> list[type[Source]]:
    return [GoodSource]


@hookimpl
def register_sinks() -> list[type[Sink]]:
    return [GoodSink]


class TestGoodDetector(DetectorContract):
    component = GoodDetector
    picture = noise(60, 80)


class TestGoodSegmenter(SegmenterContract):
    component = GoodSegmenter


class TestGoodSource(SourceContract):
    component = GoodSource

    def make_spec(self, tmp_path: Path) -> str:
        return "x"


class TestGoodSink(SinkContract):
    component = GoodSink

    def make(self, tmp_path: Path) -> Sink:
        return GoodSink(path=tmp_path / "count.txt")


# Contracts of bad ones. They are not registered, so that check fails for all of them.

UNREGISTERED = "test_its_module_registers_it"


class Painter(GoodDetector):
    """Draws into the frame."""

    def detect(self, frame: Frame) -> Sequence[Detection]:
        frame.image.flags.writeable = True
        frame.image[0] = 0
        return super().detect(frame)


class Cropper(GoodDetector):
    """Fails where there is too little."""

    def detect(self, frame: Frame) -> Sequence[Detection]:
        return [Detection(Box(0, 0, frame.width // 2, frame.height // 2), 0.5)]


class Counter(GoodDetector):
    """Answers otherwise each time."""

    def detect(self, frame: Frame) -> Sequence[Detection]:
        self.asked.append(0)
        return [Detection(Box(0, 0, len(self.asked), 1), 0.5)]


class Blind(GoodDetector):
    """Finds nothing."""

    def detect(self, frame: Frame) -> Sequence[Detection]:
        return []


@pytest.mark.parametrize(
    ("component", "check"),
    [
        (Painter, "test_it_leaves_the_frame_alone"),
        (Cropper, "test_it_takes_any_picture"),
        (Counter, "test_it_answers_the_same_twice"),
        (Blind, "test_it_finds_a_face"),
    ],
)
def test_a_bad_detector_is_caught(component: type, check: str, tmp_path: Path) -> None:
    failed = failures(DetectorContract, component, tmp_path, picture=noise(60, 80))

    assert failed == {check, UNREGISTERED}


class Shuffler(GoodSegmenter):
    """Answers in its own order."""

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        return super().segment(frame, sorted(detections, key=lambda d: d.box))


class Unclipped(GoodSegmenter):
    """Answers with the box as it came."""

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        boxes = [d.box for d in detections]
        return [RegionMasks(b, np.ones((b.height, b.width), np.uint8)) for b in boxes]


class Neighbourly(GoodSegmenter):
    """Lets one face's regions depend on the others."""

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        found = super().segment(frame, detections)
        return [RegionMasks(r.box, r.labels + np.uint8(i)) for i, r in enumerate(found)]


class Clinging(GoodSegmenter):
    """Cannot forget whom it has not seen."""

    def forget(self, track: int) -> None:
        {7: 0}.pop(track)


class Secretive(GoodSegmenter):
    """Remembers what its state does not tell."""

    def __init__(self) -> None:
        self._asked = 0

    def segment(self, frame: Frame, detections: Sequence[Detection]) -> Sequence[RegionMasks]:
        self._asked += any(d.track for d in detections)
        found = super().segment(frame, detections)
        return [RegionMasks(r.box, r.labels + np.uint8(self._asked)) for r in found]


class Silent(Secretive):
    """Remembers, and says that it cannot tell."""

    def state(self) -> None:
        return None


@pytest.mark.parametrize(
    ("component", "check"),
    [
        (Shuffler, "test_it_answers_in_order"),
        (Unclipped, "test_it_takes_any_picture"),
        (Neighbourly, "test_it_answers_in_order"),
        (Clinging, "test_it_forgets"),
        (Secretive, "test_it_goes_on_where_another_ended"),
    ],
)
def test_a_bad_segmenter_is_caught(component: type, check: str, tmp_path: Path) -> None:
    assert failures(SegmenterContract, component, tmp_path) == {check, UNREGISTERED}


def test_a_segmenter_need_not_tell_its_state(tmp_path: Path) -> None:
    assert failures(SegmenterContract, Silent, tmp_path) == {UNREGISTERED}


class Reuser(GoodSource):
    """Reads every picture into the same memory."""

    def frames(self) -> Iterator[Frame]:
        buffer = np.empty((9, 7, 3), np.uint8)
        for frame in super().frames():
            buffer[...] = frame.image
            view = buffer[:]
            yield Frame(view, frame.index, frame.time)


class OneBased(GoodSource):
    """Counts from 1."""

    def frames(self) -> Iterator[Frame]:
        return (replace(frame, index=frame.index + 1) for frame in super().frames())


class Timeless(GoodSource):
    """Has no clock."""

    def frames(self) -> Iterator[Frame]:
        return (replace(frame, time=0.0) for frame in super().frames())


class Liar(GoodSource):
    """Says another size."""

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        self.info = replace(self.info, width=100)


class Greedy(GoodSource):
    """Fails on a spec that it does not understand."""

    @classmethod
    def matches(cls, spec: str) -> bool:
        return bool(int(spec))


class Endless(GoodSource):
    """Opens whatever it is given, and never ends."""

    def frames(self) -> Iterator[Frame]:
        return (Frame(noise(9, 7, i), i, i / 25) for i in itertools.count())


@pytest.mark.parametrize(
    ("component", "check"),
    [
        (Reuser, "test_frames_stay_as_they_are"),
        (OneBased, "test_frames_come_in_order"),
        (Timeless, "test_frames_come_in_order"),
        (Liar, "test_it_knows_what_it_opened"),
        (Greedy, "test_matching_opens_nothing"),
        (Endless, "test_what_is_missing_is_reported"),
    ],
)
def test_a_bad_source_is_caught(component: type, check: str, tmp_path: Path) -> None:
    missing = "gone" if component is Endless else None
    failed = failures(
        SourceContract, component, tmp_path, missing=missing, make_spec=lambda *_: "here"
    )

    assert failed == {check, UNREGISTERED}


class Overwriter(GoodSink):
    """Writes over what is there."""

    def open(self, info: SourceInfo, run: Run) -> None:
        self._is_open = True


class Boaster(GoodSink):
    """Names a file that it did not write."""

    def close(self) -> None:
        super().close()
        self.outputs = (*self.outputs, "no-such-file")


class Vandal(GoodSink):
    """Clears the regions that it was shown."""

    def write(self, result: FrameResult) -> None:
        for face in result.faces:
            assert face.regions is not None
            face.regions.labels[...] = 0


class Impatient(GoodSink):
    """Needs a frame to close."""

    def close(self) -> None:
        if self._is_open:
            1 / self._count
        super().close()


@pytest.mark.parametrize(
    ("component", "check"),
    [
        (Overwriter, "test_it_overwrites_nothing"),
        (Boaster, "test_it_takes_a_run"),
        (Vandal, "test_it_leaves_the_results_alone"),
        (Impatient, "test_it_closes_without_a_frame"),
    ],
)
def test_a_bad_sink_is_caught(component: type, check: str, tmp_path: Path) -> None:
    def make(_: object, folder: Path) -> Any:
        return component(path=folder / "count.txt")

    assert failures(SinkContract, component, tmp_path, make=make) == {check, UNREGISTERED}


def test_a_positional_option_is_caught(tmp_path: Path) -> None:
    class Positional(GoodDetector):
        """Takes its option by position."""

        def __init__(self, size: int = 3) -> None:
            super().__init__()

    assert UNREGISTERED in failures(DetectorContract, Positional, tmp_path)


def test_a_sink_is_closed_where_it_fails() -> None:
    class Failing(RecordingSink):
        def write(self, result: FrameResult) -> None:
            raise OSError("full")

    sink = Failing()
    with pytest.raises(OSError, match="full"):
        run_through(sink, [some_result(0)])
    assert sink.closed
