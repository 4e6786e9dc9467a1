"""What does serving cameras to browsers cost?

Usage: python -m benchmarks.web CLIP [--seconds N]

Serves a clip as one, two and four cameras that play it over and over at its own rate (as an RTSP
server would, but without one), with the default detector and model, and prints for each number of
cameras the frames a second that each makes, and the CPU seconds a second of the server and the
cameras; then, with one camera, what each viewer of the MJPEG and of the H.264 stream adds, and the
latency from a frame's arrival to its picture in a headless Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.web.served import Served, until

#: A camera that plays a clip again and again at its own rate.
LOOP = '''
import itertools, time
from datetime import datetime, timezone
import facereg
from facereg.sources.file import FileSource

class Loop(facereg.Source):
    """Plays a clip over and over."""
    name = "loop"
    def __init__(self, spec):
        self._path, self._over = spec, False
        info = FileSource(spec).info
        self.info = facereg.SourceInfo("loop", info.width, info.height, info.fps, live=True)
    def frames(self):
        start, number = time.monotonic(), itertools.count()
        while not self._over:
            for frame in FileSource(self._path).frames():
                index = next(number)
                due = start + index / float(self.info.fps)
                time.sleep(max(0.0, due - time.monotonic()))
                if self._over:
                    return
                now = datetime.now(timezone.utc)
                yield facereg.Frame(frame.image, index, time.monotonic() - start, now)
    def stop(self):
        self._over = True

@facereg.hookimpl
def register_sources():
    return (Loop,)
'''


def cpu_seconds(pids: list[int]) -> float:
    """Sum up the processor time of processes and their threads."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(served: Served, names: list[str], seconds: float) -> tuple[float, float]:
    """Return frames a second of a camera, and CPU seconds a second of all."""
    pids = [served.process.pid, *served.children()]
    frames = sum(served.camera(name)["frames"] for name in names)
    cpu, start = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    spent = time.monotonic() - start
    made = sum(served.camera(name)["frames"] for name in names) - frames
    return made / spent / len(names), (cpu_seconds(pids) - cpu) / spent


@contextmanager
def serving(folder: Path, clip: Path, count: int) -> Iterator[tuple[Served, list[str]]]:
    """Serve a clip as some cameras."""
    plugin = folder / "loop.py"
    plugin.write_text(LOOP)
    names = [f"c{i}" for i in range(count)]
    sources = [f"{name}=loop:{clip}" for name in names]
    with Served(folder, *sources, "--plugin", str(plugin), components=()) as served:
        served.wait_for(*names)
        time.sleep(3)
        yield served, names


def viewers(served: Served, names: list[str], seconds: float) -> None:
    """Print what viewers add, and how late pictures are in a browser."""
    from playwright.sync_api import sync_playwright

    _, alone = measure(served, names, seconds)
    print(f"nobody looks: {alone:.2f} CPU s/s")
    connection, stream_of_pictures = served.stream(f"/cameras/{names[0]}/stream.mjpg")
    reader = threading.Thread(target=drain, args=(stream_of_pictures,), daemon=True)
    reader.start()
    _, mjpeg = measure(served, names, seconds)
    print(f"one viewer of MJPEG: +{mjpeg - alone:.2f} CPU s/s")
    connection.close()
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for stream in ("h264", "jpeg"):
            page = browser.new_page()
            page.goto(f"{served.url}/?stream={stream}")
            card = f'[data-camera="{names[0]}"]'
            until(lambda page=page, card=card: page.get_attribute(card, "data-latency"))
            time.sleep(3)
            _, cpu = measure(served, names, seconds)
            late = []
            for _ in range(40):
                late.append(float(page.get_attribute(card, "data-latency") or "nan"))
                time.sleep(0.1)
            late.sort()
            print(
                f"one browser, {stream}: +{cpu - alone:.2f} CPU s/s; from a frame's arrival to the "
                f"screen {late[20]:.0f} ms (95 %: {late[37]:.0f} ms)"
            )
            page.close()
        browser.close()


def drain(stream: http.client.HTTPResponse) -> None:
    """Read a stream to its end."""
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
        while stream.read(65536):
            pass


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for count in (1, 2, 4):
            with serving(Path(name), args.clip.absolute(), count) as (served, names):
                rate, cpu = measure(served, names, args.seconds)
                print(f"{count} cameras: {rate:.1f} frames/s each, {cpu:.2f} CPU s/s in all")
                if count == 1:
                    viewers(served, names, args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
