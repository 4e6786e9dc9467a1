"""Read what the docstrings of a component say: its purpose, and the meaning of each option."""

from __future__ import annotations

import inspect
import re
from typing import Any

_SECTION = re.compile(r"^(\w+):\n((?:(?: {4}.*)?\n?)*)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): ((?:.|\n {5,})*)", re.MULTILINE)
_SECTIONS = ("Options", "Args")


def purpose(component: Any) -> str:
    """Return the docstring of a class or function, without its sections on options."""
    doc = inspect.cleandoc(component.__doc__ or "")
    return _SECTION.sub(lambda m: "" if m[1] in _SECTIONS else m[0], doc).strip()


def option_meanings(component: Any) -> dict[str, str]:
    """Return what ``Options:`` or ``Args:`` say of each name, each on one line.

    A class describes its options in its own docstring, or in that of ``__init__``.
    """
    meanings: dict[str, str] = {}
    for documented in (getattr(component, "__init__", None), component):
        doc = inspect.cleandoc(getattr(documented, "__doc__", None) or "") + "\n"
        for title, text in _SECTION.findall(doc):
            if title in _SECTIONS:
                for names, meaning in _ENTRY.findall(text):
                    line = re.sub(r"\s+", " ", meaning).strip()
                    meanings |= dict.fromkeys(names.split(", "), line)
    return meanings
