from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facereg.errors import FaceregError, PluginError, UsageError
from facereg.registry.registry import BUILTINS, Registry
from tests.registry.plugins import DETECTOR, found

Write = Callable[..., Path]
Install = Callable[..., Path]


# What is there


def test_the_built_ins_come_through_the_hooks() -> None:
    registry = Registry()

    assert {c.name for c in registry.components("detector")} >= {"mtcnn", "haar", "deepface"}
    assert {c.name for c in registry.components("view")} >= {"overlay", "gallery", "blur"}
    assert {c.layer for c in registry.components()} == {"built-in"}
    assert registry.failures == []


def test_importing_the_registry_imports_no_component() -> None:
    code = "import sys, facereg.registry; print(*[m for m in sys.modules if m in sys.argv])"
    done = subprocess.run(
        [sys.executable, "-c", code, *BUILTINS, "cv2"], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == []


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown detector 'mtccn': did you mean mtcnn"):
        Registry().build("detector", "mtccn")


# Packages and folders


def test_an_installed_package_is_found(install: Install) -> None:
    install(DETECTOR.format(name="mine"))

    component = found(Registry(), "detector", "mine")

    assert (component.layer, component.origin) == ("package", "facereg-mine 1.2")


def test_a_broken_package_is_skipped_and_listed(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("import no_such_module", "facereg-broken", "facereg_broken")
    install(DETECTOR.format(name="mine"))

    registry = Registry()

    assert found(registry, "detector", "mine")
    (failure,) = registry.failures
    assert failure.origin == "facereg-broken 1.2"
    assert failure.reason == "ModuleNotFoundError: No module named 'no_such_module'"
    assert "facereg-broken 1.2 is not loaded: ModuleNotFoundError" in caplog.text


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit", "SystemExit"),
        ("api_version = 2", "made for plugin API 2, and this facereg has 1: upgrade facereg"),
        (DETECTOR.format(name="mine").replace("[Mine]", "[int]"), "is not a subclass"),
    ],
)
def test_a_package_of_the_wrong_kind_is_skipped(install: Install, code: str, reason: str) -> None:
    install(code)

    registry = Registry()

    assert reason in registry.failures[0].reason
    assert found(registry, "detector", "mtcnn")


def test_help_is_instant_and_whole_with_a_broken_package(install: Install) -> None:
    site = install("raise RuntimeError('loaded')")
    done = subprocess.run(
        [sys.executable, "-m", "facereg", "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "new-plugin" in done.stdout
    assert done.stderr == ""


def test_a_package_replaces_a_built_in_and_says_so(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(DETECTOR.format(name="haar"))

    with caplog.at_level(logging.INFO):
        component = found(Registry(), "detector", "haar")

    assert component.origin == "facereg-mine 1.2"
    assert "detector haar from facereg-mine 1.2 replaces the built-in one" in caplog.text


def test_a_file_wins_over_a_folder_over_a_package(
    install: Install, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(DETECTOR.format(name="mine"))
    assert found(Registry(), "detector", "mine").layer == "package"

    write(DETECTOR.format(name="mine"), "in_folder.py", "folder")
    monkeypatch.setenv("FACEREG_PLUGINS", str(tmp_path / "folder"))
    assert found(Registry(), "detector", "mine").layer == "folder"

    path = write(DETECTOR.format(name="mine"), "given.py")
    assert found(Registry([path]), "detector", "mine").origin == str(path)


def test_every_file_of_a_folder_is_a_plugin(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(DETECTOR.format(name="one"), "one.py", "folder")
    write(DETECTOR.format(name="two"), "two.py", "folder")
    write("raise RuntimeError", "_shared.py", "folder")
    bad = write("raise RuntimeError('oh')", "zbad.py", "folder")
    missing = str(tmp_path / "missing")
    monkeypatch.setenv("FACEREG_PLUGINS", os.pathsep.join([str(tmp_path / "folder"), missing]))

    registry = Registry()

    assert found(registry, "detector", "one") and found(registry, "detector", "two")
    assert [(f.origin, f.reason) for f in registry.failures] == [
        (str(bad), "RuntimeError: oh"),
        (
            missing,
            "cannot be read as a folder of plugins: No such file or directory (FACEREG_PLUGINS)",
        ),
    ]


@pytest.mark.parametrize("name", ["facereg-mine", "facereg_mine", "Facereg.Mine"])
def test_a_package_can_be_disabled(
    install: Install, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    install("raise RuntimeError('imported')")
    monkeypatch.setenv("FACEREG_DISABLE_PLUGINS", f"x, {name}")

    (failure,) = Registry().failures

    assert failure.disabled and failure.origin == "facereg-mine 1.2"


def test_files_and_built_ins_can_be_disabled(
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write(DETECTOR.format(name="mine"), "unwanted.py", "folder")
    monkeypatch.setenv("FACEREG_PLUGINS", str(tmp_path / "folder"))
    monkeypatch.setenv("FACEREG_DISABLE_PLUGINS", "unwanted,haar,nobody")

    registry = Registry()

    assert not found(registry, "detector", "mine") and not found(registry, "detector", "haar")
    assert {f.origin for f in registry.failures} == {str(path), "facereg"}
    assert "there is no plugin 'nobody'" in caplog.text
    assert found(Registry([path]), "detector", "mine")  # what is named by hand is wanted


# Building


def test_a_constructor_that_fails_is_told_with_its_origin(write: Write) -> None:
    path = write(DETECTOR.format(name="mine").replace("self.size = size", "raise KeyError('gpu')"))

    with pytest.raises(PluginError, match=r"detector mine \(.*plugin\.py\): KeyError: 'gpu'"):
        Registry([path]).build("detector", "mine")


# Sources


SOURCE = """
    import numpy as np
    import facereg

    class Mine(facereg.Source):
        "Says what it was asked."
        name = "mine"

        def __init__(self, spec: str, *, size: int = 1):
            self.asked = spec, size
            self.info = facereg.SourceInfo(spec, 4, 4)

        @classmethod
        def matches(cls, spec):
            return {matches}

        def frames(self):
            yield facereg.Frame(np.zeros((4, 4, 3), np.uint8))

    @facereg.hookimpl
    def register_sources():
        return [Mine]
"""


def test_a_source_is_opened_by_name_or_because_it_matches(write: Write) -> None:
    path = write(SOURCE.format(matches="spec.startswith('mine://')"))
    registry = Registry([path])

    assert registry.open_source("mine:some/where,x,size=3").asked == ("some/where,x", 3)
    assert registry.open_source("mine://host/a,b").asked == ("mine://host/a,b", 1)


def test_a_plugin_is_asked_before_the_built_ins(write: Write, face_clip: Path) -> None:
    registry = Registry([write(SOURCE.format(matches="spec.endswith('.mp4')"))])

    assert registry.open_source(str(face_clip)).asked == (str(face_clip), 1)


def test_a_source_that_fails_to_match_is_named(write: Write) -> None:
    registry = Registry([write(SOURCE.format(matches="1 / 0"))])

    with pytest.raises(PluginError, match=r"source mine \(.*\): matches\(\): ZeroDivisionError"):
        registry.open_source("0")


def test_a_source_of_nobody_shows_no_password() -> None:
    with pytest.raises(FaceregError) as error:
        Registry().open_source("gopher://me:secret@host/x")
    assert "secret" not in str(error.value) and "***" in str(error.value)


@pytest.mark.parametrize("folders", ["~nobody-of-this-name/x", "a" * 5000, __file__, "/proc/1/x"])
def test_a_broken_list_of_plugin_folders_is_skipped_and_listed(
    folders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEREG_PLUGINS", folders)

    registry = Registry()

    assert found(registry, "detector", "mtcnn")
    (failure,) = registry.failures
    assert failure.origin == folders
    assert failure.reason.startswith("cannot be read as a folder of plugins: ")
