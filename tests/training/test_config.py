from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from facereg import UsageError
from facereg.models import find_model
from facereg.training.config import Recipe, load_recipe, write_recipe


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    recipe = Recipe(steps=100, warmup=10)
    rates = [recipe.rate(step, recipe.progress(step, 0)) for step in range(101)]
    assert rates[0] < rates[5] < rates[10]
    assert max(rates) <= 1
    assert rates[100] == pytest.approx(0)


def test_a_written_recipe_is_read_back(tmp_path: Path) -> None:
    recipe = replace(
        Recipe(), name="größer", weights=("base",), also=("a", "b"), extra_weights=(1, 0.5),
        minutes=20.0, lr=1e-4, bf16=False,
    )  # fmt: skip
    write_recipe(recipe, tmp_path / "a.toml", "facereg train DATASET")
    assert load_recipe(tmp_path / "a.toml") == recipe
    assert (tmp_path / "a.toml").read_text(encoding="utf-8").startswith("# facereg train DATASET\n")


def test_a_recipe_may_name_a_few_values(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("lr = 1\nsteps = 5\n# a comment\n")
    assert load_recipe(tmp_path / "a.toml") == Recipe(lr=1.0, steps=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("occlude", "not a TOML file"),
        ("oclude = 0.5", r"unknown name 'oclude': did you mean occlude"),
        ("batch = 1.5", r"batch = 1.5 has the wrong type"),
        ("compile = 1", r"compile = 1 has the wrong type"),
        ("weights = 'base'", r"weights = \"base\" has the wrong type"),
        ("also = [1]", r"also = \[1\] has the wrong type"),
        ("occlude = 2", r"occlude must be from 0 to 1, not 2"),
        ("size = 100", r"size 100: must be a multiple of 32"),
        ("also = ['a']\nextra_weights = [1, 2]", "extra_weights has 2 values for 1 datasets"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        load_recipe(tmp_path / "a.toml")
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml: No such file"):
        load_recipe(tmp_path / "none.toml")


def test_the_recipe_of_the_shipped_model_is_valid() -> None:
    recipe = load_recipe(find_model("base").path.with_suffix(".toml"))
    assert recipe.backbone == "efficientnet_lite0"
    assert recipe.occlude > 0
