"""Train the segmentation network on a folder of labelled face crops."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from ..errors import ModelError, UsageError, missing_extra
from ..output import AtomicFile

try:
    import torch
    from torch import Tensor, nn
except ImportError as e:
    raise missing_extra("torch", "train", "training") from e

from ..plugins.pspnet.backbones import EfficientNetLite
from ..plugins.pspnet.network import MEAN, STD, PSPNet
from .augment import Augment
from .config import Recipe
from .dataset import FaceDataset
from .distillation import Teachers
from .evaluate import predict_with_torch, score
from .loader import Batch, Batches, Data
from .losses import distillation_loss, segmentation_loss

#: Longest duration that counts for one step; a suspended machine was not training.
MAX_STEP_SECONDS = 10.0

LOSS_SECONDS, SAVE_SECONDS, SCORE_SECONDS = 30.0, 240.0, 900.0


def normalise(images: Tensor) -> Tensor:
    """Turn (N, H, W, 3) uint8 BGR into (N, 3, H, W) float32 RGB with ImageNet's mean and std."""
    rgb = images.flip(-1).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    std = torch.tensor(STD).view(1, 3, 1, 1)
    return ((rgb - mean) / std).contiguous(memory_format=torch.channels_last)


class Average:
    """Exponential moving average of a network's weights and batch statistics."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.state = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network; faster in the first steps, when there is little to average."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for key, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


class Trainer:
    """A training run. It resumes from ``FOLDER/checkpoint.pt`` if that has the same recipe.

    Args:
        network: the network, with its initial weights.
        data: the datasets to learn from.
        held_out: labelled crops to measure the model on, or None.
        recipe: decides everything else.
        folder: for checkpoints and the history.
        report: called with a line about what was measured or resumed.
        show: called after each step with the images seen, how many there will be at a guess, and
            the loss as text.
    """

    def __init__(
        self,
        network: PSPNet,
        data: Data,
        held_out: FaceDataset | None,
        recipe: Recipe,
        folder: Path,
        *,
        report: Callable[[str], None] = print,
        show: Callable[[int, int, str], None] = lambda *_: None,
    ) -> None:
        if recipe.minutes is None and recipe.steps is None:
            raise UsageError("training needs a length: --minutes or --steps")
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe, self.folder, self.report, self.show = recipe, folder, report, show
        self.data, self.held_out = data, held_out
        self.teachers = (
            Teachers(recipe.teachers, recipe.sample_size, recipe.threads)
            if recipe.teachers
            else None
        )
        backbone = list(network.backbone.parameters())
        known = {id(p) for p in backbone}
        head = [p for p in network.parameters() if id(p) not in known]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": backbone, "share": recipe.backbone_lr},
                {"params": head, "share": 1.0},
            ],
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
        )
        for module in self._frozen_modules():
            module.requires_grad_(requires_grad=False)
        self.average = Average(network, recipe.ema)
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, float]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def _frozen_modules(self) -> list[nn.Module]:
        """List the parts of the backbone whose weights and batch statistics are kept."""
        if not self.recipe.frozen_blocks:
            return []
        backbone = self.network.backbone
        if not isinstance(backbone, EfficientNetLite):
            raise UsageError("recipe: frozen_blocks needs an EfficientNet-Lite backbone")
        stem, norm, blocks = backbone.children()
        return [stem, norm, *list(blocks.children())[: self.recipe.frozen_blocks]]

    @property
    def checkpoint(self) -> Path:
        """The file that a killed run resumes from."""
        return self.folder / "checkpoint.pt"

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        saved = torch.load(self.checkpoint, weights_only=True)
        for part, value in self._identity().items():
            if saved.get(part) != value:
                raise ModelError(
                    f"{self.checkpoint}: belongs to a run with another {part}; choose another "
                    "--work folder or remove it"
                )
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.state, self.average.count = saved["average"], saved["step"]
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.history = saved["history"]
        self.report(f"resumed at step {self.step}, {self.seconds / 60:.1f} minutes")

    def _identity(self) -> dict[str, object]:
        """Return what must be equal for one run to continue another."""
        return {
            "recipe": asdict(self.recipe),
            "config": self.network.config,
            "data": self.data.describe(),
        }

    def save(self) -> None:
        """Write the checkpoint; the previous one is replaced when it is complete."""
        state: dict[str, Any] = {
            **self._identity(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
        }
        with AtomicFile(self.checkpoint, overwrite=True) as file:
            torch.save(state, file.part)
        (self.folder / "history.json").write_text(json.dumps(self.history, indent=1))

    def run(self) -> dict[str, Tensor]:
        """Train to the end of the recipe. Returns the averaged weights."""
        if self.recipe.progress(self.step, self.seconds) < 1:
            self._train()
            self._score()
            self.save()
        return self.average.state

    def _train(self) -> None:
        cv2.setNumThreads(1)  # OpenCV's threads would compete with torch's for the cores
        if self.recipe.threads:
            torch.set_num_threads(self.recipe.threads)
        torch.manual_seed(self.recipe.seed + self.step)
        self.network.train()
        for module in self._frozen_modules():
            module.eval()
        forward: Callable[[Tensor], Tensor] = (
            torch.compile(self.network) if self.recipe.compile else self.network
        )
        augment = Augment(self.recipe.sample_size, self.recipe.unaugmented)
        batches = Batches(self.data, augment, self.recipe.batch, self.recipe.seed)
        partial_classes = torch.from_numpy(batches.partial_classes)
        saved = scored = reported = step_end = time.monotonic()
        losses: list[float] = []
        for batch, taught in batches.ahead(self.step, self.teachers):
            progress = self.recipe.progress(self.step, self.seconds)
            if progress >= 1:
                break
            losses.append(self._train_step(forward, batch, taught, partial_classes, progress))
            now = time.monotonic()
            self.seconds += min(now - step_end, MAX_STEP_SECONDS)
            self._show_progress(losses)
            if now - reported > LOSS_SECONDS:
                self._note_loss(losses)
                losses, reported = [], now
            if now - scored > SCORE_SECONDS:
                self._score()
                scored = now = time.monotonic()
            if now - saved > SAVE_SECONDS:
                self.save()
                saved = now
            step_end = now

    def _train_step(
        self,
        forward: Callable[[Tensor], Tensor],
        batch: Batch,
        taught: Tensor | None,
        partial_classes: Tensor,
        progress: float,
    ) -> float:
        """Update the weights on one batch. Returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr * group["share"] * self.recipe.rate(self.step, progress)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bf16):
            logits = forward(normalise(torch.from_numpy(batch.images)))
        truth = torch.from_numpy(batch.labels).long()
        phase = divmod(self.step % 4, 2)
        loss = segmentation_loss(logits, truth, self.recipe, partial_classes, phase)
        if taught is not None:
            loss = loss + self.recipe.teacher_weight * distillation_loss(taught, logits, truth)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.average.update(self.network)
        self.step += 1
        return float(loss.detach())

    def _show_progress(self, losses: list[float]) -> None:
        images = self.step * self.recipe.batch
        progress = self.recipe.progress(self.step, self.seconds)
        expected = round(images / progress) if progress else images
        self.show(images, max(images, expected), f"loss {losses[-1]:.4f}")

    def _note_loss(self, losses: list[float]) -> None:
        loss = sum(losses) / len(losses)
        self.history.append({"step": self.step, "minutes": self.seconds / 60, "loss": loss})

    def _score(self) -> None:
        """Measure the averaged weights on the held-out images."""
        if self.held_out is None:
            return
        network = PSPNet(**self.network.config)
        network.load_state_dict(self.average.state)
        summary = score(self.held_out, predict_with_torch(network, self.recipe.size)).summary()
        mean, without = summary["mean_f1"], summary["mean_f1_without_jewellery"]
        self.history.append(
            {"step": self.step, "minutes": self.seconds / 60, "mean_f1": float(str(mean))}
        )
        self.report(f"step {self.step}  mean F1 {mean} ({without} without jewellery)")
