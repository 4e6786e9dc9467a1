"""A dump played again shows what was found, without a model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facereg.components import Detector, Run, Segmenter, Source
from facereg.errors import SourceError
from facereg.pipeline.processor import Processor
from facereg.plugins.replay import ReplayDetector, ReplaySegmenter
from facereg.sinks.masks import MasksSink
from facereg.types import Box, Detection, FrameResult
from facereg.views import view
from tests.sinks.results import feed, info, result

RESULTS = [result(i) for i in range(12)]


class Given(Source):
    """Gives frames that are there already."""

    name = "given"

    def __init__(self, results: list[FrameResult]) -> None:
        self.info = info()
        self._results = results

    def frames(self):
        return (one.frame for one in self._results)


def dump(path: Path, **options) -> Path:
    feed(MasksSink(path=path, **options), info(), RESULTS)
    return path


@pytest.mark.parametrize("kind", ["png", "npz", "ffv1"])
@pytest.mark.parametrize("instances", [False, True])
def test_faces_and_regions_are_those_of_the_dump(tmp_path: Path, kind: str, instances: bool):
    path = dump(tmp_path / "masks", format=kind, instances=instances)
    detector, segmenter = ReplayDetector(path=path), ReplaySegmenter(path=path)
    assert isinstance(detector, Detector)
    assert isinstance(segmenter, Segmenter)
    for one in RESULTS:
        found = detector.detect(one.frame)
        assert [d.track for d in found] == [f.id for f in one.faces]
        assert [d.box for d in found] == [f.detection.box for f in one.faces]
        assert [d.score for d in found] == [0.9877] * len(one.faces)
        regions = segmenter.segment(one.frame, found) if found else []
        for face, region in zip(one.faces, regions, strict=True):
            assert region.areas() == face.regions.areas(), "a pixel went to another face"
    detector.close()
    segmenter.close()


@pytest.mark.parametrize("instances", [False, True])
def test_every_view_of_a_replay_is_that_of_the_run(tmp_path: Path, instances: bool):
    path = dump(tmp_path / "masks", instances=instances)
    processor = Processor(Given(RESULTS), ReplayDetector(path=path), ReplaySegmenter(path=path))
    for one, again in zip(RESULTS, processor.results(), strict=True):
        assert np.array_equal(again.labels(), one.labels())
        for name in ("overlay", "gallery", "isolated:skin", "blur:face", "pixelate:hair", "raw"):
            assert np.array_equal(view(name)(again), view(name)(one)), name


def test_a_frame_that_was_not_parsed_is_hidden_whole_again(tmp_path: Path):
    results = [*RESULTS[:3], replace(RESULTS[3], faces=(), parsed=False), *RESULTS[4:6]]
    path = tmp_path / "masks"
    feed(MasksSink(path=path), info(), results)
    replay = ReplayDetector(path=path), ReplaySegmenter(path=path)
    again = tmp_path / "again"
    processor = Processor(Given(results), *replay, [MasksSink(path=again)])
    assert processor.run().skipped == 1
    replay = ReplayDetector(path=again), ReplaySegmenter(path=again)
    for one, played in zip(results, Processor(Given(results), *replay).results(), strict=True):
        assert played.parsed is one.parsed
        assert np.array_equal(view("fill:face")(played), view("fill:face")(one))
        if not one.parsed:
            assert not np.array_equal(view("fill:face")(played), one.frame.image)


def test_a_replay_dumped_again_is_the_same_dump(tmp_path: Path):
    path = dump(tmp_path / "masks", instances=True)
    sink = MasksSink(path=tmp_path / "again", instances=True)
    Processor(Given(RESULTS), ReplayDetector(path=path), ReplaySegmenter(path=path), [sink]).run()
    for one in path.glob("*.png"):
        assert one.read_bytes() == (tmp_path / "again" / one.name).read_bytes()


def test_landmarks_are_those_of_the_dump(tmp_path: Path):
    points = np.array([[60.123, 40], [80, 40.5], [70, 52], [62, 60], [78, 60]], np.float32)
    one = result(0, faces=1)
    known = replace(one.faces[0].detection, landmarks=points)
    faces = (replace(one.faces[0], detection=known), *result(0, faces=2).faces[1:])
    feed(MasksSink(path=tmp_path / "masks"), info(), [replace(one, faces=faces)])

    first, second = ReplayDetector(path=tmp_path / "masks").detect(one.frame)

    assert first.landmarks == pytest.approx(points, abs=0.005)
    assert first.landmarks.dtype == np.float32
    assert second.landmarks is None


def test_overlapping_faces_keep_the_label_map(tmp_path: Path):
    one = result(5, faces=3)
    close = FrameResult(one.frame, tuple(one.faces[:2]))
    feed(MasksSink(path=tmp_path / "masks"), info(), [close])
    detector = ReplayDetector(path=tmp_path / "masks")
    segmenter = ReplaySegmenter(path=tmp_path / "masks")
    found = detector.detect(close.frame)
    regions = segmenter.segment(close.frame, found)
    rebuilt = np.zeros(close.labels().shape, np.uint8)
    for region in regions:
        part = rebuilt[region.box.slices]
        assert not (part[region.labels != 0]).any(), "a pixel belongs to two faces"
        part[region.labels != 0] = region.labels[region.labels != 0]
    assert np.array_equal(rebuilt, close.labels())


def test_a_frame_that_the_dump_has_not_is_an_error(tmp_path: Path):
    detector = ReplayDetector(path=dump(tmp_path / "masks"))
    with pytest.raises(SourceError, match=r"no frame 12; it has 0 to 11.*another part"):
        detector.detect(result(12).frame)


def test_frames_of_another_size_are_an_error(tmp_path: Path):
    segmenter = ReplaySegmenter(path=dump(tmp_path / "masks"))
    with pytest.raises(SourceError, match=r"frames of 160x120, and frame 1 is 80x60"):
        segmenter.segment(result(1, size=(80, 60), faces=0).frame, [])


def test_a_folder_that_is_no_dump_is_an_error_at_once(tmp_path: Path):
    for part in (ReplayDetector, ReplaySegmenter):
        with pytest.raises(SourceError, match=r"not a mask dump"):
            part(path=tmp_path)


def test_another_detector_is_refused(tmp_path: Path):
    segmenter = ReplaySegmenter(path=dump(tmp_path / "masks"))
    with pytest.raises(SourceError, match=r"no face at \(1, 2, 6, 9\) in frame 1: .*-d replay:"):
        segmenter.segment(RESULTS[1].frame, [Detection(Box(1, 2, 6, 9), 0.5)])


def test_the_model_of_the_dump_is_told(tmp_path: Path):
    sink = MasksSink(path=tmp_path / "masks")
    feed(sink, info(), [], Run({"model": {"name": "face", "sha256": "ab"}}))
    segmenter = ReplaySegmenter(path=tmp_path / "masks")
    assert segmenter.describe() == {"name": "face", "sha256": "ab"}


def test_no_model_library_is_loaded(tmp_path: Path):
    path = dump(tmp_path / "masks")
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from facereg.plugins.replay import ReplayDetector, ReplaySegmenter\n"
        "from facereg.types import Frame\n"
        f"path = Path({str(path)!r})\n"
        "frame = Frame(np.zeros((120, 160, 3), np.uint8), 3)\n"
        "found = ReplayDetector(path=path).detect(frame)\n"
        "assert len(ReplaySegmenter(path=path).segment(frame, found)) == 3\n"
        "print({'torch', 'onnxruntime', 'deepface', 'cv2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
