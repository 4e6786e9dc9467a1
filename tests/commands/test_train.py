from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from facereg import parse
from facereg.cli import main
from facereg.models import sha256_of
from facereg.plugins.pspnet.network import PSPNet
from facereg.training.config import load_recipe
from tests import clips


def train(dataset: Path, folder: Path, *more: str) -> int:
    return main(
        [
            *("train", str(dataset), "-o", str(folder / "mine.safetensors"), "--steps", "2"),
            *("--batch", "2", "--size", "192", "--work", str(folder / "work"), *more),
        ]
    )


@pytest.mark.slow
def test_training_writes_a_model_that_runs_with_a_measured_card(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.toml").write_text(
        f"""
        also = ["{dataset}"]
        partial = "{dataset}"
        data_terms = "CC0"
        unaugmented = 0.5
        copy_paste = 0.5
        occlude = 0.1
        """
    )
    flags = ("--recipe", str(tmp_path / "recipe.toml"), "--occlude", "0.5", "--teacher", "base")
    assert train(dataset, tmp_path, *flags) == 0
    recipe = load_recipe(tmp_path / "mine.toml")
    assert (recipe.copy_paste, recipe.occlude, recipe.teachers) == (0.5, 0.5, ("base",))
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
    command = f"facereg train {dataset} -o mine.safetensors --recipe mine.toml"
    assert card["command"] == command
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert "two.safetensors: its layers differ from those of " in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_goes_on_with_no_other_data_or_start(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path) == 0
    weights = ("--weights", str(tmp_path / "mine.safetensors"))
    for other, what in ((("--also", str(dataset)), "recipe"), (weights, "recipe")):
        assert train(dataset, tmp_path, *other, "--overwrite") == 1
        assert f"checkpoint.pt: belongs to a run with another {what}" in capsys.readouterr().err
    assert train(dataset, tmp_path, "--overwrite") == 0


def test_a_size_that_the_backbone_cannot_halve_is_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(dataset, tmp_path, "--size", "100") == 2
    assert "recipe: size 100: must be a multiple of 32" in capsys.readouterr().err
