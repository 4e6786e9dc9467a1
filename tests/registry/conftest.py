"""Plugins as files and as installed packages."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]
Install = Callable[..., Path]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEREG_PLUGINS", raising=False)
    monkeypatch.delenv("FACEREG_DISABLE_PLUGINS", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a plugin file."""

    def write(code: str, name: str = "plugin.py", folder: str = "") -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(code))
        return path

    return write


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a package as pip leaves it: a module and its metadata."""

    def install(code: str, name: str = "facereg-mine", module: str = "facereg_mine") -> Path:
        site = tmp_path / f"site-{name}"
        info = site / f"{name.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(textwrap.dedent(code))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[facereg]\n{module} = {module}\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return site

    return install
