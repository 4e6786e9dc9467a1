"""The table of keys, and the documents that are made from it."""

from __future__ import annotations

from pathlib import Path

from facereg.sinks.display import keys
from facereg.sinks.display.keys import NUMBER_KEYS

DOCS = Path(__file__).parents[3] / "docs/live.md"


def test_no_key_means_two_things() -> None:
    names = [key.key for key in keys.KEYS]
    assert len(names) == len(set(names))


def test_number_keys_select_the_regions_of_the_design() -> None:
    assert {key.key: key.region for key in keys.KEYS if key.region} == NUMBER_KEYS


def test_capital_letters_and_the_unshifted_plus_count() -> None:
    assert keys.find("Q") == keys.find("q") != None  # noqa: E711  (one line says it all)
    assert keys.find("=") == keys.find("+")
    assert keys.find("z") is None
    assert keys.find("") is None


def test_the_guide_has_the_key_table_as_it_is() -> None:
    assert keys.as_markdown() in DOCS.read_text(encoding="utf-8")


def test_help_names_every_key_and_fits_a_terminal() -> None:
    text = keys.as_text()
    assert all(len(line) < 80 for line in text.splitlines())
    for key in keys.KEYS:
        assert (key.region or key.key) in text
