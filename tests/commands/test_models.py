"""``facereg models``: whether what will be run is there and intact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facereg.cli import main
from facereg.models import sha256_of

CARD = {
    "architecture": "pspnet",
    "backbone": "mobilenet_v2",
    "config": {},
    "classes": ["background", "skin"],
    "input_size": 384,
    "mean": [0, 0, 0],
    "std": [1, 1, 1],
    "crop_scale": 1.7,
    "parameters": 2_000_000,
    "metrics": {"split": "val", "images": 100, "mean_f1": 0.8124},
}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a model of the user's own where it is looked for, and return its weight file."""
    monkeypatch.setenv("FACEREG_MODELS", str(tmp_path))
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"weights")
    card = {**CARD, "sha256": sha256_of(weights)}
    weights.with_suffix(".json").write_text(json.dumps(card))
    return weights


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Run the command with ``--json`` and return the state of each model."""
    assert main(["models", "--json"]) == 0
    return {m["name"]: m["state"] for m in json.loads(capsys.readouterr().out)["models"]}


def test_the_shipped_model_is_intact(capsys: pytest.CaptureFixture[str]) -> None:
    assert states(capsys)["base"] == "ok"


def test_an_intact_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert states(capsys)["mine"] == "ok"


def test_a_damaged_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model.write_bytes(b"weighty")

    assert states(capsys)["mine"] == "damaged"


def test_a_missing_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model.unlink()

    assert states(capsys)["mine"] == "missing"


def test_a_model_is_described_for_people(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0

    shown = capsys.readouterr().out
    assert "mine  ok\n" in shown
    assert str(model) in shown
    assert "pspnet on mobilenet_v2, 384x384, 2.0 M parameters" in shown
    assert "mean F1 0.8124 on 100 images of val" in shown


def test_a_card_that_is_none_is_named(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model.with_suffix(".json").write_text("{}")

    assert main(["models"]) == 1
    assert "mine.json: not a model card" in capsys.readouterr().err
