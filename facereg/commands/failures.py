"""What a command says when it fails, and the exit code that it ends with."""

from __future__ import annotations

from ..errors import FaceregError, UsageError


def describe_failure(error: Exception) -> tuple[str, int]:
    """Describe an exception in one line for the user.

    Returns:
        The line, and the exit code: 2 for wrong usage, else 1.

    >>> describe_failure(PermissionError(13, "Permission denied", "/etc/areas.png"))
    ('/etc/areas.png: Permission denied', 1)
    """
    if isinstance(error, FaceregError):
        text, code = str(error), 2 if isinstance(error, UsageError) else 1
    elif isinstance(error, OSError):
        text, code = f"{error.filename}: {error.strerror}" if error.filename else str(error), 1
    else:
        text = f"{type(error).__name__}: {error} (a fault of facereg's: --debug shows where)"
        code = 1
    return " ".join(text.split()), code
