"""Text that an encoding lacks is still shown; tests/test_cli.py closes streams for real."""

from __future__ import annotations

import pytest

from facereg.commands.streams import ERRORS, prepare_streams


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("REGION[,REGION…]", "ascii", b"REGION[,REGION...]"),
        ("██░ 2/3", "latin-1", b"##- 2/3"),
        ("██░ 2/3", "cp437", b"\xdb\xdb\xb0 2/3"),
        ("caf\udce9.mp4", "utf-8", b"caf\\udce9.mp4"),
        ("naïve 顔", "latin-1", b"na\xefve \\u9854"),
        ("all is well", "ascii", b"all is well"),
    ],
)
def test_what_an_encoding_lacks_is_shown_otherwise(text: str, encoding: str, shown: bytes) -> None:
    prepare_streams()

    assert text.encode(encoding, ERRORS) == shown
