"""The exceptions facereg raises on purpose.

::

    FaceregError          shown to the user as one line, exit code 1
    ├── UsageError        an invalid command line, option or name
    ├── PluginError       a component that cannot be loaded or broke its contract
    │   └── UnparsedFrameError    nobody knows what faces are in a frame: the run goes on
    ├── SourceError       a video, image, camera or stream that cannot be read
    ├── ModelError        a weight file or card that is missing, damaged or unfit
    ├── SinkError         an output that cannot be written
    └── MediaError        ffmpeg cannot read or write; sources and sinks make it their own error
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class FaceregError(Exception):
    """Base of every error whose message is meant for the user."""


class UsageError(FaceregError):
    """The user gave an invalid name, option or value."""


class PluginError(FaceregError):
    """A component cannot be loaded, or broke the contract of its base class."""


class UnparsedFrameError(PluginError):
    """Nobody knows what faces are in a frame: the run goes on, and such a frame is hidden whole."""


class SourceError(FaceregError):
    """A source cannot be opened or read."""


class ModelError(FaceregError):
    """A model file is missing, damaged or does not fit."""


class SinkError(FaceregError):
    """An output cannot be written."""


class MediaError(FaceregError):
    """ffmpeg cannot read or write a media file; sources and sinks raise it as their own error."""


def missing_extra(package: str, extra: str, purpose: str) -> FaceregError:
    """Make the error for a package of an optional extra that is not installed.

    Args:
        package: the package that could not be imported.
        extra: the extra of facereg that brings it.
        purpose: what needs it, as the start of a sentence.

    >>> str(missing_extra("torch", "torch", "engine=torch"))
    "engine=torch needs torch, which is not installed: pip install 'facereg[torch]'"
    """
    return FaceregError(
        f"{purpose} needs {package}, which is not installed: pip install 'facereg[{extra}]'"
    )


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Suggest the known names closest to an unknown one, as the end of an error line."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=count, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(close)}?"
    return f"known: {', '.join(known)}"


#: Endings of parameters' names whose values are secret: in any text, and in a URL.
_HIDDEN = r"passw(?:or)?d|passphrase|passcode|pwd|secret|token|jwt|signature|credentials?"
_HIDDEN_IN_URL = rf"{_HIDDEN}|pass?|pw|psw|key(?:-pair)?(?:[_-]?id)?|auth\w{{0,12}}|sig"

#: What is searched for, and what of it stays: the user's name, or the name of the parameter.
_SECRETS = tuple(
    (re.compile(pattern, re.IGNORECASE), kept)
    for pattern, kept in (
        # scheme://user:password@host, with one slash if it went through a path. A password may
        # have slashes, spaces and at signs in it; what follows the colon of a port is no password.
        (
            r"(\b\w+:/{1,3}[^/\s:@]*):(?!\d+(?:[/?,;\s]|$))(?:[^/\s]*|(?:(?!://)[^@\n])*)@(?=[\w\[])",
            r"\1:***@",
        ),
        # The same as a parameter of another URL.
        (r"(%3A%2F%2F[^\s&%]*%3A)[^\s&]*?(?=%40)", r"\1***"),
        # name=value in a path, which ends with that part of the path.
        (
            rf"((?<=[/_])[\w-]{{0,40}}?(?:{_HIDDEN_IN_URL})=)[^&\s/;,'\"]+?(?=_\w+=|[&\s/;,'\"]|$)",
            r"\1***",
        ),
        # name=value in a query or a fragment, and anywhere else.
        (
            rf"((?<=[?&;#])[\w.-]{{0,40}}?(?:{_HIDDEN_IN_URL})=)[^&\s'\"]+?(?=[:,;.)\]]*(?:[&\s'\"]|$))",
            r"\1***",
        ),
        (rf"(\b[\w-]{{0,40}}?(?:{_HIDDEN})=)[^&\s/,;'\"*]+", r"\1***"),
        (r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", r"\1 ***"),
    )
)

#: Characters that move a terminal's cursor, end a line or turn the writing direction, and bytes of
#: a name that is not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean_text(text: str) -> str:
    r"""Make a text fit to be shown: one line, without control characters or secrets.

    Everything that leaves the program for people to read goes through here.

    >>> clean_text("rtsp://me:1234@camera/1: no such \x1b[31mhost")
    'rtsp://me:***@camera/1: no such \\x1b[31mhost'
    """
    return _UNPRINTABLE.sub(_escaped, hide_secrets(text))


def clean_lines(text: str) -> str:
    r"""Make a text of several lines fit to be shown, as `clean_text` does for one.

    >>> print(clean_lines("one\a\ntoken=1234"))
    one\x07
    token=***
    """
    return "\n".join(map(clean_text, text.splitlines()))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name, as Python carries it
        code -= 0xDC00
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return known.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def hide_secrets(text: str) -> str:
    """Replace the passwords, tokens, keys and signatures in a text by ``***``.

    They are found in ``scheme://user:password@host``, and behind ``password=``, ``token=``,
    ``sig=`` and the like in a path, a query, a fragment or an option.

    >>> hide_secrets("https://host/a.mp4?X-Amz-Signature=0f3c&part=2")
    'https://host/a.mp4?X-Amz-Signature=***&part=2'
    """
    for pattern, kept in _SECRETS:
        text = pattern.sub(kept, text)
    return text
