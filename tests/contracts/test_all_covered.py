"""No component comes in without its contract, and no module without being registered."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

import facereg
from facereg.registry.registry import BUILTINS, Registry
from facereg.testing import DetectorContract, SegmenterContract, SinkContract, SourceContract

CONTRACTS: dict[str, Any] = {
    "source": SourceContract,
    "detector": DetectorContract,
    "segmenter": SegmenterContract,
    "sink": SinkContract,
}


@pytest.mark.parametrize("kind", CONTRACTS)
def test_every_built_in_is_tested_by_its_contract(kind: str) -> None:
    module = importlib.import_module(f"tests.contracts.test_{kind}s")
    tested = {
        case.component
        for name, case in vars(module).items()
        if name.startswith("Test") and issubclass(case, CONTRACTS[kind])
    }
    built_in = {c.cls for c in Registry().components(kind) if c.layer == "built-in"}

    assert built_in - tested == set()


def test_every_module_that_registers_something_is_a_built_in() -> None:
    package = Path(facereg.__file__).parent
    registering = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts)
        for path in package.rglob("*.py")
        if "\n@hookimpl\n" in path.read_text(encoding="utf-8") and path.parent.name != "commands"
    }

    assert registering == set(BUILTINS)
