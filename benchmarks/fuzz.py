"""Read damaged files: no crash, no hang, no traceback, no missing frame without a word.

Usage: python -m benchmarks.fuzz [--mutants N] [--seed N]

Makes clips and pictures of eight kinds, damages copies of them in seven ways, and reads each copy
in a process apart. Counted are:

- crashes: the process that read it died;
- hangs: it took longer than `PATIENCE_SECONDS`;
- tracebacks: an exception that is not a `FaceregError`, or a line of another library on stderr;
- silent: frames are missing, ffmpeg reports the damage, and facereg warns of nothing.

Last figures, 40 mutants a kind, seeds 0 to 3, two cores: 1,280 mutants in 36 s; 0 crashes,
0 hangs, 0 tracebacks, 0 silent.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import imageio_ffmpeg

from facereg.errors import FaceregError
from facereg.sources.file import FileSource
from facereg.sources.images import ImagesSource
from tests import clips

#: Seconds that one file of a second may take on a busy machine.
PATIENCE_SECONDS = 60

FRAMES = 25
VIDEOS = {
    "mp4": [],
    "mkv": [],
    "ts": [],
    "avi": ["-c:v", "mpeg4"],
    "webm": ["-c:v", "libvpx-vp9", "-cpu-used", "8"],
}
PICTURES = ("png", "jpg", "webp")


def damage(data: bytes, chance: random.Random) -> bytes:
    """Damage a file in one of seven ways."""
    size, kind = len(data), chance.randrange(7)
    at = chance.randrange(size)
    length = min(size - at, chance.choice((1, 16, 188, 512, 4096)))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + length :]
    if kind == 2:
        return data[:at] + bytes(length) + data[at + length :]
    if kind == 3:
        return data[:at] + chance.randbytes(length) + data[at:]
    if kind == 4:
        return data[:at] + data[at : at + length] * 2 + data[at + length :]
    out = bytearray(data)
    # Flipped bits anywhere, or in the headers, where they do most harm.
    end = size if kind == 5 else min(size, 600)
    for _ in range(chance.choice((1, 4, 32))):
        out[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(out)


def write_whole(folder: Path) -> dict[str, Path]:
    """Write an undamaged file of each kind: a panning face, or one picture of it."""
    wholes = {}
    for kind, args in VIDEOS.items():
        sound = "libopus" if kind == "webm" else "aac"
        wholes[kind] = clips.write_clip(
            folder / f"whole.{kind}", clips.pan(FRAMES, 2), audio=sound, args=["-g", "10", *args]
        )
    for kind in PICTURES:
        wholes[kind] = folder / f"whole.{kind}"
        cv2.imwrite(str(wholes[kind]), clips.astronaut())
    return wholes


def read(path: Path) -> dict[str, object]:
    """Read a file to its end; return the frames, and what was said."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("facereg").addHandler(handler)
    frames = 0
    try:
        make = ImagesSource if path.suffix[1:] in PICTURES else FileSource
        source = make(str(path))
        try:
            for _ in source.frames():
                frames += 1
        finally:
            source.close()
    except FaceregError as e:
        said.append(str(e))
    except Exception as e:  # what is looked for
        return {"path": str(path), "traceback": f"{type(e).__name__}: {e}"}
    finally:
        logging.getLogger("facereg").removeHandler(handler)
    return {"path": str(path), "frames": frames, "said": said}


def work() -> None:
    """Read the files that standard input names, and answer with a line about each."""
    logging.getLogger("facereg").propagate = False
    for line in sys.stdin:
        print(json.dumps(read(Path(line.rstrip("\n")))), flush=True)


class Worker:
    """A process that reads files; it is started again when it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, path: Path, errors: Path) -> dict[str, object]:
        """Have a file read; the answer says ``crash`` or ``hang`` if none came."""
        if self._process is None:
            command = [sys.executable, "-m", "benchmarks.fuzz", "--worker"]
            with errors.open("a") as file:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
                )
        assert self._process.stdin is not None and self._process.stdout is not None
        timer = _kill_after(PATIENCE_SECONDS, self._process.kill)
        started = time.monotonic()
        try:
            self._process.stdin.write(f"{path}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except OSError:
            answer = ""
        finally:
            timer.cancel()
        if answer:
            return dict(json.loads(answer))
        self.close()
        late = time.monotonic() - started >= PATIENCE_SECONDS
        return {"path": str(path), "hang" if late else "crash": True}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _kill_after(seconds: float, kill: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, kill)
    timer.start()
    return timer


def ffmpeg_reports_damage(path: Path) -> bool:
    """Ask ffmpeg, which prints an error for whatever it stumbles over in the pictures."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path)]
    done = subprocess.run(
        [*command, "-map", "0:V:0", "-f", "null", "-"], check=False, capture_output=True
    )
    return bool(done.stderr.strip())


def judge(answer: dict[str, object], path: Path) -> str:
    """Say what came of a file: one of the kinds that are counted, ``told`` or ``whole``."""
    for kind in ("crash", "hang", "traceback"):
        if kind in answer:
            return kind
    if answer["said"]:
        return "told"
    if answer["frames"] == (1 if path.suffix[1:] in PICTURES else FRAMES):
        return "whole"
    return "silent" if ffmpeg_reports_damage(path) else "told"


def main(argv: Sequence[str] | None = None) -> int:
    """Damage, read and count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=40, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        work()
        return 0
    started, chance, worker = time.monotonic(), random.Random(args.seed), Worker()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        errors = folder / "errors.txt"
        for kind, whole in write_whole(folder).items():
            data = whole.read_bytes()
            for number in range(args.mutants):
                path = folder / f"mutant{number}.{kind}"
                path.write_bytes(damage(data, chance))
                answer = worker.ask(path, errors)
                verdict = judge(answer, path)
                counts[verdict] += 1
                if verdict not in ("told", "whole"):
                    print(f"{verdict}: {kind} {number}: {answer}")
                path.unlink()
        worker.close()
        chatter = errors.read_text().strip() if errors.exists() else ""
    if chatter:
        counts["traceback"] += 1
        print(f"on stderr: {chatter[:2000]}")
    seconds = time.monotonic() - started
    bad = {kind: counts[kind] for kind in ("crash", "hang", "traceback", "silent")}
    print(f"{sum(counts.values())} mutants in {seconds:.0f} s: {dict(counts)}; {bad}")
    return int(any(bad.values()))


if __name__ == "__main__":
    sys.exit(main())
