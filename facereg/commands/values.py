"""What a value on the command line may be; standard library only.

Each function reads one text. argparse prints the message of an `argparse.ArgumentTypeError` behind
the flag's name, and exits with 2.
"""

from __future__ import annotations

import argparse
import re


def positive_int(text: str) -> int:
    """Read a whole number from 1.

    >>> positive_int("8")
    8
    """
    if not re.fullmatch(r"0*[1-9]\d*", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def whole_int(text: str) -> int:
    """Read a whole number from 0."""
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def shard(text: str) -> tuple[int, int]:
    """Read which of how many parts.

    >>> shard("3/8")
    (3, 8)
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise argparse.ArgumentTypeError(f"{text!r} is no I/N with I from 1 to N, such as 3/8")
    return number, count


def pair(text: str) -> tuple[str, str]:
    """Read ``LABEL=CLASS``."""
    label, sign, name = text.rpartition("=")
    if not (label and sign and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not LABEL=CLASS")
    return label, name


def executor(text: str) -> str:
    """Read what runs the jobs of a batch: ``local``, ``ray`` or ``ray:ADDRESS``."""
    if text not in ("local", "ray") and not re.fullmatch(r"ray:.+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not local, ray or ray:HOST:PORT")
    return text


def count_or_auto(text: str) -> int | None:
    """Read a whole number of at least 1, or ``auto``, which is None."""
    return None if text == "auto" else positive_int(text)


def positive_number(text: str) -> float:
    """Read a number above 0, such as ``90``, ``.5`` or ``2e-3``."""
    if not re.fullmatch(r"(\d+\.?\d*|\.\d+)(e-?\d+)?", text, re.ASCII) or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return float(text)


def server_port(text: str) -> int:
    """Read the number of a port; 0 is any free one."""
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def fraction(text: str) -> float:
    """Read a number of at least 0 and below 1."""
    if not re.fullmatch(r"0?\.\d+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a fraction below 1, such as 0.25")
    return float(text)


def seconds(text: str) -> float:
    """Read a time.

    >>> seconds("75.5"), seconds("1:15.5"), seconds("0:01:15.5")
    (75.5, 75.5, 75.5)
    """
    if not re.fullmatch(r"(\d+:)?(\d+:)?\d+(\.\d*)?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is neither seconds nor [HH:]MM:SS")
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


#: Seconds, and bytes, of the units of `period` and `retention`.
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"M": 10**6, "G": 10**9, "T": 10**12}


def period(text: str) -> float:
    """Read a length of time, with a unit or as `seconds` reads it.

    >>> period("10m"), period("1.5h"), period("90")
    (600.0, 5400.0, 90.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text, re.ASCII)
    length = float(match[1]) * SECONDS[match[2]] if match else seconds(text)
    if not length:
        raise argparse.ArgumentTypeError(f"{text!r} must be longer than 0 seconds")
    return length


def retention(text: str) -> tuple[float | None, int | None]:
    """Read how much is kept: seconds, or bytes.

    >>> retention("7d"), retention("50G")
    ((604800.0, None), (None, 50000000000))
    """
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([MGT])B?", text, re.ASCII):
        size = round(float(match[1]) * BYTES[match[2]])
        if size:
            return None, size
    elif re.fullmatch(r"\d+(\.\d+)?[smhd]", text, re.ASCII):
        return period(text), None
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a time such as 7d nor a size such as 50G"
    )


def positive_seconds(text: str) -> float:
    """Read a time that is longer than nothing."""
    if not (length := seconds(text)):
        raise argparse.ArgumentTypeError(f"{text!r} must be longer than 0 seconds")
    return length


def names(text: str) -> list[str]:
    """Read a list of names.

    >>> names("eyes,lips")
    ['eyes', 'lips']
    """
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as eyes,lips")
    return found
