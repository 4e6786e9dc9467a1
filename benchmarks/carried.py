"""Compare masks that are carried along motion with those of parsing every frame.

    python -m benchmarks.carried CLIP... [--every 2 3 4] [--seconds S]

agreement   share of the pixels of either whose class is the same, mean over all frames
CPU         CPU time of the run over that of parsing every frame
F1          of each class, over all frames, where it occurs
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import facereg
from facereg.regions import CLASSES
from facereg.types import Labels


def run(clip: str, every: int, seconds: float) -> tuple[list[Labels], float]:
    """Return the label map of every frame, and the CPU seconds that they took."""
    began = time.process_time()
    maps = [r.labels() for r in facereg.process(clip, parse_every=every, duration=seconds)]
    return maps, time.process_time() - began


def main() -> None:
    """Print a table for each clip."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--every", nargs="+", type=int, default=[2, 3, 4])
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()
    for clip in args.clips:
        parsed, cost = run(clip, 1, args.seconds)
        for every in args.every:
            carried, less = run(clip, every, args.seconds)
            pairs = list(zip(parsed, carried, strict=True))
            same = [(a == b)[(a > 0) | (b > 0)].mean() for a, b in pairs if a.any() or b.any()]
            print(f"{clip}: every {every}: agreement {np.mean(same):.4f}, CPU {less / cost:.2f}")
            for number, name in enumerate(CLASSES[1:], 1):
                both = sum(int(((a == number) & (b == number)).sum()) for a, b in pairs)
                either = sum(int((a == number).sum() + (b == number).sum()) for a, b in pairs)
                if either:
                    print(f"  {name:15} {2 * both / either:.3f}")


if __name__ == "__main__":
    main()
