"""Options of components: what users write after a name, and what constructors take."""

from __future__ import annotations

import inspect
import math
import re
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError, nearest


class Color(NamedTuple):
    """A colour that users write as ``#RRGGBB``; each part is 0 to 255."""

    red: int
    green: int
    blue: int

    @property
    def bgr(self) -> tuple[int, int, int]:
        """The colour in the order of OpenCV's pixels."""
        return self.blue, self.green, self.red

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


#: Modules whose names are left out of a type. Python 3.13 has Path in ``pathlib._local``.
STANDARD_MODULES = re.compile(r"\b(?:typing|pathlib(?:\._local)?|collections\.abc)\.")


@dataclass(frozen=True)
class Option:
    """A keyword-only parameter of a component's constructor, or of a view."""

    name: str
    type: Any
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        """Whether the user must give it."""
        return self.default is inspect.Parameter.empty

    @property
    def type_name(self) -> str:
        """The type as users write it: ``Path | None``, whatever Python calls the module of Path."""
        return STANDARD_MODULES.sub("", inspect.formatannotation(self.type))

    def describe(self) -> str:
        """Write it as ``name: type = default``."""
        default = "" if self.required else f" = {self.default!r}"
        return f"{self.name}: {self.type_name}{default}"

    def parse(self, text: str) -> Any:
        """Turn the user's text into a value of the annotated type.

        Raises:
            ValueError: the text is no such value.
        """
        return _parse(self.type, text)


def split_spec(spec: str) -> tuple[str, str, dict[str, str]]:
    """Split ``name:rest,key=value,key=value`` into name, rest and options.

    A comma ends a value only if ``key=`` follows, so that paths may hold commas.

    Raises:
        UsageError: an option is given twice.
    """
    name, _, tail = spec.partition(":")
    parts = re.split(r",(?=[A-Za-z_]\w*=)", tail)
    rest = "" if re.match(r"[A-Za-z_]\w*=", parts[0]) else parts.pop(0)
    options: dict[str, str] = {}
    for part in parts:
        key, _, value = part.partition("=")
        if key in options:
            raise UsageError(f"{name}: option {key!r} is given twice")
        options[key] = value
    return name, rest, options


def split_chain(spec: str, known: Iterable[str]) -> list[str]:
    """Split ``name:options+name:options`` at each ``+`` that a known name follows.

    Any other plus belongs to a value. Names have none, so a misspelt name in a chain without
    options is reported as such.
    """
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    parts = re.split(rf"\+(?=(?:{names})(?:[:+]|$))", spec) if names else [spec]
    return [piece for part in parts for piece in _split_name(part)]


def _split_name(part: str) -> list[str]:
    names, colon, options = part.partition(":")
    *before, last = names.split("+")
    return [*before, last + colon + options]


def _parse(kind: Any, text: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return _parse_literal(args, text)
    if origin in (typing.Union, types.UnionType):
        return _parse_union(args, text)
    if origin in (tuple, list, Sequence):
        return _parse_several(origin, args, text.split("+"))
    if kind is bool:
        words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
        if text.lower() not in words:
            raise ValueError("must be yes or no")
        return words[text.lower()]
    if kind is int:
        return _number(int, text, "a whole number")
    if kind is float:
        return _number(float, text, "a number")
    if kind is Path:
        return _path(text)
    if kind is Color:
        return _color(text)
    return text


def _color(text: str) -> Color:
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", text):
        raise ValueError("must be a colour as #RRGGBB, such as #ff8000")
    return Color(*bytes.fromhex(text[1:]))


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as e:  # ~name of an unknown user
        raise ValueError(str(e)) from None


def _parse_literal(values: tuple[Any, ...], text: str) -> Any:
    by_text = {str(value): value for value in values}
    if text not in by_text:
        raise ValueError(nearest(text, by_text))
    return by_text[text]


def _parse_union(kinds: tuple[Any, ...], text: str) -> Any:
    if type(None) in kinds and text.lower() in ("", "none"):
        return None
    for kind in kinds:
        if kind is not type(None):
            try:
                return _parse(kind, text)
            except ValueError as e:
                error = e
    raise error


def _parse_several(origin: Any, kinds: tuple[Any, ...], texts: list[str]) -> Any:
    fixed = origin is tuple and Ellipsis not in kinds
    if fixed and len(texts) != len(kinds):
        raise ValueError(f"must be {len(kinds)} values with + between them")
    values = [
        _parse(kind, text)
        for kind, text in zip(kinds if fixed else kinds[:1] * len(texts), texts, strict=True)
    ]
    return values if origin is list else tuple(values)


def _number(kind: type[int | float], text: str, noun: str) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError(f"must be {noun}") from None
    if not math.isfinite(value):
        raise ValueError(f"must be {noun}")
    return value
