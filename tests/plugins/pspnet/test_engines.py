"""A model that does not fit, or computes no numbers, never makes a mask."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from facereg import Box, Detection, Frame, ModelError
from facereg.models import find_model
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from tests import clips

FACE = Detection(Box(*clips.FACE), 1.0)

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes a model of one's own, for ONNX Runtime, with a right card."""

    def make(value: float = 0.0, classes: int = 21, side: int = 96, size: int = 384) -> Path:
        shape = (1, classes, side, side)
        constant = numpy_helper.from_array(np.full(shape, value, np.float32))
        graph = helper.make_graph(
            [helper.make_node("Constant", [], ["logits"], value=constant)],
            "model",
            [helper.make_tensor_value_info("crops", TensorProto.UINT8, (1, size, size, 3))],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        )
        file = tmp_path / "mine.fp32.onnx"
        opset = helper.make_opsetid("", 17)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), file)
        checksum = hashlib.sha256(file.read_bytes()).hexdigest()
        card = {**find_model("base").card, "files": {file.name: checksum}}
        weights = tmp_path / "mine.safetensors"
        weights.write_bytes(find_model("base").path.read_bytes())
        weights.with_suffix(".json").write_text(json.dumps(card))
        return weights

    return make


def change_card(weights: Path, **values: object) -> None:
    path = weights.with_suffix(".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_network_that_computes_no_numbers_is_refused(make: Make, value: float) -> None:
    segmenter = PSPNetSegmenter(weights=make(value))
    with pytest.raises(ModelError, match=r"mine\.fp32\.onnx: computes values that are no numbers"):
        segmenter.segment(Frame(clips.astronaut()), [FACE])


@pytest.mark.parametrize("wrong", [{"classes": 11}, {"side": 48}])
def test_a_network_of_another_shape_is_refused(make: Make, wrong: dict[str, int]) -> None:
    segmenter = PSPNetSegmenter(weights=make(**wrong))
    with pytest.raises(ModelError, match="it does not fit"):
        segmenter.segment(Frame(clips.astronaut()), [FACE])


def test_a_network_for_other_crops_is_refused(make: Make) -> None:
    segmenter = PSPNetSegmenter(weights=make(size=320))
    with pytest.raises(ModelError, match=r"mine\.fp32\.onnx: cannot parse crops of 384 pixels"):
        segmenter.segment(Frame(clips.astronaut()), [FACE])


@pytest.mark.parametrize(
    "classes", [["background", "skin"], [*find_model("base").card["classes"][::-1]], []]
)
def test_a_card_with_other_classes_is_refused(make: Make, classes: list[str]) -> None:
    weights = make()
    change_card(weights, classes=classes)
    with pytest.raises(ModelError, match="its card lists other classes"):
        PSPNetSegmenter(weights=weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input_size", "384"),
        ("input_size", 250),
        ("input_size", 32_000_000),
        ("mean", [0.5]),
        ("std", [0.2, 0.0, 0.2]),
        ("crop_scale", 0),
        ("crop_scale", None),
        ("config", []),
        ("sha256", 3),
        ("architecture", "unet"),
        ("files", {"../other.onnx": "0" * 64}),
    ],
)
def test_a_card_with_a_wrong_value_is_refused(make: Make, key: str, value: object) -> None:
    weights = make()
    change_card(weights, **{key: value})
    with pytest.raises(ModelError, match=rf"mine\.json: not a model card: {key} is "):
        PSPNetSegmenter(weights=weights)


@pytest.mark.slow
def test_weights_that_are_no_numbers_are_refused(make: Make) -> None:
    import safetensors.torch

    weights = make()
    state = safetensors.torch.load_file(weights)
    state["classify.weight"][0, 0] = np.nan
    safetensors.torch.save_file(state, weights)
    change_card(weights, sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    with pytest.raises(ModelError, match=r"mine\.safetensors: classify\.weight holds values that"):
        PSPNetSegmenter(weights=weights, engine="torch")


#: Runs facereg as if these packages, which only extras bring, were not installed.
WITHOUT = """
import sys
for name in ("torch", "torchvision", "safetensors", "deepface", "onnx", "matplotlib", "pandas"):
    sys.modules[name] = None
from facereg.cli import main
sys.exit(main(sys.argv[1:]))
"""


def without_extras(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_default_run_needs_no_extra(tmp_path: Path, face_clip: Path) -> None:
    done = without_extras(
        *("run", face_clip, "-o", tmp_path / "out.mp4", "-m", tmp_path / "masks"),
        *("--stats", tmp_path / "faces.csv", "--duration", "0.3"),
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert len(list((tmp_path / "masks").glob("*.png"))) > 3
    assert without_extras("plugins").returncode == 0
    assert without_extras("models").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-s", "pspnet:engine=torch"], "engine=torch needs torch"),
        (["-s", "pspnet:precision=bf16"], "precision=bf16 needs torch"),
        (["-s", "pspnet:size=320"], "size=320 needs torch"),
        (["-s", "pspnet:weights={tmp}/x.pth"], r"a checkpoint (x.pth) needs torch"),
        (["-d", "deepface"], "detector deepface needs deepface"),
    ],
)
def test_a_missing_extra_is_one_line_with_the_cure(
    arguments: list[str], line: str, tmp_path: Path, face_clip: Path
) -> None:
    (tmp_path / "x.pth").touch()
    given = [argument.format(tmp=tmp_path) for argument in arguments]
    done = without_extras("run", face_clip, "-o", tmp_path / "out.mp4", *given)
    assert done.returncode == 1
    (error,) = done.stderr.strip().splitlines()
    assert f"{line}, which is not installed: pip install 'facereg[" in error
