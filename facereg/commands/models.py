"""``facereg models``: the models that are found, and whether they are intact; fetches another."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..downloads import DOWNLOADS, Download, download_folder, fetch, find_download
from ..errors import UsageError, clean_text
from ..models import Model, find_models, folders
from .terminal import print_json


def run(args: argparse.Namespace) -> int:
    """Run the command line. Returns the exit code."""
    if args.action == "get":
        return _get(args)
    if args.file is not None or args.yes:
        raise UsageError("--file and --yes belong to facereg models get NAME")
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


def _get(args: argparse.Namespace) -> int:
    """Fetch a file if the user agrees. Returns the exit code."""
    if args.name is None:
        known = ", ".join(one.name for one in DOWNLOADS)
        raise UsageError(f"facereg models get NAME: what to fetch is missing; known: {known}")
    download = find_download(args.name)
    source = None if args.file is None else Path(args.file)
    if source is None and not args.yes and not _agreed(download):
        print("nothing was fetched")
        return 1
    path = fetch(download, source)
    if args.json:
        print_json({"name": download.name, "path": str(path), "sha256": download.sha256})
    else:
        print(f"{path}: {download.name}, verified")
    return 0


def _agreed(download: Download) -> bool:
    """Ask whether to fetch a file.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"facereg models get {download.name}: add --yes if it may be fetched")
    question = (
        f"{download.name}: fetch {download.size / 1e6:.1f} MB from {download.address} "
        f"({download.licence}) into {download_folder()}? [y/N] "
    )
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


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
