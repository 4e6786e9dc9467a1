"""Compare the three containers of label maps: size, writing, reading, and drawing again.

Usage: python benchmarks/containers.py [CLIP] [--frames N]
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import facereg
from facereg.components import Run
from facereg.models import example
from facereg.registry.registry import Registry
from facereg.types import FrameResult
from facereg.views import view


def rate(count: int, work: Callable[[], object]) -> float:
    """Do something once; return how many of ``count`` items it did a second."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def measure(kind: str, clip: Path, results: list[FrameResult], folder: Path) -> list[str]:
    """Write, read and draw one container; return a row of the table."""
    registry, path = Registry(), folder / kind
    source = registry.open_source(str(clip))
    sink = registry.build("sink", "masks", path=path, format=kind)

    def write() -> None:
        sink.open(source.info, Run())
        for result in results:
            sink.write(result)
        sink.close()

    count = len(results)
    written = rate(count, write)
    source.close()
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) / count / 1000
    with facereg.open_masks(path) as dump:
        read = rate(count, lambda: [dump[i] for i in range(count)])
        order = random.Random(0).sample(range(count), min(20, count))
        anywhere = 1000 / rate(len(order), lambda: [dump[i] for i in order])
    draw = view("overlay")
    again = facereg.process(clip, detector=f"replay:{path}", segmenter=f"replay:{path}")
    replayed = rate(count, lambda: [draw(r) for r in itertools.islice(again, count)])
    return [
        kind, f"{size:.1f}", f"{written:.0f}", f"{read:.0f}", f"{anywhere:.1f}", f"{replayed:.0f}"
    ]  # fmt: skip


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, nargs="?", default=example())
    parser.add_argument("--frames", type=int, default=200)
    args = parser.parse_args()
    results = list(itertools.islice(facereg.process(args.clip), args.frames))
    print("| format | kB a frame | written/s | read/s | ms, any frame | replayed and drawn/s |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("png", "npz", "ffv1"):
            print("| " + " | ".join(measure(kind, args.clip, results, Path(folder))) + " |")


if __name__ == "__main__":
    main()
