"""Train the segmentation network on a folder of labelled face crops."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor, nn

from ..errors import ModelError, UsageError
from ..output import AtomicFile
from ..plugins.pspnet.backbones import EfficientNetLite
from ..plugins.pspnet.network import MEAN, STD, PSPNet
from .augment import Augment
from .config import Recipe
from .dataset import FaceDataset
from .distillation import Teachers
from .evaluate import predict_with_torch, score
from .loader import Batch, Batches, Data
from .losses import distance_to, loss_of

#: Longest that a step may count, in seconds; a machine that slept through one did not train.
PAUSE = 10.0


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
    """One run: resumes from ``FOLDER/checkpoint.pt`` when there is one of the same recipe.

    Args:
        network: the network, with its initial weights.
        data: what to train on.
        held_out: labelled crops to select by, or None.
        recipe: what to do.
        folder: where checkpoints and the log go.
        say: called with a line of progress.
    """

    save_every = 240.0  # seconds
    score_every = 900.0

    def __init__(
        self,
        network: PSPNet,
        data: Data,
        held_out: FaceDataset | None,
        recipe: Recipe,
        folder: Path,
        say: Callable[[str], None] = print,
    ) -> None:
        if recipe.minutes is None and recipe.steps is None:
            raise UsageError("training needs a budget: --minutes or --steps")
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe, self.folder, self.say = recipe, folder, say
        self.data, self.held_out = data, held_out
        self.teachers = Teachers(recipe.teachers, recipe.size) if recipe.teachers else None
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
        for module in self._frozen():
            module.requires_grad_(requires_grad=False)
        self.average = Average(network, recipe.ema)
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, float]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def _frozen(self) -> list[nn.Module]:
        """List the parts of the backbone that stay as they are."""
        if not self.recipe.frozen:
            return []
        backbone = self.network.backbone
        if not isinstance(backbone, EfficientNetLite):
            raise UsageError("only an EfficientNet-Lite can be frozen in part")
        stem, norm, blocks = backbone.children()
        return [stem, norm, *list(blocks.children())[: self.recipe.frozen]]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        saved = torch.load(self.checkpoint, weights_only=True)
        for what, is_now in self._identity().items():
            if saved.get(what) != is_now:
                raise ModelError(
                    f"{self.checkpoint}: is of a run with another {what}; name another --work "
                    "folder or remove it"
                )
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.state, self.average.count = saved["average"], saved["step"]
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.history = saved["history"]
        self.say(f"resumed at step {self.step}, {self.seconds / 60:.1f} minutes")

    def _identity(self) -> dict[str, object]:
        """Tell what two runs must have in common for one to go on where the other ended."""
        return {
            "recipe": asdict(self.recipe),
            "config": self.network.config,
            "data": self.data.describe(),
        }

    def save(self) -> None:
        """Write the checkpoint beside its final name, then rename it over the old one."""
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
        """Train until the budget is used; return the averaged weights."""
        if self.recipe.progress(self.step, self.seconds) < 1:
            self._go_on()
            self._score()
            self.save()
        return self.average.state

    def _go_on(self) -> None:
        cv2.setNumThreads(1)  # OpenCV's threads and torch's would fight for the same cores
        torch.manual_seed(self.recipe.seed + self.step)
        if self.recipe.threads:
            torch.set_num_threads(self.recipe.threads)
        self.network.train()
        for module in self._frozen():
            module.eval()
        forward: Callable[[Tensor], Tensor] = (
            torch.compile(self.network) if self.recipe.compile else self.network
        )
        augment = Augment(self.recipe.size, self.recipe.plain)
        batches = Batches(self.data, augment, self.recipe.batch, self.recipe.seed)
        self.judged = torch.from_numpy(batches.judged)
        saved = scored = told = ended = time.monotonic()
        recent: list[float] = []
        for batch, taught in batches.ahead(self.step, self.teachers):
            progress = self.recipe.progress(self.step, self.seconds)
            if progress >= 1:
                break
            recent.append(self._train(forward, batch, taught, progress))
            now = time.monotonic()
            self.seconds += min(now - ended, PAUSE)
            ended = now
            if now - told > 30:
                self._tell(recent, progress)
                recent, told = [], now
            if now - scored > self.score_every:
                self._score()
                scored = time.monotonic()
            if now - saved > self.save_every:
                self.save()
                saved = now
            ended = max(ended, scored)  # scoring is no training

    def _train(
        self,
        forward: Callable[[Tensor], Tensor],
        batch: Batch,
        taught: Tensor | None,
        progress: float,
    ) -> float:
        images, labels, _ = batch
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr * group["share"] * self.recipe.rate(self.step, progress)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bf16):
            logits = forward(normalise(torch.from_numpy(images)))
        truth = torch.from_numpy(labels).long()
        loss = loss_of(logits, truth, self.recipe, self.judged, divmod(self.step % 4, 2))
        if taught is not None:
            loss = loss + self.recipe.teaching * distance_to(taught, logits, truth)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.average.update(self.network)
        self.step += 1
        return float(loss.detach())

    def _tell(self, recent: list[float], progress: float) -> None:
        loss = sum(recent) / len(recent)
        self.history.append({"step": self.step, "minutes": self.seconds / 60, "loss": loss})
        speed = self.step * self.recipe.batch / self.seconds
        left = self.seconds / 60 * (1 - progress) / max(progress, 1e-6)
        self.say(
            f"step {self.step}  loss {loss:.4f}  {speed:.1f} images/s  "
            f"{100 * progress:.0f} %  {left:.0f} minutes left"
        )

    def _score(self) -> None:
        if self.held_out is None:
            return
        network = PSPNet(**self.network.config)
        network.load_state_dict(self.average.state)
        predict = predict_with_torch(network, self.recipe.size)
        summary = score(self.held_out, predict).summary()
        mean, plain = summary["mean_f1"], summary["mean_f1_without_jewellery"]
        self.history.append(
            {"step": self.step, "minutes": self.seconds / 60, "mean_f1": float(str(mean))}
        )
        self.say(f"step {self.step}  mean F1 {mean} ({plain} without jewellery)")
