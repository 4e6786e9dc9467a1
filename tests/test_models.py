from __future__ import annotations

import json
from pathlib import Path

import pytest

from facereg import ModelError, UsageError
from facereg.models import ENVIRONMENT, find_model, find_models, sha256_of


def test_the_shipped_model_is_intact_small_and_described() -> None:
    model = find_model("base")
    assert model.state == "ok"
    assert model.path.stat().st_size < 12_000_000
    card = model.card
    assert card["sha256"] == sha256_of(model.path)
    for name, promised in card["files"].items():
        path = model.path.with_name(name)
        assert path.stat().st_size < 12_000_000
        assert sha256_of(path) == promised
    assert card["metrics"]["mean_f1"] >= 0.80
    assert len(card["classes"]) == 21
    assert "CelebAMask-HQ" in json.dumps(card["data"])
    assert card["command"].startswith("facereg train")


def test_a_folder_of_the_users_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = {**find_model("base").card, "note": "mine"}
    (tmp_path / "base.json").write_text(json.dumps(card))
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    model = find_model("base")
    assert model.card["note"] == "mine"
    assert model.state == "missing"
    assert [m.name for m in find_models()].count("base") == 1
    with pytest.raises(ModelError, match="the model file is missing"):
        model.verify()


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown model 'bse': did you mean base"):
        find_model("bse")


def test_a_card_that_is_no_json_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.json").write_text("{")
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    with pytest.raises(ModelError, match=r"broken\.json: not a model card"):
        find_model("broken")
