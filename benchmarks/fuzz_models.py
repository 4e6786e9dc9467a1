"""Damage model files at random and parse with them: every answer is the right map, or one line.

Usage: python -m benchmarks.fuzz_models [--mutants N] [--seed N]

A mutant is the shipped model, or a checkpoint of the same network, with its card or one of its
files flipped, cut, filled, or with a JSON value of another type. In half of the mutants the card
is given the checksums of the damaged files, as a stranger could, so that the loaders see them;
these may parse wrongly, but must say so or parse. Each is loaded by a process of its own, which
parses one face with ONNX Runtime and with torch. Crashes, hangs, exceptions that are not
facereg's own, messages of several lines, and wrong maps under a right checksum are counted; all
must be 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np
import skimage.data

from benchmarks.fuzz_dumps import VALUES, cut, fill, flip
from facereg import Box, Detection, Frame
from facereg.errors import FaceregError
from facereg.models import find_model, sha256_of
from facereg.plugins.pspnet.segmenter import PSPNetSegmenter
from facereg.types import Labels

#: Seconds after which a mutant counts as hanging.
LIMIT_SECONDS = 120

#: Bytes at the start of a file that hold its structure; half of the damage is done there.
HEADER_BYTES = 6000

FRAME = Frame(np.ascontiguousarray(skimage.data.astronaut()[..., ::-1]))
FACE = Detection(Box(170, 65, 280, 195), 0.99)


def parse(weights: Path, engine: str) -> Labels:
    """Parse the astronaut's face."""
    if weights.suffix == ".pth":
        segmenter = PSPNetSegmenter(weights=weights)
    else:
        segmenter = PSPNetSegmenter(weights=weights, engine=engine, tta="off")  # type: ignore[arg-type]
    with contextlib.closing(segmenter):
        return segmenter.segment(FRAME, [FACE])[0].labels


def answer(weights: Path, engine: str, out: SimpleQueue[str | Labels]) -> None:
    """Say in a word what becomes of a mutant, or give its map."""
    logging.disable(logging.ERROR)
    try:
        out.put(parse(weights, engine))
    except FaceregError as e:
        text = str(e).replace(str(weights.parent), "")
        out.put("LONG MESSAGES" if "\n" in text or len(text) > 1000 else "errors of one line")
    except BaseException as e:
        out.put("RAW ERRORS")
        print(f"{weights.parent.name} {engine}: {type(e).__name__}: {e}")


def ask(weights: Path, engine: str) -> str | Labels:
    """Ask a process of its own."""
    context = multiprocessing.get_context("fork")
    out = context.SimpleQueue()
    process = context.Process(target=answer, args=(weights, engine, out))
    process.start()
    end = time.monotonic() + LIMIT_SECONDS
    while process.is_alive() and out.empty() and time.monotonic() < end:
        time.sleep(0.01)
    found: str | Labels = "CRASHES"
    if not out.empty():
        found = out.get()
    elif process.is_alive():
        found = "HANGS"
    process.kill()
    process.join()
    return found


# --- what is done to a model ---------------------------------------------------------------------


def in_header(damage: Callable[[Path, random.Random], None]) -> Callable[..., None]:
    """Do damage to the start of a file alone."""

    def do(path: Path, chance: random.Random) -> None:
        data = path.read_bytes()
        path.write_bytes(data[:HEADER_BYTES])
        damage(path, chance)
        path.write_bytes(path.read_bytes() + data[HEADER_BYTES:])

    return do


def retype(path: Path, chance: random.Random) -> None:
    """Give one value of the card another type, or remove it."""
    card = json.loads(path.read_text())
    inner = card
    while True:
        key = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if isinstance(inner[key], (dict, list)) and inner[key] and chance.random() < 0.6:
            inner = inner[key]
            continue
        if isinstance(inner, dict) and chance.random() < 0.3:
            del inner[key]
        else:
            inner[key] = chance.choice(VALUES)
        break
    path.write_text(json.dumps(card))


DAMAGES = (flip, cut, fill, in_header(flip), in_header(fill), in_header(cut))


def make_mutant(whole: Path, folder: Path, chance: random.Random) -> tuple[Path, bool]:
    """Damage a copy of a model; return its weight file, and whether the card vouches for it."""
    shutil.copytree(whole, folder)
    if chance.random() < 0.2:
        path = folder / "checkpoint.pth"
        chance.choice(DAMAGES)(path, chance)
        return path, True
    card = folder / "base.json"
    if chance.random() < 0.4:
        chance.choice((retype, retype, retype, flip, cut))(card, chance)
        return folder / "base.safetensors", True
    path = folder / chance.choice(("base.int8.onnx", "base.safetensors"))
    chance.choice(DAMAGES)(path, chance)
    forged = chance.random() < 0.5
    if forged:
        content = json.loads(card.read_text())
        content["sha256"] = sha256_of(folder / "base.safetensors")
        content["files"] = {name: sha256_of(folder / name) for name in content["files"]}
        card.write_text(json.dumps(content))
    return folder / "base.safetensors", forged


def make_whole(folder: Path) -> dict[str, Labels]:
    """Copy the shipped model, write a checkpoint of it, and parse with both."""
    import safetensors.torch
    import torch

    model = find_model("base")
    folder.mkdir()
    for path in (model.path, model.path.with_suffix(".json"), model.file(".onnx")):
        assert path is not None
        shutil.copy(path, folder)
    weights = safetensors.torch.load_file(model.path)
    torch.save({"state_dict": weights}, folder / "checkpoint.pth")
    return {engine: parse(folder / "base.safetensors", engine) for engine in ("onnx", "torch")}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    counts: Counter[str] = Counter(mutants=args.mutants)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        with contextlib.ExitStack() as stack:
            process = multiprocessing.get_context("spawn").Pool(1)
            stack.enter_context(process)
            right = process.apply(make_whole, (whole,))  # torch does not survive a fork
        for number in range(args.mutants):
            chance = random.Random(f"{args.seed} {number}")
            folder = Path(name) / f"mutant-{number}"
            weights, forged = make_mutant(whole, folder, chance)
            for engine in ("onnx",) if weights.suffix == ".pth" else ("onnx", "torch"):
                found = ask(weights, engine)
                if isinstance(found, str):
                    counts[found] += 1
                elif forged or np.array_equal(found, right[engine]):
                    counts["parsed"] += 1
                else:
                    counts["WRONG MAPS"] += 1
                if isinstance(found, str) and found.isupper():
                    print(f"mutant {number} of seed {args.seed}, {engine}: {found}")
            shutil.rmtree(folder)
    print(f"{dict(+counts)} in {time.perf_counter() - start:.0f} s")
    return int(any(name.isupper() for name in +counts))


if __name__ == "__main__":
    sys.exit(main())
