"""``facereg train``: train a model, write it with its card, and measure the written file."""

from __future__ import annotations

import argparse
import logging
import shlex
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..output import check_file, write_file
from ..training.requirements import check_installed
from .progress import Progress

if TYPE_CHECKING:
    from ..plugins.pspnet.network import PSPNet
    from ..training.config import Recipe
    from ..training.dataset import FaceDataset
    from ..training.loader import Data

log = logging.getLogger(__name__)

#: Crops that the activation ranges of the 8-bit twin are measured on.
CALIBRATION_CROPS = 100

#: Maximum loss of mean F1 by 8 bits; a twin that loses more is not kept.
MAX_8_BIT_LOSS = 0.005


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    output = Path(args.output)
    check_file(output, (".safetensors",), args.overwrite)
    recipe = _recipe(args)
    check_installed("facereg train")
    from ..training.calibrate import calibrate
    from ..training.card import new_card, round_weights, write_card, write_weights
    from ..training.config import write_recipe
    from ..training.dataset import FaceDataset
    from ..training.plots import plot_history
    from ..training.train import Trainer

    data = _data(args.dataset, recipe)
    held_out = FaceDataset(args.dataset, recipe.val) if recipe.val else None
    network = _network(recipe)
    trainer = Trainer(network, data, held_out, recipe, Path(args.work), report=log.info)
    progress = Progress("images", done=trainer.step * recipe.batch)
    if not args.quiet:
        trainer.show = progress.update
    network.load_state_dict(trainer.run())
    if not args.quiet:
        progress.end(trainer.step * recipe.batch, trainer.step * recipe.batch)
    round_weights(network)
    shifts = {} if held_out is None else calibrate(network, held_out, recipe.size)
    write_weights(network.state_dict(), output)
    recipe_file = output.with_suffix(".toml")
    command = shlex.join(
        ["facereg", "train", args.dataset, "-o", output.name, "--recipe", recipe_file.name]
    )
    write_recipe(recipe, recipe_file, command)
    card = new_card(network, recipe.size)
    card["name"] = recipe.name or output.stem
    card["command"] = command
    card["calibration"] = shifts
    card["data"] = {
        "name": recipe.data_name or Path(args.dataset).resolve().name,
        "terms": recipe.data_terms,
        "images": len(data.main),
        "also": {d.root.name: len(d) for d in data.also},
        "partial": {d.root.name: len(d) for d in [data.partial] if d is not None},
    }
    if held_out is not None:
        card["metrics"] = _score_network(network, recipe.size, held_out, recipe.val)
        _add_8_bit_twin(network, card, data.main, held_out, output)
    write_card(card, output)
    if held_out is not None:
        card["metrics"]["tta"] = _score_file(output, held_out)
        write_card(card, output)
    plot_history(trainer.history, output.with_suffix(".png"))
    print(f"{output}: {card['parameters']:,} parameters; its card is {output.stem}.json")
    return 0


def _recipe(args: argparse.Namespace) -> Recipe:
    """Read the recipe file, if any; flags override what it says."""
    from ..training.config import Recipe, load_recipe

    recipe = load_recipe(Path(args.recipe)) if args.recipe else Recipe()
    flags = {field.name: getattr(args, field.name, None) for field in fields(Recipe)}
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in flags.items()
        if value is not None
    }
    if "minutes" in given and "steps" not in given:
        given["steps"] = None
    if "steps" in given and "minutes" not in given:
        given["minutes"] = None
    return replace(recipe, **given)


def _network(recipe: Recipe) -> PSPNet:
    """Build the network with its initial weights."""
    import torch

    from ..plugins.pspnet.backbones import BACKBONES
    from ..plugins.pspnet.network import PSPNet
    from ..training.pretrained import config_of, load_backbone, start_from, weights_path

    if recipe.backbone and recipe.backbone not in BACKBONES:
        raise UsageError(f"--backbone {recipe.backbone}: known are {', '.join(BACKBONES)}")
    paths = [weights_path(name) for name in recipe.weights]
    config: dict[str, Any] = {"backbone": recipe.backbone, "output_stride": recipe.output_stride}
    if not recipe.backbone:
        config = config_of(paths) or {**config, "backbone": "mobilenet_v2"}
    torch.manual_seed(recipe.seed)
    network = PSPNet(**config)
    if recipe.init:
        load_backbone(network.backbone, str(config["backbone"]), Path(recipe.init))
    if paths:
        start_from(network, paths)
    return network


def _data(dataset: str, recipe: Recipe) -> Data:
    """Open the datasets; of the further ones the split of the same name, if it exists."""
    from ..training.dataset import FaceDataset
    from ..training.loader import Data

    def open_folder(folder: str) -> FaceDataset:
        has_split = Path(folder, f"{recipe.split}.txt").exists()
        return FaceDataset(folder, recipe.split if has_split else None)

    return Data(
        FaceDataset(dataset, recipe.split),
        [open_folder(folder) for folder in recipe.also],
        open_folder(recipe.partial) if recipe.partial else None,
        recipe.extra_share,
        recipe.extra_weights,
        recipe.copy_paste,
        recipe.occlude,
    )


def _score_network(network: PSPNet, size: int, data: FaceDataset, split: str) -> dict[str, Any]:
    """Score a network in floating point; each image is parsed once."""
    from ..training.evaluate import predict_with_torch, score

    scores = score(data, predict_with_torch(network, size)).summary()
    return {"split": split, "images": len(data), **scores}


def _score_file(output: Path, data: FaceDataset) -> dict[str, object]:
    """Score the written model as `facereg evaluate` does."""
    from ..plugins.pspnet.segmenter import PSPNetSegmenter
    from ..training.evaluate import score

    return score(data, PSPNetSegmenter(weights=output).parse_crop).summary()


def _add_8_bit_twin(
    network: PSPNet,
    card: dict[str, Any],
    train: FaceDataset,
    held_out: FaceDataset,
    output: Path,
) -> None:
    """Write the 8-bit twin for ONNX Runtime next to the model, unless it loses too much.

    Its activation ranges are measured on training crops, its scores on the held-out ones.
    """
    from ..plugins.pspnet.crops import preprocess_crop
    from ..training.deploy.export import export_onnx
    from ..training.deploy.quantize import quantize
    from ..training.evaluate import predict_with_onnx, score

    size = int(card["input_size"])
    step = max(1, len(train) // CALIBRATION_CROPS)
    crops = [preprocess_crop(train.image(i), size) for i in range(0, len(train), step)]
    twin = output.with_name(f"{output.stem}.int8.onnx")
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as folder:
        exact, fast = Path(folder) / "exact.onnx", Path(folder) / twin.name
        export_onnx(network, card, exact)
        quantize(exact, fast, crops)
        scores = score(held_out, predict_with_onnx(fast, size)).summary()
        loss = float(card["metrics"]["mean_f1"]) - float(str(scores["mean_f1"]))
        if loss > MAX_8_BIT_LOSS:
            print(f"{twin.name}: not kept: 8 bits cost {loss:.4f} mean F1")
            return
        write_file(twin, fast.read_bytes())
    card["files"] = {twin.name: ""}
    card["metrics"]["int8"] = scores
