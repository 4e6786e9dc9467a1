"""``facereg train``: train a model, write it with its card, and measure what was written."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from ..errors import ModelError, SinkError, UsageError


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    output = _output(args)
    import torch

    from ..plugins.pspnet.network import PSPNet
    from ..training.card import new_card, write_card, write_weights
    from ..training.dataset import FaceDataset
    from ..training.init import load_backbone
    from ..training.plots import plot_history
    from ..training.train import Recipe, Trainer

    if args.size % 96:
        raise UsageError(f"--size {args.size}: must be a multiple of 96, as 288 or 384")
    train = FaceDataset(args.dataset, args.split)
    held_out = FaceDataset(args.dataset, args.val) if args.val else None
    torch.manual_seed(args.seed)
    network = PSPNet(backbone=args.backbone, output_stride=args.output_stride)
    if args.init:
        load_backbone(network.backbone, args.backbone, Path(args.init))
    if args.weights:
        _load(network, Path(args.weights))
    recipe = Recipe(
        size=args.train_size or args.size,
        batch=args.batch,
        lr=args.lr,
        seed=args.seed,
        minutes=args.minutes,
        steps=args.steps,
        compile=args.compile,
    )
    trainer = Trainer(network, train, held_out, recipe, Path(args.work))
    trainer.run()
    network.load_state_dict(trainer.average.state)
    write_weights(network.state_dict(), output)
    card = new_card(network, args.size)
    card["command"] = shlex.join(["facereg", *sys.argv[1:]])
    card["data"] = {"folder": Path(args.dataset).name, "images": len(train), "licence": "unknown"}
    if held_out is not None:
        card["metrics"] = measure(network, card, held_out, args.val)
    write_card(card, output)
    plot_history(trainer.history, output.with_suffix(".png"))
    print(f"{output}: {card['parameters']:,} parameters; its card is {output.stem}.json")
    return 0


def _output(args: argparse.Namespace) -> Path:
    output = Path(args.output)
    if output.suffix != ".safetensors":
        raise SinkError(f"{output}: the model's name must end in .safetensors")
    if output.exists() and not args.overwrite:
        raise SinkError(f"{output}: exists; --overwrite replaces it")
    if not output.parent.is_dir():
        raise SinkError(f"{output}: no folder {output.parent}")
    return output


def _load(network: Any, path: Path) -> None:
    import safetensors.torch

    try:
        network.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError) as e:
        raise ModelError(f"{path}: does not fit the network: {' '.join(str(e).split())}") from e


def measure(network: Any, card: dict[str, Any], data: Any, split: str) -> dict[str, Any]:
    """Score a network as `facereg evaluate` does."""
    from ..training.evaluate import predict_with_torch, score

    scores = score(data, predict_with_torch(network, card["input_size"])).summary()
    return {"split": split, "images": len(data), **scores}
