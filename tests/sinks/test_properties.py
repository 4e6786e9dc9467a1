"""Whatever is written, in whatever order things fail: the contract, on what ffmpeg reads back."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import facereg
from facereg.components import Run
from facereg.errors import FaceregError, SinkError
from facereg.sinks.masks import MasksSink
from facereg.sinks.mp4 import Mp4Sink
from tests import clips
from tests.sinks.results import info, picture, result

pytestmark = pytest.mark.slow

FEW = settings(
    max_examples=15, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip

RATES = st.sampled_from(["24000/1001", "25", "30000/1001", "12.5", "60", "120", "7/3", None])
SIZES = st.tuples(st.integers(1, 70), st.integers(1, 50))


def read_all(path: Path) -> None:
    with facereg.open_masks(path) as masks:
        for _ in masks:
            pass


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for one example."""
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


@st.composite
def times(draw: st.DrawFn, most: int = 25) -> list[float]:
    """Draw times: steady or not, rounded to milliseconds or not, from any start."""
    steps = st.sampled_from([0.0, 0.001, 1 / 120, 0.03, 1 / 30, 0.04, 0.041, 0.2, 1.3])
    gaps = draw(st.lists(steps, max_size=most))
    now, found = draw(st.sampled_from([0.0, 3.3, 86400.0])), []
    for gap in gaps:
        found.append(round(now, 3) if draw(st.booleans()) else now)
        now += gap
    return sorted(found)


@FEW
@given(rate=RATES, size=SIZES, when=times(), live=st.booleans())
def test_a_recording_lasts_as_long_as_the_original(
    rate: str | None, size: tuple[int, int], when: list[float], live: bool
):
    with folder() as path:
        sink = Mp4Sink(path=path / "out.mp4", view="raw", preset="ultrafast")
        sink.open(info(*size, rate=rate, live=live), Run())
        for i, time in enumerate(when):
            sink.write(picture(np.full((size[1], size[0], 3), 40 * i % 256, np.uint8), i, time))
        sink.close()
        names = [p.name for p in path.iterdir()]
        if not when:
            assert names == []
            return
        assert names == ["out.mp4"], "nothing temporary is left"
        slot = 1 / Fraction(rate or 30)
        shown = clips.timestamps(path / "out.mp4")
        assert shown == [i * slot for i in range(len(shown))], "the rate is exact"
        wanted = when[-1] - when[0] + float(slot)
        assert abs(len(shown) * float(slot) - wanted) <= float(slot) * 1.01
        assert sink.report["frames"] == len(shown)
        assert sink.report["repeated"] - sink.report["skipped"] == len(shown) - len(when)
        found = clips.probe(path / "out.mp4")
        assert (found.width, found.height) == tuple(side + side % 2 for side in size)


@FEW
@given(
    count=st.integers(0, 40),
    failure=st.sampled_from(["none", "killed", "grown", "abandoned"]),
    at=st.integers(0, 30),
    there=st.booleans(),
)
def test_no_failure_leaves_half_a_file_under_the_final_name(
    count: int, failure: str, at: int, there: bool
):
    with folder() as path:
        out, failed = path / "out.mp4", False
        if there:
            out.write_text("precious")
        sink = Mp4Sink(path=out, preset="ultrafast", overwrite=there)
        sink.open(info(), Run())
        try:
            for i in range(count):
                grown = failure == "grown" and i == at
                sink.write(result(i, size=(200, 130) if grown else (160, 120)))
                if failure == "killed" and i == at:
                    os.kill(sink._recording.encoder_pid, signal.SIGKILL)
                if failure == "abandoned" and i == at:
                    break
        except SinkError:
            failed = True
        try:
            sink.close()
        except SinkError:
            failed = True
        kept = sorted(p.name for p in path.iterdir())
        hit = at < count and (failure == "killed" or (failure == "grown" and count > 1))
        assert failed == hit
        if failed or not count:
            assert (out.read_text() == "precious") if there else not out.exists()
            assert sink.outputs == ()
            for name in set(kept) - {"out.mp4"}:
                assert clips.probe(path / name).frames > 0, "what is kept plays"
        else:
            written = at + 1 if failure == "abandoned" and at < count else count
            assert clips.probe(out).frames == written
            assert kept == ["out.mp4"]


@FEW
@given(
    kind=st.sampled_from(["png", "npz"]),
    shapes=st.lists(st.tuples(SIZES, st.integers(0, 3)), max_size=12),
    stop=st.integers(0, 12),
    instances=st.booleans(),
)
def test_a_dump_that_stops_anywhere_is_resumed_to_the_same_bytes(
    kind: str, shapes: list[tuple[tuple[int, int], int]], stop: int, instances: bool
):
    results = [
        result(i, size=(size[0] + 150, size[1] + 80), faces=faces)
        for i, (size, faces) in enumerate(shapes)
    ]
    with folder() as path:
        whole, stopped = (path / name for name in ("whole", "stopped"))
        for target, count, closed in ((whole, len(results), True), (stopped, stop, False)):
            sink = MasksSink(path=target, format=kind, instances=instances)
            sink.open(info(), Run())
            for one in results[:count]:
                sink.write(one)
            if closed:
                sink.close()
            else:
                sink._dump._lines.close()  # as the system does for a process that was killed
                sink._folder.release()
        sink = MasksSink(path=stopped, format=kind, instances=instances, resume=True)
        sink.open(info(), Run())
        for one in results:
            sink.write(one)
        sink.close()
        assert {p.name: p.read_bytes() for p in whole.iterdir()} == {
            p.name: p.read_bytes() for p in stopped.iterdir()
        }
        with facereg.open_masks(stopped) as masks:
            for one, labels in zip(results, masks, strict=True):
                assert np.array_equal(labels, one.labels())


@FEW
@given(data=st.binary(max_size=200), name=st.sampled_from(["manifest.json", "frames.jsonl",
                                                           "000001.png"]))  # fmt: skip
def test_no_damage_ends_in_a_traceback(data: bytes, name: str):
    with folder() as path:
        sink = MasksSink(path=path / "masks")
        sink.open(info(), Run())
        for i in range(3):
            sink.write(result(i))
        sink.close()
        (path / "masks" / name).write_bytes(data)
        with pytest.raises(FaceregError, match=r"masks"):
            read_all(path / "masks")
