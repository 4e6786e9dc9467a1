"""Checkpoints of the upstream project and of the paper's author, made at random."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from facereg import Box, Detection, Frame, ModelError
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.plugins.pspnet.upstream import UPSTREAM_CLASSES, DeepStemPSPNet
from facereg.regions import class_ids
from tests import clips

pytestmark = pytest.mark.slow  # a network of 20 million weights

FACE = Detection(Box(*clips.FACE), 1.0)
DEPTHS = (1, 1, 1, 1)  # a quarter of ResNet-50, for the sake of the tests' time


def random_state(classes: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    network = DeepStemPSPNet(DEPTHS, classes)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training: no statistic at its default
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    nn.init.normal_(network.cls[4].weight, std=0.5)
    return network.state_dict()


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upstream") / "face_weights.pt"
    state = random_state(len(UPSTREAM_CLASSES))
    state |= {"aux.0.weight": torch.zeros(256, 1024, 3, 3), "aux.4.bias": torch.zeros(11)}
    torch.save({"model_state_dict": state, "optimizer_state_dict": {"lr": 1e-3}}, path)
    return path


def reference(state: dict[str, torch.Tensor], face: np.ndarray) -> np.ndarray:
    """Upstream's forward pass, written down once more from its description alone."""

    def conv(x: torch.Tensor, name: str, stride: int = 1, dilation: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        pad = dilation * (weight.shape[2] // 2)
        return F.conv2d(x, weight, state.get(f"{name}.bias"), stride, pad, dilation)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"])

    gray = torch.from_numpy(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY))[None, None].float()
    gray = F.interpolate(gray, (240, 240), mode="bilinear", antialias=True, align_corners=False)
    x = gray.round().repeat(1, 3, 1, 1)
    for at, stride in ((0, 2), (3, 1), (6, 1)):
        x = F.relu(norm(conv(x, f"layer0.{at}", stride), f"layer0.{at + 1}"))
    x = F.max_pool2d(x, 3, 2, 1)
    for layer, stride, dilation in ((1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 1, 4)):
        name = f"layer{layer}.0"
        y = F.relu(norm(conv(x, f"{name}.conv1"), f"{name}.bn1"))
        y = F.relu(norm(conv(y, f"{name}.conv2", stride, dilation), f"{name}.bn2"))
        y = norm(conv(y, f"{name}.conv3"), f"{name}.bn3")
        x = F.relu(y + norm(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1"))
    parts = [x]
    for i, bins in enumerate((1, 2, 3, 6)):
        y = F.adaptive_avg_pool2d(x, bins)
        y = F.relu(norm(conv(y, f"ppm.features.{i}.1"), f"ppm.features.{i}.2"))
        parts.append(F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=True))
    y = F.relu(norm(conv(torch.cat(parts, 1), "cls.0"), "cls.1"))
    y = F.interpolate(conv(y, "cls.4"), (240, 240), mode="bilinear", align_corners=True)
    return y.argmax(1)[0].numpy().astype(np.uint8)


def test_upstreams_checkpoint_gives_exactly_its_label_map(upstream: Path) -> None:
    state = torch.load(upstream, weights_only=True)["model_state_dict"]
    x0, y0, x1, y1 = clips.FACE
    with torch.inference_mode():
        truth = reference(state, clips.astronaut()[y0:y1, x0:x1])
    assert len(np.unique(truth)) >= 3  # or the test would prove nothing
    face = cv2.resize(clips.astronaut()[y0:y1, x0:x1], (240, 240))
    with torch.inference_mode():
        square = reference(state, face)
    segmenter = PSPNetSegmenter(weights=upstream)
    (regions,) = segmenter.segment(Frame(face), [Detection(Box(0, 0, 240, 240), 1.0)])
    for label, name in enumerate(UPSTREAM_CLASSES[1:], start=1):
        np.testing.assert_array_equal(regions.mask(name), square == label, err_msg=name)
    (regions,) = segmenter.segment(Frame(clips.astronaut()), [FACE])
    assert regions.box == FACE.box
    size = (FACE.box.width, FACE.box.height)
    scaled = cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST_EXACT)
    np.testing.assert_array_equal(regions.mask("hair"), scaled == 7)


def test_the_sides_of_a_pair_lie_on_their_sides(upstream: Path) -> None:
    (regions,) = PSPNetSegmenter(weights=upstream).segment(Frame(clips.astronaut()), [FACE])
    for pair in ("eyebrows", "eyes", "eyelids", "ears"):
        left, right = class_ids([pair])
        columns = {label: np.nonzero(regions.labels == label)[1] for label in (left, right)}
        if all(len(c) for c in columns.values()):
            assert columns[right].max() <= columns[left].min() + 1


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_authors_layout_loads(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "author.pth"
    state = {prefix + key: value for key, value in random_state(21).items()}
    torch.save({"epoch": 3, "state_dict": state}, path)
    segmenter = PSPNetSegmenter(weights=path, size=97)
    (regions,) = segmenter.segment(Frame(clips.astronaut()), [FACE])
    assert regions.labels.shape == (regions.box.height, regions.box.width)
    assert len(np.unique(regions.labels)) > 1


def test_a_checkpoint_that_does_not_fit_names_the_first_keys(tmp_path: Path) -> None:
    state = random_state(11)
    del state["layer2.0.conv1.weight"]
    state["extra.weight"] = torch.zeros(1)
    state["cls.0.weight"] = torch.zeros(512, 4000, 3, 3)
    path = tmp_path / "bad.pt"
    torch.save({"model_state_dict": state}, path)
    with pytest.raises(ModelError, match=r"missing layer2\.0\.conv1\.weight; unknown extra\.") as e:
        PSPNetSegmenter(weights=path)
    assert "of another shape cls.0.weight" in str(e.value)


def test_a_pickle_that_needs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "touched",))

    path = tmp_path / "evil.pt"
    torch.save({"model_state_dict": Evil()}, path)
    with pytest.raises(ModelError, match="cannot be read as weights alone"):
        PSPNetSegmenter(weights=path)
    with (tmp_path / "plain.pt").open("wb") as f:
        pickle.dump(Evil(), f)
    with pytest.raises(ModelError, match="cannot be read as weights alone"):
        PSPNetSegmenter(weights=tmp_path / "plain.pt")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [{}, {"weights": 1}, {"model_state_dict": 3}, [1, 2]])
def test_a_file_of_neither_layout_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ModelError, match="not a known checkpoint"):
        PSPNetSegmenter(weights=path)


def test_a_wrong_number_of_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "five.pt"
    torch.save({"model_state_dict": random_state(5)}, path)
    with pytest.raises(
        ModelError, match=r"cls\.4\.weight is of shape \(5, .*the layouts have 11 or"
    ):
        PSPNetSegmenter(weights=path)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    state = random_state(11)
    state["layer1.0.conv1.weight"][0, 0] = torch.nan
    path = tmp_path / "nan.pt"
    torch.save({"model_state_dict": state}, path)
    with pytest.raises(
        ModelError, match=r"layer1\.0\.conv1\.weight holds values that are no numbers"
    ):
        PSPNetSegmenter(weights=path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04" + bytes(100), b"\x80\x02}q\x00.", b"x" * 999]
)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged\.pt: "):
        PSPNetSegmenter(weights=path)
