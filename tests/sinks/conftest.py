"""What tests of sinks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sinks import xvfb


@pytest.fixture(scope="session")
def display() -> Iterator[xvfb.Screen]:
    """One X server for all tests; ask for it only where `xvfb.available` says yes."""
    with xvfb.Screen() as running:
        yield running
