"""Damage mask dumps at random and read them: every answer is a map that was written, or one line.

Usage: python benchmarks/fuzz_dumps.py [--mutants N] [--seed N]

Each mutant is a dump with one or two of its files flipped, cut, filled, swapped, exchanged for
another's, linked elsewhere, or with a JSON value of another type. It is read whole, replayed, and
resumed. Crashes, hangs, exceptions that are not facereg's own, messages of several lines, maps that
nobody wrote, and a gigabyte of memory are counted; all must be 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import facereg
from facereg.components import Run
from facereg.errors import FaceregError
from facereg.plugins.replay import ReplayDetector, ReplaySegmenter
from facereg.sinks.masks import MasksSink
from facereg.types import Box, Detection, Face, Frame, FrameResult, RegionMasks, SourceInfo

SIZE, FRAMES = (96, 128), 6  # height and width; frames of a dump

#: Seconds after which a mutant counts as hanging.
LIMIT_SECONDS = 120

VALUES = [None, True, -1, 0, 7, 10**25, 1.5, float("inf"), "", "text", "../000000.png", [], {}, [1]]


def make_results() -> list[FrameResult]:
    """Make frames with none, one and two faces of random regions."""
    chance = np.random.default_rng(0)
    results = []
    for index in range(FRAMES):
        faces = []
        for number in range(index % 3):
            box = Box(10 + 50 * number, 15, 50 + 50 * number, 65)
            labels = chance.integers(0, 21, (box.height, box.width), np.uint8)
            faces.append(Face(number + 1, Detection(box, 0.9), RegionMasks(box, labels)))
        image = chance.integers(0, 256, (*SIZE, 3), np.uint8)
        results.append(FrameResult(Frame(image, index, index / 25), tuple(faces)))
    return results


def write(folder: Path, kind: str, results: list[FrameResult], **options: Any) -> None:
    """Write a dump of these frames."""
    info = SourceInfo("clip.mp4", SIZE[1], SIZE[0], facereg.types.Fraction(25))
    sink = MasksSink(path=folder, format=kind, instances=True, **options)
    try:
        sink.open(info, Run())
        for result in results:
            sink.write(result)
    finally:
        sink.close()


# --- what is done to a dump ----------------------------------------------------------------------


def flip(path: Path, chance: random.Random) -> None:
    """Flip bits."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 8, 64))):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    """Cut off the end."""
    os.truncate(path, chance.randrange(path.stat().st_size + 1))


def fill(path: Path, chance: random.Random) -> None:
    """Fill a part with one value."""
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data) + 1)
    stop = min(len(data), start + chance.choice((4, 40, 4000)))
    data[start:stop] = chance.choice((b"\0", b"\xff", b"A")) * (stop - start)
    path.write_bytes(data)


def insert(path: Path, chance: random.Random) -> None:
    """Insert random bytes."""
    data = path.read_bytes()
    at = chance.randrange(len(data) + 1)
    path.write_bytes(data[:at] + chance.randbytes(chance.choice((1, 9, 900))) + data[at:])


def swap(path: Path, chance: random.Random) -> None:
    """Exchange two files."""
    other = chance.choice([p for p in path.parent.iterdir() if p.is_file()])
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)


def lead_away(path: Path, chance: random.Random) -> None:
    """Remove a file, or put a link in its place."""
    path.unlink()
    if chance.random() < 0.7:
        path.symlink_to(chance.choice((path.parent, "/etc/passwd", "/dev/zero", path)))


def retype(path: Path, chance: random.Random) -> None:
    """Give one value of a JSON text another type."""
    name = chance.choice(("manifest.json", "frames.jsonl"))
    if (path.parent / name).is_symlink():
        return
    texts = (path.parent / name).read_text().splitlines()
    if name == "manifest.json":
        texts = ["".join(texts)]
    number = chance.randrange(len(texts))
    value = json.loads(texts[number])
    inner: Any = value
    while True:
        key = chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if isinstance(inner[key], (dict, list)) and inner[key] and chance.random() < 0.8:
            inner = inner[key]
            continue
        if isinstance(inner, dict) and chance.random() < 0.2:
            del inner[key]
        else:
            inner[key] = chance.choice(VALUES)
        break
    texts[number] = json.dumps(value)
    (path.parent / name).write_text("".join(f"{text}\n" for text in texts))


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (
    flip, flip, cut, fill, insert, swap, lead_away, lead_away, retype, retype, retype,
)  # fmt: skip


# --- what is asked of it -------------------------------------------------------------------------


class WrongMapError(Exception):
    """A map was read that nobody wrote."""


def read(folder: Path, results: list[FrameResult]) -> None:
    """Read a dump whole."""
    with facereg.open_masks(folder) as dump:
        has_checksums = all("labels_crc32" in line for line in dump.frames)
        for line in dump.frames:
            labels = dump[line["index"]]
            with contextlib.suppress(FaceregError):
                dump.instances(line["index"])
            known = [r for r in results if r.frame.index == line["index"]]
            if has_checksums and known and not np.array_equal(labels, known[0].labels()):
                raise WrongMapError(f"frame {line['index']}")


def replay(folder: Path, results: list[FrameResult]) -> None:
    """Replay a dump."""
    detector = ReplayDetector(path=folder)
    segmenter = ReplaySegmenter(path=folder)
    try:
        for result in results:
            segmenter.segment(result.frame, detector.detect(result.frame))
    finally:
        detector.close()
        segmenter.close()


def resume(folder: Path, results: list[FrameResult]) -> None:
    """Resume a dump, and read what comes of it."""
    kind = "png"
    with contextlib.suppress(Exception):
        kind = facereg.open_masks(folder).manifest["format"]
    write(folder, kind, results, resume=True)
    with facereg.open_masks(folder) as dump:
        for result in results:
            if not np.array_equal(dump[result.frame.index], result.labels()):
                raise WrongMapError(f"frame {result.frame.index}, resumed")


def check(folder: Path, results: list[FrameResult], counts: Counter[str]) -> None:
    """Ask everything of a mutant; count the answers."""
    for ask in (read, replay, resume):
        try:
            ask(folder, results)
        except FaceregError as e:
            counts["errors of one line"] += 1
            if "\n" in str(e).replace(str(folder), "") or len(str(e)) > 1000:
                counts["LONG MESSAGES"] += 1
                print(f"{folder.name} {ask.__name__}: {e}")
        except WrongMapError as e:
            counts["WRONG MAPS"] += 1
            print(f"{folder.name} {ask.__name__}: {e}")
        except Exception as e:
            counts["RAW ERRORS"] += 1
            print(f"{folder.name} {ask.__name__}: {type(e).__name__}: {e}")
        else:
            counts["right answers"] += 1


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.disable(logging.ERROR)
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("a mutant HANGS"))
    counts: Counter[str] = Counter(mutants=args.mutants)
    results, start = make_results(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        whole = {kind: Path(name) / kind for kind in ("png", "npz", "ffv1")}
        for kind, folder in whole.items():
            write(folder, kind, results)
        for number in range(args.mutants):
            chance = random.Random(f"{args.seed} {number}")
            mutant = Path(name) / f"mutant-{number}"
            shutil.copytree(whole[chance.choice(("png", "png", "npz", "npz", "ffv1"))], mutant)
            for _ in range(chance.choice((1, 1, 2))):
                path = chance.choice([p for p in sorted(mutant.iterdir()) if p.is_file()])
                with contextlib.suppress(OSError, ValueError, IndexError):
                    chance.choice(DAMAGES)(path, chance)
            signal.alarm(LIMIT_SECONDS)
            check(mutant, results, counts)
            signal.alarm(0)
            shutil.rmtree(mutant)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
    counts["MEMORY"] += memory > 1000
    print(f"{dict(+counts)}, {memory} MB at most, in {time.perf_counter() - start:.0f} s")
    return int(any(name.isupper() for name in +counts))


if __name__ == "__main__":
    sys.exit(main())
