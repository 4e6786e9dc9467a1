"""Contract tests for components: subclass one, and pytest finds its checks."""

from __future__ import annotations

import inspect
import sys
import unittest
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..checkpoint import pack, unpack
from ..checks import check_detections, check_regions
from ..components import Detector, Run, Segmenter, Sink, Source
from ..errors import FaceregError, PluginError
from ..registry.loading import Component, collect
from ..types import Box, Detection, Frame, FrameResult, Image, SourceInfo
from .fakes import noise, some_result

#: Heights and widths of pictures that a detector and a segmenter must accept.
SIZES = ((120, 160), (1, 1), (2, 2), (1, 64), (64, 1), (31, 47), (480, 640))


class _Contract:
    """What all components promise.

    Attributes:
        component: the class under test.
        options: keyword arguments of its constructor.
    """

    component: ClassVar[Any]
    options: ClassVar[Mapping[str, Any]] = {}

    def test_its_module_registers_it(self) -> None:
        """The class can be found by its name, and its options can be given."""
        for option in _registered(self.component).options().values():
            if isinstance(option.default, (str, int, float)):
                parsed = option.parse(str(option.default))
                assert parsed == option.default, f"{option.describe()}: the default is not its type"

    def test_it_is_described(self) -> None:
        """``facereg plugins`` shows the first line of the docstring."""
        own = inspect.cleandoc(self.component.__doc__ or "")
        assert own, f"{self.component.__name__} has no docstring"


def _registered(cls: Any) -> Component:
    """Find a class among what its module, or a package around that, registers."""
    name, error = cls.__module__, ""
    while name:
        try:
            found = {c.cls: c for c in collect(sys.modules[name], "file", name)}
        except PluginError as e:
            error = error or str(e)
        else:
            if cls in found:
                return found[cls]
        name = name.rpartition(".")[0]
    raise AssertionError(error or f"no @facereg.hookimpl function returns {cls.__name__}")


class DetectorContract(_Contract):
    """What every detector promises.

    Attributes:
        picture: (H, W, 3) uint8 BGR with faces in it, or None if there is none to test with.
    """

    picture: ClassVar[Image | None] = None

    def make(self) -> Detector:
        """Make the detector under test."""
        made: Detector = self.component(**self.options)
        return made

    def test_it_takes_any_picture(self) -> None:
        """No size fails, and every answer is sound."""
        detector = self.make()
        for i, (height, width) in enumerate(SIZES):
            for image in (noise(height, width), np.zeros((height, width, 3), np.uint8)):
                frame = Frame(image, i)
                found = check_detections(detector.detect(frame), frame, detector.name)
                numbered = [face.track is not None for face in found]
                assert all(numbered) or not detector.tracks, "it tracks, and gave a face no number"
                assert detector.tracks or not any(numbered), "it numbers faces, without tracks"
        detector.close()

    def test_it_leaves_the_frame_alone(self) -> None:
        """Everything after a detector sees the same picture."""
        detector, frame = self.make(), Frame(self._picture())
        before = frame.image.copy()
        detector.detect(frame)
        assert np.array_equal(frame.image, before), "the detector changed the frame"
        assert not frame.image.flags.writeable, "the detector made the frame writeable"
        detector.close()

    def test_it_answers_the_same_twice(self) -> None:
        """The same input gives the same output, whatever came in between."""
        detector, frame = self.make(), Frame(self._picture())
        first = detector.detect(frame)
        detector.detect(Frame(noise(48, 64), 1))
        again = detector.detect(frame)
        assert [(d.box, d.score) for d in first] == [(d.box, d.score) for d in again]
        detector.close()

    def test_it_finds_a_face(self) -> None:
        """It finds a face in a picture that has one."""
        if self.picture is None:
            raise unittest.SkipTest("set picture to test that a face is found")
        detector, frame = self.make(), Frame(self._picture())
        assert check_detections(detector.detect(frame), frame, detector.name), "no face was found"
        detector.close()

    def test_it_closes_unused(self) -> None:
        """A run may end before its first frame."""
        self.make().close()

    def _picture(self) -> Image:
        return noise(240, 320) if self.picture is None else self.picture.copy()


class SegmenterContract(_Contract):
    """What every segmenter promises.

    Attributes:
        sizes: heights and widths of pictures that it must accept, 120x160 among them.
    """

    sizes: ClassVar[Sequence[tuple[int, int]]] = SIZES

    def make(self) -> Segmenter:
        """Make the segmenter under test."""
        made: Segmenter = self.component(**self.options)
        return made

    def test_it_takes_any_picture(self) -> None:
        """It accepts any size, faces in the middle or over the edge, with and without landmarks."""
        segmenter = self.make()
        for i, (height, width) in enumerate(self.sizes):
            frame, faces = Frame(noise(height, width), i), _faces(width, height)
            found = segmenter.segment(frame, faces)
            check_regions(found, frame, len(faces), segmenter.name)
        segmenter.close()

    def test_no_face_has_no_regions(self) -> None:
        """An empty frame is fine."""
        segmenter, frame = self.make(), Frame(noise(120, 160))
        assert not segmenter.segment(frame, ())
        segmenter.close()

    def test_it_answers_in_order(self) -> None:
        """Faces in another order get the same regions, in that order."""
        segmenter, frame, faces = self.make(), Frame(noise(120, 160)), _faces(160, 120)
        forth = segmenter.segment(frame, faces)
        back = segmenter.segment(frame, faces[::-1])
        for one, other in zip(forth, reversed(back), strict=True):
            assert one.box == other.box, "the answers are not in the order of the faces"
            same = np.mean(one.labels == other.labels) if one.labels.size else 1.0
            assert same > 0.98, "a face's regions depend on the other faces"
        segmenter.close()

    def test_it_leaves_the_frame_alone(self) -> None:
        """A segmenter does not change the picture."""
        segmenter, frame = self.make(), Frame(noise(120, 160))
        before = frame.image.copy()
        segmenter.segment(frame, _faces(160, 120))
        assert np.array_equal(frame.image, before), "the segmenter changed the frame"
        segmenter.close()

    def test_it_forgets(self) -> None:
        """It forgets a track, whether it has seen it or not."""
        segmenter, frame = self.make(), Frame(noise(120, 160))
        segmenter.segment(frame, [replace(face, track=7) for face in _faces(160, 120)[:1]])
        segmenter.forget(7)
        segmenter.forget(8)
        segmenter.close()

    def test_it_goes_on_where_another_ended(self) -> None:
        """`state` returns all that it remembers, so that an interrupted run can be resumed."""
        one, other = self.make(), self.make()
        frames = [Frame(noise(120, 160), i) for i in range(2)]
        faces = [replace(face, track=7) for face in _faces(160, 120)[:1]]
        one.segment(frames[0], faces)
        state = one.state()
        if state is not None:
            other.restore(unpack(pack(state)))
            (here,), (there,) = (s.segment(frames[1], faces) for s in (one, other))
            assert here.box == there.box, "it remembers more than its state has"
            assert np.array_equal(here.labels, there.labels), "it remembers more than its state has"
        one.close()
        other.close()

    def test_it_describes_its_model(self) -> None:
        """It describes its model in plain text, for the manifest of a dump."""
        about = self.make().describe()
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in about.items())


def _faces(width: int, height: int) -> list[Detection]:
    """Make faces for a picture of any size: in the middle, with landmarks, and over its corner."""
    middle = Box(width // 4, height // 4, 3 * width // 4 + 1, 3 * height // 4 + 1)
    shape = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    landmarks = (shape * [middle.width, middle.height] + middle[:2]).astype(np.float32)
    corner = Box(-width // 4 - 1, -height // 4 - 1, width // 4 + 1, height // 4 + 1)
    return [Detection(middle, 0.9), Detection(middle, 0.8, landmarks), Detection(corner, 0.7)]


class SourceContract(_Contract):
    """What every source promises.

    Attributes:
        missing: a spec of something that does not exist, or None.
        at_most: frames to read from a long or endless source.
    """

    missing: ClassVar[str | None] = None
    at_most: ClassVar[int] = 20

    def make_spec(self, tmp_path: Path) -> str:
        """Return what to open; files may be made in ``tmp_path``."""
        raise NotImplementedError

    def make(self, tmp_path: Path) -> Source:
        """Open the source under test."""
        made: Source = self.component(self.make_spec(tmp_path), **self.options)
        return made

    def test_it_knows_what_it_opened(self, tmp_path: Path) -> None:
        """``info`` describes the first frame correctly."""
        source = self.make(tmp_path)
        info, frame = source.info, next(source.frames())
        source.close()
        assert isinstance(info, SourceInfo) and info.name
        assert (info.width, info.height) == (frame.width, frame.height), "info has another size"
        assert info.fps is None or (isinstance(info.fps, Fraction) and info.fps > 0)

    def test_frames_come_in_order(self, tmp_path: Path) -> None:
        """Frames are numbered from 0, and time goes forward from 0."""
        source = self.make(tmp_path)
        frames = list(islice(source.frames(), self.at_most))
        source.close()
        numbers, times = [f.index for f in frames], [f.time for f in frames]
        assert numbers == list(range(len(frames))), f"frames are numbered {numbers}"
        assert times == sorted(set(times)), f"time does not go forward: {times}"
        assert times[0] == 0, f"the first frame's time is {times[0]}, not seconds from it"

    def test_frames_stay_as_they_are(self, tmp_path: Path) -> None:
        """A frame is kept while the next one is read, and must not be overwritten."""
        source = self.make(tmp_path)
        kept = []
        for frame in islice(source.frames(), self.at_most):
            assert not frame.image.flags.writeable
            kept.append((frame, frame.image.copy()))
        source.close()
        for frame, copy in kept:
            assert np.array_equal(frame.image, copy), f"frame {frame.index} was overwritten"

    def test_it_closes_unread_and_half_read(self, tmp_path: Path) -> None:
        """A run may end at any time."""
        self.make(tmp_path).close()
        (tmp_path / "again").mkdir()
        source = self.make(tmp_path / "again")
        next(source.frames())
        source.stop()
        source.close()

    def test_matching_opens_nothing(self) -> None:
        """Any text may be asked about."""
        for spec in ("", "no such thing", "0", "rtsp://user:secret@nowhere/x", "x:y=z", "*.png"):
            assert isinstance(self.component.matches(spec), bool)

    def test_what_is_missing_is_reported(self) -> None:
        """A user's mistake is one line, not a traceback."""
        if self.missing is None:
            raise unittest.SkipTest("set missing to a spec of something that does not exist")
        error = _error(lambda: next(self.component(self.missing, **self.options).frames()))
        assert error, f"{self.missing} was opened"
        assert "\n" not in str(error)


class SinkContract(_Contract):
    """What every sink promises."""

    def make(self, tmp_path: Path) -> Sink:
        """Make the sink under test; it may write into ``tmp_path``."""
        made: Sink = self.component(**self.options)
        return made

    def test_it_takes_a_run(self, tmp_path: Path) -> None:
        """It takes frames with and without faces, and the files that it names exist."""
        sink = self.make(tmp_path)
        run_through(sink, [some_result(i) for i in range(6)])
        for path in sink.outputs:
            assert Path(path).exists(), f"{path} is among its outputs and does not exist"

    def test_it_leaves_the_results_alone(self, tmp_path: Path) -> None:
        """Every sink sees the same results."""
        results = [some_result(i) for i in range(3)]
        run_through(self.make(tmp_path), results)
        for i, result in enumerate(results):
            same = some_result(i)
            assert np.array_equal(result.frame.image, same.frame.image), "it changed a frame"
            assert np.array_equal(result.labels(), same.labels()), "it changed regions"

    def test_it_closes_without_a_frame(self, tmp_path: Path) -> None:
        """A source may be empty: then the sink finishes, or says why it cannot."""
        error = _error(lambda: run_through(self.make(tmp_path), []))
        assert "\n" not in str(error)

    def test_it_overwrites_nothing(self, tmp_path: Path) -> None:
        """A second run does not overwrite the files of the first."""
        first = self.make(tmp_path)
        run_through(first, [some_result(0)])
        if not first.outputs:
            raise unittest.SkipTest("it writes no files")
        error = _error(lambda: run_through(self.make(tmp_path), [some_result(1)]))
        assert error, f"{first.outputs[0]} was overwritten"
        assert "overwrite" in str(error), f"the error does not name the cure: {error}"


def run_through(sink: Sink, results: Sequence[FrameResult]) -> None:
    """Take a sink through a run, as a run does: open, write, tick, close."""
    frame = results[0].frame if results else some_result(0).frame
    rate = Fraction(25)
    info = SourceInfo("test", frame.width, frame.height, rate, frame_count=len(results))
    try:
        sink.open(info, Run())
        for result in results:
            sink.write(result)
            sink.tick()
    finally:
        sink.close()


def _error(action: Callable[[], object]) -> FaceregError | None:
    """Run something, and return the error that users would see, or None."""
    try:
        action()
    except FaceregError as e:
        return e
    return None
