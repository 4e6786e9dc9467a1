"""The actions of a window and of the page of ``serve`` in one table.

Help, buttons, documents and the man page are made from it.
"""

from __future__ import annotations

import re
import textwrap
from typing import NamedTuple

#: The region that each number key shows, as in the upstream project.
NUMBER_KEYS: dict[str, str] = {
    "1": "skin",
    "2": "eyebrows",
    "3": "eyes",
    "4": "nose",
    "5": "lips",
    "6": "mouth_interior",
    "7": "hair",
    "8": "eyelids",
    "9": "ears",
    "0": "glasses",
}


class Key(NamedTuple):
    """One key, and the button of the page that does the same.

    Attributes:
        key: the character that it types, or its name.
        action: names the method that is called, ``do_ACTION`` of the sink.
        label: what is written on the button.
        text: what it does.
        region: the region that a number key selects, or empty.
    """

    key: str
    action: str
    label: str
    text: str
    region: str = ""


KEYS: tuple[Key, ...] = (
    Key("a", "whole", "Whole", "the whole picture"),
    Key("f", "face", "Face", "the face: the largest, or the one chosen with n"),
    *(
        Key(key, "region", name.replace("_", " ").capitalize(), f"{name} alone", name)
        for key, name in NUMBER_KEYS.items()
    ),
    Key("o", "overlay", "Colours", "colours over the picture, on and off"),
    Key("g", "gallery", "Gallery", "gallery: each face's region map beside the picture"),
    Key("b", "blur", "Blur", "blur the selected region, on and off"),
    Key("+", "stronger", "Stronger", "stronger colours"),
    Key("-", "weaker", "Weaker", "weaker colours"),
    Key("m", "mirror", "Mirror", "mirror what is shown; files are never mirrored"),
    Key("n", "next", "Next face", "next face alone; after the last one, all of them"),
    Key("p", "pause", "Pause", "pause; a live source is still read and recorded"),
    Key("s", "snapshot", "Snapshot", "snapshot: save the picture as PNG"),
    Key("r", "record", "Record", "start and stop recording what is shown to a new MP4"),
    Key("h", "help", "Help", "this help"),
    Key("F11", "fullscreen", "Full screen", "full screen, on and off"),
    Key("q", "quit", "Quit", "quit; every file is finished (only in a window)"),
    Key("Esc", "quit", "Quit", "quit; every file is finished (only in a window)"),
)

#: What the page of ``serve`` has no button for: nobody ends a run from elsewhere.
WINDOW_ONLY = {"quit"}

_BY_KEY = {key.key: key for key in KEYS}
_BY_KEY["="] = _BY_KEY["+"]  # where + needs Shift


def find(key: str) -> Key | None:
    """Look up a key by the character that it types, capital or not, or by its name."""
    return _BY_KEY.get(key) or _BY_KEY.get(key.lower())


def rows() -> list[tuple[str, str]]:
    """List the keys with what they do; keys that do the same share a row."""
    together: dict[tuple[str, str], list[str]] = {}
    for key in KEYS:
        text = "" if key.region else key.text
        together.setdefault((key.action, text), []).append(key.key)
    regions = ", ".join(f"{key} {name}" for key, name in NUMBER_KEYS.items())
    return [
        (f"{names[0]}-{names[-1]}" if action == "region" else ", ".join(names), text or regions)
        for (action, text), names in together.items()
    ]


def lines() -> list[tuple[str, str]]:
    """List the same, with long texts continued in rows without a key."""
    found = []
    for names, text in rows():
        # No line break between a number and its region.
        first, *more = textwrap.wrap(re.sub(r"(\d) ", "\\1\N{NO-BREAK SPACE}", text), 60)
        found += [(names, first), *(("", part) for part in more)]
    return [(names, text.replace("\N{NO-BREAK SPACE}", " ")) for names, text in found]


def as_text() -> str:
    """Write the table as plain lines."""
    width = max(len(names) for names, _ in lines())
    return "\n".join(f"{names:<{width}}  {text}" for names, text in lines())


def as_markdown() -> str:
    """Write the table in Markdown, as documents have it."""
    lines = ["| key | does |", "|---|---|"]
    for names, text in rows():
        keys = " ".join(f"`{name}`" for name in names.split(", "))
        lines.append(f"| {keys} | {text} |")
    return "\n".join(lines)
