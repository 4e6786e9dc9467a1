"""docs/reliability.md names tests that exist, so that no promise stands on a test that has gone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tests_of_every_promise_exist() -> None:
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:tests|benchmarks)/[\w/.]+)`", text))
    assert len(named) > 15
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]
    rows = [line for line in text.splitlines() if line.startswith("| ") and "tested in" not in line]
    assert all("`" in row for row in rows)
