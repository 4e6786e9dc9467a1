from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest
import safetensors.torch
import torch

from facereg import parse
from facereg.cli import main
from facereg.models import sha256_of
from facereg.plugins.pspnet.network import PSPNet
from tests import clips


def train(dataset: Path, folder: Path, *more: str) -> int:
    return main(
        [
            *("train", str(dataset), "-o", str(folder / "mine.safetensors"), "--steps", "2"),
            *("--batch", "2", "--size", "192", "--work", str(folder / "work"), *more),
        ]
    )


def test_training_writes_a_model_that_runs_with_a_measured_card(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--also", str(dataset), "--partial", str(dataset), "--data-terms", "CC0")
    views = ("--plain", "0.5", "--mixed", "0.5", "--occlude", "0.5", "--teacher", "base")
    assert train(dataset, tmp_path, *data, *views) == 0
    weights = tmp_path / "mine.safetensors"
    card = json.loads((tmp_path / "mine.json").read_text())
    assert card["sha256"] == sha256_of(weights)
    assert card["metrics"]["images"] == 1
    assert 0 <= card["metrics"]["mean_f1"] <= 1
    assert (
        main(
            [
                "evaluate",
                str(dataset),
                "--split",
                "val",
                "-s",
                f"pspnet:weights={weights}",
                "--json",
            ]
        )
        == 0
    )
    evaluated = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert evaluated["classes"] == card["metrics"]["tta"]["classes"]
    assert card["command"].startswith(f"facereg train {dataset} ")
    assert card["data"] == {
        "name": dataset.name,
        "terms": "CC0",
        "images": 5,
        "also": {dataset.name: 5},
        "partial": {dataset.name: 5},
    }
    assert set(card["files"]) <= {"mine.int8.onnx"}
    assert (tmp_path / "mine.png").stat().st_size > 5000
    result = parse(clips.astronaut(), segmenter=f"pspnet:weights={weights}")
    assert len(result.faces) == 1


def test_an_existing_model_is_not_overwritten(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"precious")
    assert train(dataset, tmp_path) == 1
    assert "exists; --overwrite replaces it" in capsys.readouterr().err
    assert (tmp_path / "mine.safetensors").read_bytes() == b"precious"


def test_training_goes_on_from_a_model_as_far_as_it_fits(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "start.safetensors"
    state = PSPNet(width=64).state_dict()
    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, weights)
    assert train(dataset, tmp_path, "--weights", str(weights)) == 0
    assert "start.safetensors: 3" in capsys.readouterr().out
    safetensors.torch.save_file(PSPNet("resnet18").state_dict(), weights)
    assert train(dataset, tmp_path, "--weights", str(weights), "--overwrite") == 1
    assert "its backbone is not mobilenet_v2" in capsys.readouterr().err


def test_models_are_averaged_without_training(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    states = [PSPNet().state_dict() for _ in paths]
    for path, state in zip(paths, states, strict=True):
        safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, path)
    both = [part for path in paths for part in ("--weights", str(path))]
    assert train(dataset, tmp_path, *both, "--steps", "0") == 0
    found = safetensors.torch.load_file(tmp_path / "mine.safetensors")
    for key in ("backbone.features.0.0.weight", "classify.weight"):
        torch.testing.assert_close(
            found[key].float(), (states[0][key] + states[1][key]) / 2, atol=2e-4, rtol=1e-3
        )
    safetensors.torch.save_file(PSPNet(width=64).state_dict(), paths[1])
    assert train(dataset, tmp_path, *both, "--overwrite") == 1
    assert "two.safetensors: other layers than " in capsys.readouterr().err


def test_a_run_goes_on_with_no_other_data_or_start(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path) == 0
    weights = ("--weights", str(tmp_path / "mine.safetensors"))
    for other, what in ((("--mixed", "0.5"), "data"), (weights, "recipe")):
        assert train(dataset, tmp_path, *other, "--overwrite") == 1
        assert f"checkpoint.pt: is of a run with another {what}" in capsys.readouterr().err
    assert train(dataset, tmp_path, "--overwrite") == 0


def test_a_size_that_the_backbone_cannot_halve_is_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path, "--size", "100") == 2
    assert "--size 100: must be a multiple of 32" in capsys.readouterr().err
    assert train(dataset, tmp_path, "--train-size", "100") == 2
    assert "--train-size 100: must be a multiple of 32" in capsys.readouterr().err


def test_export_writes_a_checked_onnx_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "base.onnx"
    assert main(["export", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] > 0.999
    assert found["crops"] >= 4
    onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert [p.name for p in tmp_path.iterdir()] == ["base.onnx"]
    assert main(["export", str(out)]) == 1
    assert "exists" in capsys.readouterr().err
