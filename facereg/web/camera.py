"""A camera as the server sees it: its process, how that is, and who looks at it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import clean_text, hide_secrets
from .protocol import encode_line, read_message
from .watch import Item, Stream, Watch

log = logging.getLogger(__name__)

#: Seconds before a process that ended is started again, and the maximum; each wait is twice the one
#: before it. A process that ran for a while is a new beginning.
FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, GOOD_SECONDS = 1.0, 30.0, 20.0

#: Seconds without a frame after which a camera counts as stalled.
STALLED_SECONDS = 10.0

#: Seconds without a word after which a process hangs, and is killed: it reports twice a second.
SILENT_SECONDS = 60.0

#: Seconds for a picture that was asked for, and for a process to finish its files.
ANSWER_SECONDS, FINISH_SECONDS = 5.0, 20.0

#: Seconds between two requests for a key picture.
KEY_SECONDS = 0.3

#: Exit code of wrong usage: trying again would not help.
USAGE = 2


@dataclass(frozen=True)
class Config:
    """What is to be run.

    Attributes:
        name: of the camera, in every address.
        source: as the user named it; it is in no answer.
        argv: command line of ``facereg run`` for it.
        folder: for recordings that are made with a button.
        hides: whether its view hides something.
        outputs: the videos that it records all the time.
    """

    name: str
    source: str
    argv: tuple[str, ...]
    folder: str
    hides: bool = False
    outputs: tuple[str, ...] = ()


@dataclass
class Counters:
    """What a camera did since the server began, over all of its processes.

    Attributes:
        now: the counters of the present process.
        before: the sums of those before it.
    """

    now: Mapping[str, Any] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)

    NAMES = (
        "frames", "found", "dropped", "skipped", "carried", "recorded_bytes", "latency_sum",
        "reconnects",
    )  # fmt: skip

    def total(self, name: str) -> float:
        """Return a counter."""
        return float(self.before.get(name, 0) + self.now.get(name, 0))

    def stages(self) -> dict[str, float]:
        """Return milliseconds by stage."""
        found = {k[6:]: v for k, v in self.before.items() if k.startswith("stage ")}
        for stage, ms in self.now.get("stages", {}).items():
            found[stage] = found.get(stage, 0.0) + ms
        return found

    def latencies(self) -> list[float]:
        """Return the counts of the histogram's bars."""
        now = self.now.get("latencies", [])
        return [self.before.get(f"bar {i}", 0) + count for i, count in enumerate(now)]

    def settle(self) -> None:
        """Add up: the process has ended."""
        sums = {name: self.total(name) for name in self.NAMES}
        sums |= {f"stage {stage}": ms for stage, ms in self.stages().items()}
        bars = self.latencies() or [v for k, v in self.before.items() if k.startswith("bar ")]
        sums |= {f"bar {i}": count for i, count in enumerate(bars)}
        self.before, self.now = sums, {}


class Camera:
    """Runs a camera's process, starts it again when it ends, and hands on what it sends.

    Args:
        config: what is to be run.
        command: the command line of the process.
        environment: of the process.

    Attributes:
        config: as given.
        counters: what it did.
        restarts: how often its process was started again.
    """

    def __init__(
        self, config: Config, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.config, self.counters, self.restarts = config, Counters(), 0
        self._command, self._environment = command, environment
        self._phase, self._error = "starting", ""
        self._opened: Mapping[str, Any] = {}
        self._state: Mapping[str, Any] = {}
        self._frame_at = self._heard = time.monotonic()
        self._watches: set[Watch] = set()
        self._init: Item | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count(1)
        self._key_asked = 0.0
        self._stopping = asyncio.Event()
        self._handlers: Mapping[str, Callable[[Mapping[str, Any], bytes], None]] = {
            "opened": self._on_opened, "state": self._on_state, "jpeg": self._on_jpeg,
            "init": self._on_init, "fragment": self._on_fragment, "figures": self._on_figures,
            "answer": self._on_answer, "log": self._on_log, "error": self._on_error,
            "no h264": self._on_no_h264,
        }  # fmt: skip

    # --- what is known ---------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The camera's name."""
        return self.config.name

    @property
    def phase(self) -> str:
        """Return starting, running, stalled, restarting, ended or failed."""
        if self._phase == "running" and self.age > STALLED_SECONDS and not self.paused:
            return "stalled"
        return self._phase

    @property
    def age(self) -> float:
        """Seconds since the last frame, or since the start."""
        return time.monotonic() - self._frame_at

    @property
    def paused(self) -> bool:
        """Whether somebody has paused it."""
        return bool(self._state.get("paused"))

    @property
    def reconnects(self) -> int:
        """How often the source, or the process, came back."""
        return self.restarts + int(self.counters.total("reconnects"))

    @property
    def problems(self) -> list[str]:
        """What does not work although pictures may come."""
        found = [self._public(str(p)) for p in self._state.get("problems", [])]
        return [*([self._error] if self._error else []), *found]

    @property
    def healthy(self) -> bool:
        """Whether pictures come, or came to their end, and nothing else fails."""
        return self.phase in ("running", "ended") and not self.problems

    def health(self) -> dict[str, Any]:
        """Describe how it is."""
        return {
            "state": self.phase,
            "age": round(self.age, 2) if self._state.get("frames") else None,
            "reconnects": self.reconnects,
            "problems": self.problems,
        }

    def describe(self) -> dict[str, Any]:
        """Describe it for a page: plain JSON values."""
        shown = ("view", "colors", "region", "fps", "latency", "title", "strength", "hides",
                 "paused", "mirror", "recording", "frames", "dropped")  # fmt: skip
        return {
            "name": self.name,
            **self.health(),
            **{key: self._opened.get(key) for key in ("width", "height", "live")},
            "rate": self._opened.get("fps"),
            **{key: self._state.get(key) for key in shown},
            "message": self._public(str(self._state.get("message", ""))),
            "viewers": self.viewers,
        }

    @property
    def viewers(self) -> int:
        """How many look at its picture."""
        return sum(watch.stream in ("h264", "jpeg") for watch in self._watches)

    # --- those who look --------------------------------------------------------------------------

    @contextlib.contextmanager
    def watched(self, stream: Stream) -> Any:
        """Look at a stream for a while; gives a `Watch`."""
        watch = Watch(stream)
        watch.state(self.describe())
        self._watches.add(watch)
        self._tell_wanted()
        if stream == "h264":
            self._ask_for_key()
        try:
            yield watch
        finally:
            self._watches.discard(watch)
            self._tell_wanted()

    def press(self, key: str) -> None:
        """Press a key of the camera's display."""
        self._say({"do": key})

    async def ask(self, what: str, form: str = "png") -> bytes:
        """Ask for a picture.

        Args:
            what: ``snapshot`` or ``masks``.
            form: ``jpg`` or ``png``.

        Returns:
            The file; empty if there is no picture.
        """
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            if not self._opened or not self._say({"ask": what, "id": number, "format": form}):
                return b""
            return await asyncio.wait_for(answer, ANSWER_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            return b""
        finally:
            del self._answers[number]

    def release(self) -> None:
        """Let everybody go who looks."""
        for watch in tuple(self._watches):
            watch.close()

    # --- the process -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the process, again and again, until `stop`."""
        wait = FIRST_WAIT_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set() or code in (0, USAGE):
                self._phase = "failed" if code == USAGE else "ended"
                if not self._stopping.is_set() and code == 0:
                    log.info("%s: ended", self.name)
                break
            if time.monotonic() - started > GOOD_SECONDS:
                wait = FIRST_WAIT_SECONDS
            self._phase = "restarting"
            why = self._error or "its process ended"
            log.warning("%s: %s; starting again in %.0f s", self.name, why, wait)
            self._tell_state()
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)
            wait = min(2 * wait, MAX_WAIT_SECONDS)
            self.restarts += not self._stopping.is_set()
        self._tell_state()

    async def stop(self) -> None:
        """Let the process finish its files; kill it if that takes too long."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(process.wait(), FINISH_SECONDS)
        self._kill()

    async def _run_once(self) -> int:
        """Run the process to its end; return its exit code."""
        self._phase = "starting"
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=dict(self._environment), start_new_session=True,
        )  # fmt: skip
        self._process = process
        log.info("%s: starting", self.name)
        first = {"argv": self.config.argv, "name": self.name, "folder": self.config.folder}
        self._say(first)
        self._tell_wanted()
        self._frame_at = self._heard = time.monotonic()
        words = asyncio.ensure_future(_last_words(process))
        listening = asyncio.ensure_future(self._listen(process))
        while not listening.done():
            await asyncio.wait([listening], timeout=1.0)
            if time.monotonic() - self._heard > SILENT_SECONDS and self._opened:
                log.warning(
                    "%s: no word for %.0f s; its process is killed", self.name, SILENT_SECONDS
                )
                self._kill()
        code = await process.wait()
        await listening
        said = await words
        if code not in (0, 130) and not self._error:
            self._error = clean_text(self._public(said or _describe(code)))
        self.counters.settle()
        self._state = {**self._state, "problems": [], "recording": False}
        self._opened, self._init = {}, None
        return code

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        with contextlib.suppress(EOFError):
            while True:
                values, data = await read_message(process.stdout)
                self._heard = time.monotonic()
                handler = self._handlers.get(values.pop("event", ""))
                if handler is not None:
                    handler(values, data)

    def _kill(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)

    def _say(self, values: Mapping[str, Any]) -> bool:
        """Write a line to the process; return whether there is one."""
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return False
        if process.stdin.is_closing():
            return False
        process.stdin.write(encode_line(values))
        return True

    def _tell_wanted(self) -> None:
        self._say({"want": sorted({watch.stream for watch in self._watches} - {"nothing"})})

    def _ask_for_key(self) -> None:
        now = time.monotonic()
        if now - self._key_asked > KEY_SECONDS:
            self._key_asked = now
            self._say({"keyframe": True})

    def _tell_state(self) -> None:
        state = self.describe()
        for watch in self._watches:
            watch.state(state)

    # --- what the process says -------------------------------------------------------------------

    def _on_opened(self, values: Mapping[str, Any], _: bytes) -> None:
        self._opened, self._error = values, ""
        self._phase = "running"
        self._frame_at = time.monotonic()
        log.info("%s: open, %dx%d", self.name, values["width"], values["height"])
        self._ask_for_key()

    def _on_state(self, values: Mapping[str, Any], _: bytes) -> None:
        if values["frames"] != self.counters.now.get("frames", 0):
            self._frame_at = time.monotonic()
        self.counters.now = self._state = values
        self._tell_state()

    def _on_jpeg(self, values: Mapping[str, Any], data: bytes) -> None:
        item = Item(values, data)
        for watch in self._watches:
            if watch.stream == "jpeg":
                watch.picture(item)

    def _on_init(self, values: Mapping[str, Any], data: bytes) -> None:
        self._init = Item(values, data)
        for watch in self._watches:
            watch.needs_key = watch.stream == "h264"

    def _on_fragment(self, values: Mapping[str, Any], data: bytes) -> None:
        if self._init is None:
            return
        item, key = Item(values, data), bool(values["key"])
        for watch in self._watches:
            if watch.stream == "h264":
                watch.fragment(item, self._init, key=key)
                if watch.needs_key:
                    self._ask_for_key()

    def _on_figures(self, values: Mapping[str, Any], _: bytes) -> None:
        for watch in self._watches:
            if watch.stream == "figures":
                watch.line(Item(values["line"]))

    def _on_answer(self, values: Mapping[str, Any], data: bytes) -> None:
        answer = self._answers.get(values["id"])
        if answer is not None and not answer.done():
            answer.set_result(data)

    def _on_log(self, values: Mapping[str, Any], _: bytes) -> None:
        log.log(int(values["level"]), "%s: %s", self.name, values["text"])

    def _on_error(self, values: Mapping[str, Any], _: bytes) -> None:
        log.error("%s: %s", self.name, values["text"])
        self._error = self._public(str(values["text"]))

    def _on_no_h264(self, values: Mapping[str, Any], _: bytes) -> None:
        for watch in self._watches:
            if watch.stream == "h264":
                watch.state({**self.describe(), "no_h264": True})

    def _public(self, text: str) -> str:
        """Write the camera's name for its source, and for any address, in a text for viewers."""
        for source in (self.config.source, hide_secrets(self.config.source)):
            if len(source) > 3:
                text = text.replace(source, self.name)
        return clean_text(
            re.sub(r"\b[a-z][a-z0-9+.-]*:/{1,3}\S+", self.name, text, flags=re.IGNORECASE)
        )


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """Read the process's stderr to its end; return the last line."""
    assert process.stderr is not None
    last = b""
    while data := await process.stderr.read(65536):
        last = (last + data)[-4096:]
    lines = [line for line in last.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _describe(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"its process ended by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"
