"""``facereg models``: the models that are found, their folders, and whether they are intact."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import clean_text
from ..models import Model, find_models, folders
from .terminal import print_json


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    models = find_models()
    if args.json:
        found = [
            {"name": m.name, "path": str(m.path), "state": m.state, "card": m.card} for m in models
        ]
        print_json({"models": found, "folders": [str(f) for f in folders()]}, indent=2)
    elif models:
        print("\n\n".join(_describe(model) for model in models))
    else:
        print("no model found in", ", ".join(map(str, folders())))
    return 0


def _describe(model: Model) -> str:
    card = model.card
    lines = [f"{model.name}  {model.state}", f"  {model.path}"]
    backbone = card.get("backbone", card["architecture"])
    size = card["input_size"]
    lines.append(f"  {card['architecture']} on {backbone}, {size}x{size}{_parameters(card)}")
    if (mean := card.get("metrics", {}).get("mean_f1")) is not None:
        metrics = card["metrics"]
        on = f"{metrics['images']} images of {metrics['split']}" if "split" in metrics else "?"
        lines.append(f"  mean F1 {mean:.4f} on {on}")
    if isinstance(data := card.get("data"), dict) and "licence" in data:
        lines.append(f"  trained on {data.get('folder', '?')} (licence: {data['licence']})")
    return "\n".join(map(clean_text, lines))


def _parameters(card: dict[str, Any]) -> str:
    return f", {card['parameters'] / 1e6:.1f} M parameters" if "parameters" in card else ""
