"""From the command line of ``serve``, and a TOML file, to the command line of each camera's run."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ..errors import UsageError, hide_secrets, missing_extra, nearest
from ..output import read_inside
from ..sinks.web import hides
from ..video.formats import FORMATS
from ..web.camera import Config
from .options import RUN_OPTIONS, Option
from .values import server_port

#: What a camera may be called, as it is part of addresses and of files' names.
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"

#: Most bytes of a TOML file.
MAX_BYTES = 1 << 20

#: The options of a run that a camera has.
OPTIONS = {option.name: option for option in RUN_OPTIONS if option.serve}

#: The options that are files or folders: ``{name}`` in them is the camera's name.
PATHS = ("output", "masks", "stats")


@dataclass(frozen=True)
class Setup:
    """What is served, and where.

    Attributes:
        cameras: at least one.
        values: the options of each, by its name.
        server: what the file says of the server: ``host``, ``port``, ``token``.
    """

    cameras: tuple[Config, ...]
    values: Mapping[str, Mapping[str, Any]]
    server: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Camera:
    """A camera before its command line is written: what it is called, and what was said of it."""

    name: str
    source: str
    values: Mapping[str, Any]


def plan(args: argparse.Namespace) -> Setup:
    """Find out what is to be served.

    Args:
        args: the command line of ``serve``.

    Raises:
        UsageError: nothing, two cameras of one name, or a wrong file; then the line is named.
    """
    given = {name: getattr(args, name) for name in OPTIONS}
    cameras = list(_from_command_line(args.source, given))
    server: dict[str, Any] = {}
    folder = args.recordings
    if args.config is not None:
        file = _File(Path(args.config))
        cameras += file.cameras(given)
        server = file.server()
        folder = folder or server.pop("recordings", None)
    if not cameras:
        raise UsageError("nothing to serve: name a SOURCE, or a file with cameras by --config")
    _check_names([camera.name for camera in cameras])
    _check_outputs(cameras)
    configs = tuple(_config(camera, folder or "recordings", debug=args.debug) for camera in cameras)
    return Setup(configs, {camera.name: camera.values for camera in cameras}, server)


def _from_command_line(sources: Sequence[str], given: Mapping[str, Any]) -> Iterable[_Camera]:
    taken: set[str] = set()
    for number, text in enumerate(sources, 1):
        match = re.fullmatch(rf"({NAME})=(.+)", text, re.DOTALL)
        if match and not Path(text).exists():
            name, source = match[1], match[2]
        else:
            name, source = _name_of(text, number), text
            while name in taken:
                name = f"{name}-{number}"
        taken.add(name)
        yield _Camera(name, source, given)


def _name_of(source: str, number: int) -> str:
    """Name a camera: as its file, or by its number, since an address is nobody's business."""
    stem = Path(source).stem if "://" not in source and Path(source).exists() else ""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:40]
    return name if name and not name.isdigit() else f"camera{number}"


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two cameras are called {name}: name them as NAME=SOURCE")


def _check_outputs(cameras: Sequence[_Camera]) -> None:
    """Refuse two cameras that write one file."""
    seen: dict[str, str] = {}
    for camera in cameras:
        for option in PATHS:
            path = camera.values.get(option)
            if not path:
                continue
            path = path.replace("{name}", camera.name)
            if path in seen:
                raise UsageError(
                    f"{seen[path]} and {camera.name} both write {path}: put {{name}} into the "
                    "name, which becomes the camera's"
                )
            seen[path] = camera.name


def _config(camera: _Camera, folder: str, *, debug: bool) -> Config:
    values = dict(camera.values)
    for option in PATHS:
        if values.get(option):
            values[option] = values[option].replace("{name}", camera.name)
    texts = [text for name, option in OPTIONS.items() for text in option.arguments(values[name])]
    flags = ["--quiet", *(["--debug"] if debug else [])]
    output = values.get("output") or ""
    return Config(
        name=camera.name,
        source=camera.source,
        # After --, a source that begins with a dash is no flag.
        argv=("run", *flags, *texts, "--", camera.source),
        folder=folder,
        hides=hides(values["view"]),
        outputs=(output,) if Path(output).suffix.lower() in FORMATS else (),
    )


class _File:
    """A TOML file with cameras.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """

    #: What the file may say of the server.
    SERVER = ("host", "port", "token", "recordings")

    def __init__(self, path: Path) -> None:
        self._path = path
        toml = _toml()
        try:
            self._text = read_inside(path, MAX_BYTES).decode()
            self._values: dict[str, Any] = toml.loads(self._text)
        except OSError as e:
            raise UsageError(f"--config {path}: {e.strerror or e}") from e
        except UnicodeDecodeError as e:
            line = e.object[: e.start].count(b"\n") + 1
            raise UsageError(f"{path}, line {line}: not UTF-8") from e
        except toml.TOMLDecodeError as e:
            message, _, place = str(e).partition(" (at ")
            found = re.match(r"line (\d+)", place)
            where = found[1] if found else str(len(self._text.splitlines()))
            raise UsageError(f"{path}, line {where}: {message[0].lower()}{message[1:]}") from e
        known = {*self.SERVER, "cameras", *(name.replace("_", "-") for name in OPTIONS)}
        for key in self._values:
            if key.replace("_", "-") not in known:
                raise self._wrong("", key, f"unknown; {nearest(key, known)}")

    def server(self) -> dict[str, Any]:
        """Return what it says of the server."""
        found = {key: self._values[key] for key in self.SERVER if key in self._values}
        for key, value in found.items():
            if key == "port":
                found[key] = self._read("", key, value, server_port)
            elif not isinstance(value, str) or not value:
                raise self._wrong("", key, "must be a text")
        return found

    def cameras(self, given: Mapping[str, Any]) -> Iterable[_Camera]:
        """Yield its cameras.

        Args:
            given: what the command line says of all of them.
        """
        tables = self._values.get("cameras", {})
        if not isinstance(tables, dict):
            raise self._wrong("", "cameras", "must be tables: [cameras.NAME]")
        common = self._options("", {k: v for k, v in self._values.items() if k not in self.SERVER})
        for name, table in tables.items():
            where = f"cameras.{name}"
            if not re.fullmatch(NAME, name):
                raise self._wrong(where, None, "a name has up to 40 letters, digits, - and _")
            if not isinstance(table, dict):
                raise self._wrong("cameras", name, "must be a table")
            source = table.get("source")
            if isinstance(source, bool) or not isinstance(source, (str, int)) or source == "":
                raise self._wrong(where, "source" if "source" in table else None, "needs a source")
            own = self._options(where, {k: v for k, v in table.items() if k != "source"})
            yield _Camera(name, str(source), {**given, **common, **own})

    def _options(self, where: str, table: Mapping[str, Any]) -> dict[str, Any]:
        """Read the options of a run."""
        found = {}
        for key, value in table.items():
            name = key.replace("-", "_")
            if not where and key == "cameras":
                continue
            if name not in OPTIONS:
                known = ["source", *(option.replace("_", "-") for option in OPTIONS)]
                raise self._wrong(where, key, f"unknown; {nearest(key, known)}")
            found[name] = self._option(where, key, OPTIONS[name], value)
        return found

    def _option(self, where: str, key: str, option: Option, value: Any) -> Any:
        action = option.keywords.get("action")
        if action == "append":
            values = value if isinstance(value, list) else [value]
            if not all(isinstance(item, str) for item in values):
                raise self._wrong(where, key, "must be a text, or a list of them")
            return values
        if action is not None:
            if not isinstance(value, bool):
                raise self._wrong(where, key, "must be true or false")
            return value
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self._wrong(where, key, "must be a text or a number")
        choices = option.keywords.get("choices")
        if choices and value not in choices:
            raise self._wrong(where, key, f"must be {' or '.join(choices)}")
        return self._read(where, key, value, option.keywords.get("type", str))

    def _read(self, where: str, key: str, value: Any, kind: Any) -> Any:
        try:
            return kind(str(value))
        except (argparse.ArgumentTypeError, ValueError) as e:
            raise self._wrong(where, key, str(e)) from None

    def _wrong(self, where: str, key: str | None, problem: str) -> UsageError:
        line = _line_of(self._text, where, key)
        name = key if key is not None else f"[{where}]"
        return UsageError(f"{self._path}, line {line}: {hide_secrets(name)}: {problem}")


def _line_of(text: str, table: str, key: str | None) -> int:
    """Find the line of a key in a table, or of the table's name; 1 if it is written otherwise."""
    here, of_table = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            here = re.sub(r"[\"'\s]", "", match[1])
            if here == table:
                of_table = number
        elif here == table and key is not None and re.match(rf"\s*[\"']?{re.escape(key)}\b", line):
            return number
    return of_table


def _toml() -> Any:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        return cast(Any, importlib.import_module(name))
    except ImportError:
        raise missing_extra("tomli", "web", "--config") from None
