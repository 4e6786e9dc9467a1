"""Makes the standard streams fit to be written to, whatever they are; standard library only.

Under cron or a daemon they may be closed, and the encoding of a terminal or a pipe may lack what
facereg prints: an ellipsis, the blocks of the progress bar, a letter of a file's name.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

#: What is printed instead of a character that the encoding lacks; others are printed as escapes.
FALLBACKS = {"…": "...", "█": "#", "░": "-"}

#: Name of the error handler that uses them.
ERRORS = "facereg.readable"


def prepare_streams() -> None:
    """Make stdout and stderr take any text; closed ones become the null device."""
    _open_closed_descriptors()
    codecs.register_error(ERRORS, _readable)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def stdout_works() -> bool:
    """Write out what was printed; if that fails, let nothing more be written to stdout.

    Python would try once more on its way out, and complain.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _open_closed_descriptors() -> None:
    """Open the null device as 0, 1 and 2 if they are closed.

    Otherwise the next file to be opened would get the number of stderr, and libraries would write
    their messages into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    escaped = (c.encode("ascii", "backslashreplace").decode() for c in text)
    return "".join(FALLBACKS.get(c, e) for c, e in zip(text, escaped, strict=True)), error.end
