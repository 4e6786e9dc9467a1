from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facereg import ModelError, UsageError
from facereg.plugins.pspnet.network import PSPNet
from facereg.training.config import Recipe
from facereg.training.dataset import FaceDataset
from facereg.training.loader import Batches, Data
from facereg.training.train import Average, Trainer
from tests.training.networks import small_network


def trainer(dataset: Path, folder: Path, steps: int, network: PSPNet | None = None) -> Trainer:
    recipe = Recipe(size=96, batch=2, steps=steps, warmup=2, seed=5)
    data = Data(FaceDataset(dataset, "train"))
    return Trainer(network or small_network(), data, None, recipe, folder, report=lambda _: None)


@pytest.mark.slow
def test_training_lowers_the_loss(dataset: Path, tmp_path: Path) -> None:
    run = trainer(dataset, tmp_path, 12)
    before = {key: value.clone() for key, value in run.network.state_dict().items()}
    losses = []
    train = run._train_step
    run._train_step = lambda *args: losses.append(train(*args)) or losses[-1]  # type: ignore[method-assign]
    run.run()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    changed = [
        key for key, value in run.network.state_dict().items() if (value != before[key]).any()
    ]
    assert "classify.weight" in changed
    assert "backbone.features.0.0.weight" in changed


@pytest.mark.slow
def test_a_killed_run_resumes_where_its_checkpoint_is(dataset: Path, tmp_path: Path) -> None:
    first = trainer(dataset, tmp_path, 4)
    first.run()
    assert first.step == 4
    resumed = trainer(dataset, tmp_path, 4, network=PSPNet(pool=8, width=16, skip=8))
    assert resumed.step == 4
    for key, value in first.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[key], value)
    assert resumed.average.count == first.average.count


@pytest.mark.slow
def test_a_checkpoint_of_another_recipe_is_not_taken(dataset: Path, tmp_path: Path) -> None:
    trainer(dataset, tmp_path, 2).run()
    with pytest.raises(ModelError, match=r"checkpoint\.pt: belongs to a run with another recipe"):
        trainer(dataset, tmp_path, 3)


def test_what_fails_in_the_thread_that_makes_batches_ends_the_run(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batches, "at", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer(dataset, tmp_path, 2).run()


def test_a_run_without_an_end_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--minutes or --steps"):
        Trainer(small_network(), Data(FaceDataset(dataset)), None, Recipe(), tmp_path)


def test_the_average_follows_slowly() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0)
    average = Average(network, 0.9)
    network.weight.data.fill_(1)
    for _ in range(200):
        average.update(network)
    assert 0.9 < float(average.state["weight"]) <= 1.0
