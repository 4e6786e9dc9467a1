"""``facereg train``: train a model, write it with its card, and measure what was written."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..output import check_file, write_file

if TYPE_CHECKING:
    from ..plugins.pspnet.network import PSPNet
    from ..training.config import Recipe
    from ..training.dataset import FaceDataset
    from ..training.loader import Data

#: Crops that the 8-bit twin's ranges are measured on.
CALIBRATION = 100
#: Mean F1 that the 8-bit twin may cost; a worse one is not kept.
COST = 0.005


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    output = Path(args.output)
    check_file(output, (".safetensors",), args.overwrite)
    for option, size in (("--size", args.size), ("--train-size", args.train_size or args.size)):
        if size % args.output_stride:
            raise UsageError(f"{option} {size}: must be a multiple of {args.output_stride}")
    from ..training.calibrate import calibrate
    from ..training.card import new_card, round_weights, write_card, write_weights
    from ..training.dataset import FaceDataset
    from ..training.plots import plot_history
    from ..training.train import Trainer

    train = FaceDataset(args.dataset, args.split)
    held_out = FaceDataset(args.dataset, args.val) if args.val else None
    network = _network(args)
    data = _data(args, train)
    trainer = Trainer(network, data, held_out, _recipe(args), Path(args.work))
    network.load_state_dict(trainer.run())
    round_weights(network)
    moved = {} if held_out is None else calibrate(network, held_out, args.size)
    write_weights(network.state_dict(), output)
    card = new_card(network, args.size)
    card["name"] = args.name or output.stem
    card["command"] = shlex.join(["facereg", *args.argv])
    card["calibration"] = moved
    card["data"] = {
        "name": args.data_name or Path(args.dataset).resolve().name,
        "terms": args.data_terms,
        "images": len(train),
        "also": {d.root.name: len(d) for d in data.also},
        "partial": {d.root.name: len(d) for d in [data.partial] if d is not None},
    }
    if held_out is not None:
        card["metrics"] = _measured(network, args.size, held_out, args.val)
    _add_8_bit(network, card, train, held_out, output)
    write_card(card, output)
    if held_out is not None:
        card["metrics"]["tta"] = _evaluated(output, held_out)
        write_card(card, output)
    plot_history(trainer.history, output.with_suffix(".png"))
    print(f"{output}: {card['parameters']:,} parameters; its card is {output.stem}.json")
    return 0


def _network(args: argparse.Namespace) -> PSPNet:
    """Make the network, from an ImageNet backbone, from a model, or from nothing."""
    import torch

    from ..plugins.pspnet.backbones import BACKBONES
    from ..plugins.pspnet.network import PSPNet
    from ..training.pretrained import load_backbone, start_from

    if args.backbone not in BACKBONES:
        raise UsageError(f"--backbone {args.backbone}: known are {', '.join(BACKBONES)}")
    torch.manual_seed(args.seed)
    network = PSPNet(backbone=args.backbone, output_stride=args.output_stride)
    if args.init:
        load_backbone(network.backbone, args.backbone, Path(args.init))
    if args.weights:
        start_from(network, [Path(file) for file in args.weights])
    return network


def _data(args: argparse.Namespace, main: FaceDataset) -> Data:
    """Open the further datasets; of each the split that is named like the main one, if any."""
    from ..training.dataset import FaceDataset
    from ..training.loader import Data

    def opened(folder: str) -> FaceDataset:
        return FaceDataset(
            folder, args.split if Path(folder, f"{args.split}.txt").exists() else None
        )

    partial = opened(args.partial) if args.partial else None
    also = [opened(folder) for folder in args.also]
    return Data(main, also, partial, args.share, mixed=args.mixed, occluded=args.occlude)


def _recipe(args: argparse.Namespace) -> Recipe:
    from ..training.config import Recipe

    return Recipe(
        size=args.train_size or args.size,
        batch=args.batch,
        lr=args.lr,
        seed=args.seed,
        minutes=args.minutes,
        steps=args.steps,
        compile=args.compile,
        plain=args.plain,
        start=(*args.weights, *filter(None, [args.init])),
        teachers=tuple(args.teacher),
    )


def _measured(network: PSPNet, size: int, data: FaceDataset, split: str) -> dict[str, Any]:
    """Score a network in floating point, each image parsed once."""
    from ..training.evaluate import predict_with_torch, score

    scores = score(data, predict_with_torch(network, size)).summary()
    return {"split": split, "images": len(data), **scores}


def _evaluated(output: Path, data: FaceDataset) -> dict[str, object]:
    """Score what was written as `facereg evaluate` does."""
    from ..plugins.pspnet.segmenter import PSPNetSegmenter
    from ..training.evaluate import score

    return score(data, PSPNetSegmenter(weights=output).parse_crop).summary()


def _add_8_bit(
    network: PSPNet,
    card: dict[str, Any],
    train: FaceDataset,
    held_out: FaceDataset | None,
    output: Path,
) -> None:
    """Write the 8-bit twin for ONNX Runtime beside the model, if it is nearly as good.

    Its ranges are measured on training crops, and it is measured on the held-out ones; without any
    there is no twin.
    """
    if held_out is None:
        return
    from ..plugins.pspnet.crops import preprocess_crop
    from ..training.deploy.export import export_onnx
    from ..training.deploy.quantize import quantize
    from ..training.evaluate import predict_with_onnx, score

    size = int(card["input_size"])
    step = max(1, len(train) // CALIBRATION)
    crops = [preprocess_crop(train.image(i), size) for i in range(0, len(train), step)]
    twin = output.with_name(f"{output.stem}.int8.onnx")
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as folder:
        exact, fast = Path(folder) / "exact.onnx", Path(folder) / twin.name
        export_onnx(network, card, exact)
        quantize(exact, fast, crops)
        scores = score(held_out, predict_with_onnx(fast, size)).summary()
        cost = float(card["metrics"]["mean_f1"]) - float(str(scores["mean_f1"]))
        if cost > COST:
            print(f"{twin.name}: not kept: 8 bits cost {cost:.4f} mean F1")
            return
        write_file(twin, fast.read_bytes())
    card["files"] = {twin.name: ""}
    card["metrics"]["int8"] = scores
