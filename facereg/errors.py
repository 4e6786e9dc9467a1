"""The exceptions facereg raises on purpose.

::

    FaceregError          shown to the user as one line, exit code 1
    ├── UsageError        a command line, an option or a name that cannot be meant
    ├── PluginError       a component that cannot be loaded or broke its contract
    ├── SourceError       a video, image, camera or stream that cannot be read
    ├── ModelError        a weight file or card that is missing, damaged or unfit
    └── SinkError         an output that cannot be written
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class FaceregError(Exception):
    """Base of every error whose message is meant for the user."""


class UsageError(FaceregError):
    """A name, option or value that the user gave cannot be meant."""


class PluginError(FaceregError):
    """A component cannot be loaded, or broke the contract of its base class."""


class SourceError(FaceregError):
    """A source cannot be opened or read."""


class ModelError(FaceregError):
    """A model file is missing, damaged or does not fit."""


class SinkError(FaceregError):
    """An output cannot be written."""


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
    """Say which of the known names the user may have meant, as the end of an error line."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=count, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(close)}?"
    return f"known: {', '.join(known)}"


def hide_password(text: str) -> str:
    """Replace every password in the URLs of a text by ``***``.

    That is what stands in ``scheme://user:password@host``, and behind ``password=`` and the like
    in a path or a query. What is no proper URL, as its password has a slash or a space in it, is
    hidden too.
    """
    port = r"\d+(?:[/?,;\s]|$)"
    word = r"(?:[^/\s]*|(?:(?!://)[^@\n])*)"
    login = rf"(\w+://[^/\s:@]*):(?!{port}){word}@(?=[\w\[])"
    names = r"(?:password|passwd|pwd|pass|secret|[a-z_]*token|[a-z_]*key)"
    value = rf"(?i)((?:[?&/;]|_){names}=)[^&\s/;]+?(?=_\w+=|[&\s/;'\"]|$)"
    return re.sub(value, r"\1***", re.sub(login, r"\1:***@", text))
