"""Compare the 8-bit model's answers on this processor with those on an emulated one.

    python -m benchmarks.processors DATASET --split val [--images 12] [--cpu Haswell]

Needs ``qemu-x86_64`` (Debian: qemu-user). Like many laptops, Haswell has AVX2 and no VNNI.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facereg.models import find_model
from facereg.plugins.pspnet.crops import preprocess_crop
from facereg.training.dataset import FaceDataset

#: The program for the emulated processor; its arguments are the model, the crops and the output.
WORKER = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
crops = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], numpy.stack([session.run(None, {"crops": c[None]})[0][0] for c in crops]))
"""


def logits(file: Path, crops: Path, emulator: list[str]) -> NDArray[np.float32]:
    """Run the crops through the model in a separate process; return logits (N, C, S/4, S/4)."""
    out = crops.with_name("logits.npy")
    worker = [sys.executable, "-c", WORKER, str(file), str(crops), str(out)]
    subprocess.run([*emulator, *worker], check=True)
    return np.asarray(np.load(out), np.float32)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--cpu", default="Haswell", help="as qemu names it (%(default)s)")
    args = parser.parse_args()
    data = FaceDataset(args.dataset, args.split)
    model = find_model("base")
    file = model.file(".int8.onnx")
    if file is None or shutil.which("qemu-x86_64") is None:
        parser.error("needs the 8-bit file of the model, and qemu-x86_64 (Debian: qemu-user)")
    with tempfile.TemporaryDirectory() as folder:
        crops = Path(folder) / "crops.npy"
        step = max(1, len(data) // args.images)
        size = int(model.card["input_size"])
        np.save(
            crops,
            np.stack([preprocess_crop(data.image(i), size) for i in range(0, len(data), step)]),
        )
        here = logits(file, crops, [])
        there = logits(file, crops, ["qemu-x86_64", "-cpu", args.cpu])
    equal = float((here.argmax(1) == there.argmax(1)).mean())
    difference = float(np.abs(here - there).max())
    print(f"{len(here)} crops: largest difference {difference:g}, equal labels {100 * equal:.3f} %")


if __name__ == "__main__":
    main()
