"""A server for the tests: ``facereg serve`` as a process, with two people before the camera."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sinks import two_people

#: Seconds that something may take on a machine that is busy.
PATIENCE = 90.0

PEOPLE = ("--plugin", two_people.__file__, "-d", "knows", "-s", "knows")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """A running server; a context manager that ends it as Ctrl-C does.

    Args:
        folder: that it runs in.
        *args: sources and flags.
        components: flags that choose a detector and a segmenter.
        environment: variables to set.
    """

    def __init__(
        self,
        folder: Path,
        *args: str,
        components: Sequence[str] = PEOPLE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", "facereg", "serve", *args, "--port", "0", *components]
        everything = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.log = folder / "serve.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**everything, **(environment or {})},
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        match = re.search(r"http://\S+", self.line)
        assert match, self.log.read_text()
        self.printed = match[0]
        port = re.search(r":(\d+)/", self.printed)
        assert port
        self.port = int(port[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask once."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            got = connection.getresponse()
            found = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, found, got.read())
        finally:
            connection.close()

    def stream(self, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Open something that does not end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path)
        return connection, connection.getresponse()

    def camera(self, name: str) -> dict[str, Any]:
        """Return what ``/cameras`` says of one."""
        (found,) = (c for c in self.get("/cameras").json()["cameras"] if c["name"] == name)
        return found

    def wait_for(self, *names: str) -> None:
        """Wait until cameras run and have made frames."""
        for name in names:
            until(lambda name=name: (self.camera(name)["frames"] or 0) > 0)

    def children(self) -> list[int]:
        """List the processes of the cameras."""
        found = subprocess.run(
            ["ps", "--ppid", str(self.process.pid), "-o", "pid="], capture_output=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]


def until(is_so: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until something is so, and return it."""
    end = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return found
