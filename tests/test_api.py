"""What Python users call: every way in, every way out, and what is left behind."""

from __future__ import annotations

import dataclasses
import doctest
import gc
import importlib
import inspect
import io
import itertools
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

import facereg
from facereg import FaceParser, PluginError, SourceError, UsageError
from facereg.cli import main
from facereg.pipeline.settings import Settings
from tests import clips

#: Components that need no model. The detector logs what it does to a file.
FAST = '''
import pathlib, threading, time
import numpy as np, facereg

HERE = pathlib.Path(__file__)

def note(word):
    with HERE.with_suffix(".log").open("a") as log:
        log.write(word + " ")

note("loaded")

class Fast(facereg.Detector):
    """Takes the middle of the frame for a face."""
    name = "fast"

    def __init__(self, *, fail: int = -1, sleep: float = 0.0) -> None:
        self.fail, self.sleep, self.busy = fail, sleep, threading.Lock()
        note("built")

    def detect(self, frame):
        assert self.busy.acquire(blocking=False), "called twice at once"
        time.sleep(self.sleep)
        self.busy.release()
        if frame.index == self.fail:
            raise RuntimeError("boom")
        w, h = frame.width // 4, frame.height // 4
        return [facereg.Detection(facereg.Box(w, h, 3 * w, 3 * h), 1.0)]

    def close(self):
        note("closed")

class Skin(facereg.Segmenter):
    """Calls everything skin."""
    name = "fast"

    def segment(self, frame, detections):
        boxes = [d.box.clip(frame.width, frame.height) for d in detections]
        return [facereg.RegionMasks(b, np.ones((b.height, b.width), np.uint8)) for b in boxes]

def red(result):
    """Paints everything red."""
    return np.full_like(result.frame.image, (0, 0, 255))

@facereg.hookimpl
def register_detectors():
    return [Fast]

@facereg.hookimpl
def register_segmenters():
    return [Skin]

@facereg.hookimpl
def register_views():
    return {"red": red}
'''


@pytest.fixture
def fast(tmp_path: Path) -> dict[str, Any]:
    """Return the keywords that choose components without a model."""
    plugin = tmp_path / "fast.py"
    plugin.write_text(FAST)
    return {"detector": "fast", "segmenter": "fast", "plugins": [plugin]}


def log(fast: dict[str, Any]) -> list[str]:
    return fast["plugins"][0].with_suffix(".log").read_text().split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the files that the examples in docstrings read."""
    folder = tmp_path_factory.mktemp("examples")
    cv2.imwrite(str(folder / "portrait.jpg"), clips.astronaut(), [cv2.IMWRITE_JPEG_QUALITY, 95])
    clips.write_clip(folder / "in.mp4", clips.still())
    outputs = ["-m", str(folder / "masks"), "--stats", str(folder / "faces.csv")]
    outputs += ["--sink", f"stats:path={folder / 'faces.jsonl'}"]
    assert main(["run", str(folder / "in.mp4"), *outputs, "--quiet"]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "facereg",
        "facereg._api.face_parser",
        "facereg._api.files",
        "facereg._api.results",
        "facereg.errors",
        "facereg.regions",
        "facereg.types",
    ],
)
def test_the_examples_of_the_docstrings_run(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    module = importlib.import_module(name)
    image = clips.astronaut()
    known = vars(module) | {
        "facereg": facereg,
        "np": np,
        "image": image,
        "result": facereg.parse(image),
    }
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder().find(module, name, globs=known):
        runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0


# --- names ---------------------------------------------------------------------------------------


def test_the_public_names_can_be_imported_and_listed() -> None:
    assert set(facereg.__all__) <= set(dir(facereg))
    for name in facereg.__all__:
        assert getattr(facereg, name) is not None
    for name in ("errors", "regions", "testing", "types"):
        assert getattr(facereg, name) is importlib.import_module(f"facereg.{name}")
    with pytest.raises(AttributeError, match="no attribute 'Parser'"):
        facereg.Parser  # noqa: B018


def test_type_checkers_know_the_public_names() -> None:
    import ast

    tree = ast.parse(Path(facereg.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == facereg._MODULES


# --- parse ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_picture_is_parsed_however_it_is_given(folder: Path) -> None:
    path = folder / "portrait.jpg"
    bgr = cv2.imread(str(path))
    expected = facereg.parse(bgr)
    assert len(expected.faces) == 1
    with PIL.Image.open(path) as picture:
        ways = [str(path), path, picture.convert("RGB"), picture.convert("RGBA")]
        ways.append(np.dstack([bgr, np.full(bgr.shape[:2], 255, np.uint8)]))
        found = [facereg.parse(way) for way in ways]
    for result in found:
        # Decoders of JPEG may differ by a level or two.
        assert np.abs(result.frame.image.astype(int) - bgr).max() <= 4
        assert (result.labels() == expected.labels()).mean() > 0.99


def test_a_picture_of_one_channel_is_gray(fast: dict[str, Any]) -> None:
    gray = np.arange(80 * 60, dtype=np.uint8).reshape(60, 80)
    for way in (gray, gray[..., None], PIL.Image.fromarray(gray)):
        image = facereg.parse(way, **fast).frame.image
        assert image.shape == (60, 80, 3)
        assert (image == gray[..., None]).all()


def test_the_callers_array_stays_the_callers(fast: dict[str, Any]) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    result = facereg.parse(image, **fast)
    image[:] = 9
    assert not result.frame.image.any()
    backwards = clips.astronaut()[::-1, ::-1, ::-1]
    assert (facereg.parse(backwards, **fast).frame.image == backwards).all()


def test_a_turned_photograph_is_upright(tmp_path: Path, fast: dict[str, Any]) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (80, 60)).save(tmp_path / "a.jpg", exif=exif)
    with PIL.Image.open(tmp_path / "a.jpg") as picture:
        for way in (picture, tmp_path / "a.jpg"):
            assert facereg.parse(way, **fast).frame.image.shape == (80, 60, 3)


def test_a_name_with_a_colon_is_a_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("x.png", np.zeros((60, 80, 3), np.uint8))
    Path("x.png").rename("webcam:0.png")
    assert facereg.parse("webcam:0.png", **fast).frame.width == 80


def test_a_name_that_is_not_utf8_is_a_files_name(tmp_path: Path, fast: dict[str, Any]) -> None:
    name = tmp_path / "caf\udce9.png"
    with pytest.raises(SourceError, match=r"caf\\xe9\.png: no such file"):
        facereg.parse(name, **fast)
    try:
        name.write_bytes(cv2.imencode(".png", np.zeros((60, 80, 3), np.uint8))[1].tobytes())
    except OSError:
        pytest.skip("the file system takes UTF-8 alone")
    assert facereg.parse(name, **fast).frame.width == 80


class Tensor:
    """Stands in for torch's, which is an extra."""


Tensor.__module__ = "torch"


@pytest.mark.parametrize(
    ("thing", "cure"),
    [
        (b"\xff\xd8", "PIL.Image.open(io.BytesIO(data))"),
        (bytearray(2), "PIL.Image.open"),
        (memoryview(b""), "PIL.Image.open"),
        (io.BytesIO(), "PIL.Image.open(file)"),
        ([np.zeros((4, 4, 3), np.uint8)], "FaceParser().map(pictures)"),
        ((1, 2), "FaceParser().map(pictures)"),
        (Tensor(), "tensor.permute(1, 2, 0)"),
        (facereg.Frame(np.zeros((4, 4, 3), np.uint8)), "frame.image"),
        (None, "not None"),
        (3, "not int"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_cure(thing: Any, cure: str) -> None:
    with pytest.raises(TypeError) as refused:
        facereg.parse(thing)
    message = str(refused.value)
    assert "a path, an (H, W, 3) uint8 BGR array or a PIL image" in message
    assert cure in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("array", "cure"),
    [
        (np.zeros((4, 4, 3)), r"\(255 \* array\).astype"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((3, 40, 40), np.uint8), "channels come last"),
        (np.zeros((2, 4, 4, 3), np.uint8), "one picture at a time"),
        (np.zeros((4, 4, 2), np.uint8), "an array"),
        (np.zeros((0, 4, 3), np.uint8), "an array"),
        (np.zeros(4, np.uint8), "an array"),
        (np.array(None), "an array"),
        (np.array(["a.png"]), "an array"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array: Any, cure: str) -> None:
    with pytest.raises(ValueError, match=cure):
        facereg.parse(array)


@pytest.mark.parametrize(
    "path",
    ["no.png", "data:image/png;base64," + "A" * 5000, "a\0b.png", "", "https://host/a.png"],
)
def test_a_file_that_is_not_there_is_said_in_a_line(path: str) -> None:
    with pytest.raises(SourceError) as refused:
        facereg.parse(path)
    assert len(str(refused.value)) < 200
    assert "matches()" not in str(refused.value)


def test_a_file_that_is_no_picture_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"a\.png: is not a picture"):
        facereg.parse(tmp_path / "a.png")


@pytest.mark.slow
def test_a_failing_plugin_is_the_same_error_from_parse_and_process(
    face_clip: Path, fast: dict[str, Any]
) -> None:
    fast["detector"] = "fast:fail=0"
    with pytest.raises(PluginError) as parsed:
        facereg.parse(clips.astronaut(), **fast)
    with pytest.raises(PluginError) as processed:
        list(facereg.process(face_clip, **fast))
    assert str(parsed.value) == str(processed.value)
    assert "detector fast" in str(parsed.value)
    assert "RuntimeError: boom" in str(parsed.value)


def test_plugins_are_loaded_once(fast: dict[str, Any]) -> None:
    for _ in range(3):
        facereg.parse(clips.astronaut(), **fast)
    assert log(fast) == ["loaded", "built"]


@pytest.mark.slow
def test_a_result_draws_the_views_of_its_plugins(face_clip: Path, fast: dict[str, Any]) -> None:
    result = facereg.parse(clips.astronaut(), **fast)
    with facereg.process(face_clip, **fast) as run:
        for one in (result, next(run)):
            assert one.draw("red")[0, 0].tolist() == [0, 0, 255]
    with pytest.raises(UsageError, match="unknown view 'red'"):
        pickle.loads(pickle.dumps(result)).draw("red")


# --- FaceParser ----------------------------------------------------------------------------------


def pictures(count: int) -> Iterator[np.ndarray[Any, Any]]:
    for i in range(count):
        yield np.zeros((60, 80 + i, 3), np.uint8)


def test_many_pictures_come_in_order(fast: dict[str, Any]) -> None:
    with FaceParser(**fast) as parser:
        widths = [result.frame.width for result in parser.map(pictures(40), workers=4)]
    assert widths == list(range(80, 120))
    assert log(fast) == ["loaded", "built", "closed"]


def test_pictures_are_taken_as_they_are_needed(fast: dict[str, Any]) -> None:
    taken = []

    def endless() -> Iterator[np.ndarray[Any, Any]]:
        for picture in pictures(10**9):
            taken.append(picture.shape[1])
            yield picture

    with FaceParser(**fast) as parser:
        results = parser.map(endless(), workers=2)
        assert taken == []
        for i, result in enumerate(itertools.islice(results, 10)):
            assert result.frame.width == 80 + i
            assert len(taken) <= i + 3
        results.close()


def test_a_picture_that_fails_ends_the_results_at_its_place(fast: dict[str, Any]) -> None:
    images = [next(pictures(1)), "no.png", next(pictures(1))]
    with FaceParser(**fast) as parser:
        results = parser.map(images)
        assert next(results).frame.width == 80
        with pytest.raises(SourceError, match=r"no\.png: no such file"):
            next(results)
    with pytest.raises(UsageError, match="workers=0"):
        parser.map([], workers=0)


def test_threads_share_a_parser(fast: dict[str, Any]) -> None:
    fast["detector"] = "fast:sleep=0.002"
    with FaceParser(**fast) as parser, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(parser, pictures(40)))
    assert [result.frame.width for result in results] == list(range(80, 120))


def test_a_closed_parser_says_so(fast: dict[str, Any]) -> None:
    parser = FaceParser(**fast)
    parser.close()
    parser.close()
    with pytest.raises(facereg.FaceregError, match="closed"):
        parser(next(pictures(1)))


def test_a_parser_can_be_sent_to_another_process(fast: dict[str, Any]) -> None:
    parser = FaceParser(**fast)
    again = pickle.loads(pickle.dumps(parser))
    assert repr(again) == repr(parser) == "FaceParser(detector='fast', segmenter='fast')"
    assert len(again(next(pictures(1))).faces) == 1


def test_a_wrong_name_is_said_at_once() -> None:
    with pytest.raises(UsageError, match="unknown detector 'mtcmn'"):
        FaceParser("mtcmn")


def run_script(folder: Path, text: str) -> str:
    """Run a script in a process of its own, and return what it printed."""
    (folder / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_forked_process_parses_too(tmp_path: Path) -> None:
    found = run_script(
        tmp_path,
        """
import multiprocessing, os, sys, warnings
import skimage.data, facereg
warnings.simplefilter("ignore")
image = skimage.data.astronaut()[..., ::-1]
parser = facereg.FaceParser()
expected = facereg.parse(image).labels().sum(), parser(image).labels().sum()

def work(_):
    return facereg.parse(image).labels().sum(), parser(image).labels().sum()

with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, range(4)) == 4 * [expected]
child = os.fork()
if not child:
    assert work(0) == expected
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
print("the same")
""",
    )
    assert found == "the same\n"


# --- process -------------------------------------------------------------------------------------


def threads() -> set[str]:
    """Name the threads of runs, without the workers of models that `facereg.parse` keeps."""
    names = {t.name for t in threading.enumerate() if t.name.startswith("facereg-")}
    return {name for name in names if not name.startswith("facereg-worker")}


def test_nothing_is_opened_before_it_is_asked_for(fast: dict[str, Any]) -> None:
    results = facereg.process("no.mp4", **fast)
    assert not fast["plugins"][0].with_suffix(".log").exists()
    with pytest.raises(facereg.FaceregError, match=r"no\.mp4"):
        next(results)
    assert log(fast) == ["loaded", "built", "closed"]


@pytest.mark.slow
def test_a_run_that_is_never_iterated_is_closed(face_clip: Path, fast: dict[str, Any]) -> None:
    with facereg.process(face_clip, **fast) as run:
        assert run.totals.frames == 0
    assert log(fast) == ["loaded", "built", "closed"]
    assert threads() == set()
    with pytest.raises(StopIteration):
        next(run)
    with pytest.raises(UsageError, match="closed"):
        run.__enter__()


@pytest.mark.slow
def test_a_run_that_is_left_half_way_is_closed(face_clip: Path, fast: dict[str, Any]) -> None:
    with facereg.process(face_clip, **fast) as run:
        for result in run:
            if result.frame.index == 3:
                break
    assert log(fast) == ["loaded", "built", "closed"]
    assert threads() == set()
    assert run.totals.frames == 4


@pytest.mark.slow
def test_a_run_that_is_dropped_is_closed(face_clip: Path, fast: dict[str, Any]) -> None:
    run = facereg.process(face_clip, **fast)
    next(run)
    del run
    gc.collect()
    assert log(fast) == ["loaded", "built", "closed"]
    assert threads() == set()


@pytest.mark.slow
def test_a_run_that_came_to_its_end_is_closed(face_clip: Path, fast: dict[str, Any]) -> None:
    run = facereg.process(face_clip, max_faces=1, **fast)
    assert [result.frame.index for result in run] == list(range(10))
    assert log(fast) == ["loaded", "built", "closed"]
    assert (run.totals.frames, run.totals.faces) == (10, 10)
    assert list(run) == []
    assert repr(run) == f"Results({str(face_clip)!r}, frames=10)"


@pytest.mark.slow
def test_a_frame_that_fails_may_be_skipped(face_clip: Path, fast: dict[str, Any]) -> None:
    fast["detector"] = "fast:fail=8"
    run = facereg.process(face_clip, on_error="skip", detect_every=1, **fast)
    assert [len(result.faces) for result in run] == 8 * [1] + [0, 1]
    assert run.totals.skipped == 1


@pytest.mark.slow
def test_another_thread_may_close_a_run(face_clip: Path, fast: dict[str, Any]) -> None:
    fast["detector"] = "fast:sleep=0.2"
    run = facereg.process(face_clip, detect_every=1, **fast)
    next(run)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, run)
        run.close()
        assert len(rest.result()) < 9
    assert threads() == set()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["next(run)", "run.__enter__()", "pass"])
def test_an_interpreter_ends_well_with_a_run_half_way(
    how: str, face_clip: Path, fast: dict[str, Any]
) -> None:
    options = 'detector="fast", segmenter="fast", plugins=["fast.py"]'
    script = f"import facereg\nrun = facereg.process({str(face_clip)!r}, {options})\n{how}\n"
    assert run_script(fast["plugins"][0].parent, script) == ""
    assert how == "pass" or log(fast) == ["loaded", "built", "closed"]


@pytest.mark.slow
def test_an_interpreter_ends_well_while_models_are_at_work(face_clip: Path, tmp_path: Path) -> None:
    script = f"import facereg\nrun = facereg.process({str(face_clip)!r})\nprint(next(run))\n"
    for _ in range(3):
        assert "index=0" in run_script(tmp_path, script)


@pytest.mark.parametrize(
    "wrong", [{"max_faces": 0}, {"detect_every": 0}, {"duration": -1}, {"start": -1}]
)
def test_a_wrong_value_is_said_at_once(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(UsageError, match=f"{name}="):
        facereg.process("in.mp4", **wrong)
    with pytest.raises(TypeError, match="max_face"):
        facereg.process("in.mp4", max_face=1)  # type: ignore[call-arg]


def test_every_setting_of_a_run_is_a_keyword_of_process() -> None:
    settings = {field.name for field in dataclasses.fields(Settings)}
    for_sinks = {"provenance", "on_sink_error"}
    components = {"source", "detector", "segmenter", "plugins", "start", "smooth"}
    hiding = {"hold", "guard"}
    given = inspect.signature(facereg.process).parameters.keys()
    assert given == (settings - for_sinks) | components | hiding


# --- files ---------------------------------------------------------------------------------------


def test_statistics_are_read_with_their_types(folder: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = facereg.read_stats(folder / "faces.csv")
    assert len(table) == 10
    assert table["index"].tolist() == list(range(10))
    assert table["time"].iloc[3] == 0.12
    kinds = {name: str(table[name].dtype) for name in ("index", "id", "x0", "skin_area", "skin_x")}
    assert kinds == {
        "index": "int64",
        "id": "Int64",
        "x0": "Int64",
        "skin_area": "Int64",
        "skin_x": "float64",
    }
    pandas.testing.assert_frame_equal(table, facereg.read_stats(folder / "faces.jsonl"))


@pytest.mark.slow
def test_every_kind_of_statistics_reads_the_same(
    no_face_clip: Path, face_clip: Path, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    for clip in (no_face_clip, face_clip):
        paths = [tmp_path / f"{clip.stem}.{kind}" for kind in ("csv", "jsonl", "parquet")]
        sinks = [word for path in paths for word in ("--sink", f"stats:path={path}")]
        assert main(["run", str(clip), *sinks, "--quiet"]) == 0
        table, *others = map(facereg.read_stats, paths)
        assert len(table) == 10
        assert table["id"].isna().all() == (clip == no_face_clip)
        for other in others:
            pandas.testing.assert_frame_equal(table, other)


def test_a_frame_without_a_face_is_a_row_without_an_id(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    (tmp_path / "a.csv").write_text(
        "index,time,clock,id,x0,y0,x1,y1,score,skin_area,skin_x\n"
        "0,0.0,2030-05-17T09:30:00.000Z,,,,,,,,\n"
        "1,0.1,2030-05-17T09:30:00.100Z,4,1,2,3,4,0.5,0,\n"
    )
    (tmp_path / "a.jsonl").write_text(
        '{"index": 0, "time": 0.0, "clock": "2030-05-17T09:30:00.000Z", "id": null}\n'
        '{"index": 1, "time": 0.1, "clock": "2030-05-17T09:30:00.100Z", "id": 4, '
        '"box": [1, 2, 3, 4], "score": 0.5, "regions": {}}\n'
    )
    for kind in ("csv", "jsonl"):
        table = facereg.read_stats(tmp_path / f"a.{kind}")
        assert table["id"].isna().tolist() == [True, False]
        assert table["x1"].isna().tolist() == [True, False]
        assert table["skin_area"].isna().tolist() == [True, False]
        assert table["id"].iloc[1] == 4
        assert table["clock"].iloc[1].isoformat() == "2030-05-17T09:30:00.100000+00:00"


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.csv", "a,b\n1,2\n", "not statistics"),
        ("a.csv", "", "not statistics"),
        ("a.jsonl", "{", "not statistics"),
        ("a.jsonl", "[1]\n", "not statistics"),
        ("a.csv", "index,time,id\nx,0,1\n", "not statistics"),
        ("a.csv", None, "no such file"),
        ("a.txt", "x", "csv"),
    ],
)
def test_what_is_no_statistics_is_said_in_a_line(
    name: str, text: str | None, match: str, tmp_path: Path
) -> None:
    pytest.importorskip("pandas")
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=match) as refused:
        facereg.read_stats(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
def test_a_missing_package_is_said_with_its_cure(
    package: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if package == "pyarrow":
        pytest.importorskip("pandas")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(facereg.FaceregError, match=r"pip install 'facereg\[tables\]'"):
        facereg.read_stats(folder / "faces.parquet")
