"""deepface's back ends: one that needs nothing, those that are installed, one that downloads."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnx
import pytest
from deepface.models.face_detection import CenterFace, YuNet
from deepface.modules import modeling
from onnx import TensorProto, helper

from facereg.errors import FaceregError, PluginError, UsageError
from facereg.plugins.deepface import DeepfaceDetector
from facereg.registry.registry import Registry
from facereg.types import Box, Frame
from tests import clips

pytestmark = pytest.mark.slow  # torch, deepface and their weights take seconds to load

#: Back ends that bring their weights in their package, and that package.
BUNDLED = {"mtcnn": "mtcnn", "fastmtcnn": "facenet_pytorch", "mediapipe": "mediapipe"}

#: Back ends that need packages or weights of their own.
OTHERS = sorted(modeling.AVAILABLE_MODELS["face_detector"].keys() - BUNDLED.keys() - {"opencv"})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a home without weights, and deepface no model from another test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("DEEPFACE_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(
        modeling, "cached_models", {task: {} for task in modeling.AVAILABLE_MODELS}, raising=False
    )
    return tmp_path / "home"


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection at once."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Serve ``tmp_path/web`` on this machine, and give its address."""
    (tmp_path / "web").mkdir()
    handler = functools.partial(_Quiet, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def write_centerface(path: Path) -> None:
    """Write a network with CenterFace's outputs, which sees one face in a 64x64 picture.

    Its maps are a quarter of the picture; the face is 32 pixels wide and high, around the cell at
    column 8, row 8.
    """
    heat = np.zeros((1, 1, 16, 16), np.float32)
    heat[0, 0, 8, 8] = 0.9
    size = np.full((1, 2, 16, 16), np.log(8), np.float32)
    offset = np.zeros((1, 2, 16, 16), np.float32)
    marks = np.full((1, 10, 16, 16), 0.5, np.float32)
    maps = {"537": heat, "538": size, "539": offset, "540": marks}
    nodes, outputs = [], []
    constant = [
        helper.make_tensor(f"c{name}", TensorProto.FLOAT, a.shape, a.ravel())
        for name, a in maps.items()
    ]
    nodes.append(helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=1))
    constant.append(helper.make_tensor("zero", TensorProto.FLOAT, (1,), [0.0]))
    nodes.append(helper.make_node("Mul", ["mean", "zero"], ["nothing"]))
    for name, a in maps.items():
        nodes.append(helper.make_node("Add", [f"c{name}", "nothing"], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, a.shape))
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, 3, 64, 64))
    graph = helper.make_graph(nodes, "centerface", [picture], outputs, constant)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.save(model, path)


@pytest.mark.parametrize("align", ["no", "yes"])
def test_a_face_is_found_in_place(align: str) -> None:
    detector = Registry().build("detector", f"deepface:backend=opencv,align={align}")

    (face,) = detector.detect(Frame(clips.astronaut()))

    assert face.box.iou(Box(*clips.FACE)) > 0.6
    assert 0.5 < face.score <= 1


@pytest.mark.parametrize("backend", BUNDLED)
def test_back_ends_that_bring_their_weights(backend: str) -> None:
    if importlib.util.find_spec(BUNDLED[backend]) is None:
        with pytest.raises(PluginError, match=f"{backend}: it needs the module .*: pip install"):
            DeepfaceDetector(backend=backend)
        return
    try:
        detector = DeepfaceDetector(backend=backend)
    except PluginError as e:  # a version that this deepface does not know
        pytest.skip(str(e))
    faces = detector.detect(Frame(clips.astronaut()))
    assert any(face.box.iou(Box(*clips.FACE)) > 0.5 for face in faces)


def test_the_whole_frame_is_no_face() -> None:
    detector = DeepfaceDetector(backend="opencv")

    for image in clips.no_face(3):
        assert detector.detect(Frame(image.copy())) == []


def test_a_score_keeps_weak_faces_out() -> None:
    assert not DeepfaceDetector(score=0.999).detect(Frame(clips.astronaut()))


def test_nothing_is_printed_made_or_set(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    environment, filters = dict(os.environ), list(warnings.filters)

    DeepfaceDetector().detect(Frame(clips.astronaut()))

    assert dict(os.environ) == environment
    assert warnings.filters == filters
    assert capfd.readouterr() == ("", "")
    assert not [path for path in home.rglob("*") if path.name != ".cache"]


def test_an_unknown_back_end_is_told() -> None:
    with pytest.raises(UsageError, match="backend=yunnet: did you mean yunet"):
        DeepfaceDetector(backend="yunnet")


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("backend", OTHERS)
def test_what_a_back_end_lacks_is_told_in_a_line(backend: str, home: Path) -> None:
    with pytest.raises(PluginError) as error:
        DeepfaceDetector(backend=backend)

    text = str(error.value)
    assert text.startswith(f"detector deepface: backend {backend}: ")
    assert "\n" not in text
    assert "pip install " in text or (
        "cannot be downloaded from http" in text
        and text.endswith(f"put it into {home}/.cache/facereg/.deepface/weights")
    )
    assert not list(home.rglob(".deepface"))


@pytest.mark.usefixtures("refused")
def test_which_file_from_where_into_which_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(home / "mine"))

    with pytest.raises(PluginError) as error:
        DeepfaceDetector(backend="yunet")

    file = YuNet.WEIGHTS_URL.rpartition("/")[2]
    assert f"{file} cannot be downloaded from {YuNet.WEIGHTS_URL} (" in str(error.value)
    assert str(error.value).endswith(f"put it into {home}/mine/.deepface/weights")


def test_a_server_that_has_no_such_file_is_told(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(YuNet, "WEIGHTS_URL", f"{web}/yunet.onnx")

    with pytest.raises(PluginError, match=f"downloaded from {web}/yunet.onnx \\(status 404\\)"):
        DeepfaceDetector(backend="yunet")


def test_a_file_that_is_no_network_is_told(
    web: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web" / "yunet.onnx").write_text("<html>log in to our network</html>")
    monkeypatch.setattr(YuNet, "WEIGHTS_URL", f"{web}/yunet.onnx")

    with pytest.raises(PluginError, match=f"in {home}/.cache/.* is damaged, delete it"):
        DeepfaceDetector(backend="yunet")


def test_weights_are_downloaded_once_and_used(
    web: str,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_centerface(tmp_path / "web" / "centerface.onnx")
    monkeypatch.setattr(CenterFace, "WEIGHTS_URL", f"{web}/centerface.onnx")

    detector = DeepfaceDetector(backend="centerface")
    (tmp_path / "web" / "centerface.onnx").unlink()
    (face,) = detector.detect(Frame(np.zeros((64, 64, 3), np.uint8)))

    assert (home / ".cache" / "facereg" / ".deepface" / "weights" / "centerface.onnx").is_file()
    assert np.abs(np.array(face.box) - (18, 18, 50, 50)).max() <= 2
    assert face.score == pytest.approx(0.9)
    assert capfd.readouterr().out == ""


def test_weights_that_the_user_has_are_used(home: Path, tmp_path: Path) -> None:
    weights = home / ".deepface" / "weights"
    weights.mkdir(parents=True)
    write_centerface(weights / "centerface.onnx")

    assert DeepfaceDetector(backend="centerface").detect(Frame(np.zeros((64, 64, 3), np.uint8)))


def test_a_home_that_cannot_be_written_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("DEEPFACE_HOME", str(home / "file"))

    with pytest.raises(FaceregError, match="set DEEPFACE_HOME"):
        DeepfaceDetector()


def test_a_missing_deepface_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepface.modules", None)

    with pytest.raises(
        FaceregError, match=r"needs deepface, .*: pip install 'facereg\[deepface\]'"
    ):
        DeepfaceDetector()
