from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facereg.checks import describe_component
from facereg.cli import main
from facereg.errors import FaceregError, PluginError, UsageError
from facereg.registry.registry import BUILTINS, Component, Registry
from facereg.testing import some_result
from facereg.types import SourceInfo
from tests.sinks.results import feed

DETECTOR = """
    import facereg

    class Mine(facereg.Detector):
        "Finds nothing."
        name = "{name}"

        def __init__(self, *, size: int = 3):
            self.size = size

        def detect(self, frame):
            return []

    @facereg.hookimpl
    def register_detectors():
        return [Mine]
"""

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


def found(registry: Registry, kind: str, name: str) -> Component | None:
    return next((c for c in registry.components(kind) if c.name == name), None)


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


# One file


def test_a_file_is_a_plugin(write: Write) -> None:
    path = write(DETECTOR.format(name="mine"))
    registry = Registry([path])

    detector = registry.build("detector", "mine:size=7")

    assert detector.size == 7
    assert describe_component("detector", detector) == f"detector mine ({path})"
    assert found(registry, "detector", "mine").origin == str(path)


def test_dataclasses_and_pickling_work_in_a_file(write: Write) -> None:
    code = """
        from __future__ import annotations
        import dataclasses, facereg

        @dataclasses.dataclass
        class Setting:
            size: int = 3

        class Mine(facereg.Detector):
            name = "mine"
            def detect(self, frame): return []
            def setting(self): return Setting()

        @facereg.hookimpl
        def register_detectors(): return [Mine]
    """
    setting = Registry([write(code)]).build("detector", "mine").setting()

    assert pickle.loads(pickle.dumps(setting)) == setting
    assert dataclasses.asdict(setting) == {"size": 3}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "registers nothing; it needs a function marked @facereg.hookimpl"),
        (
            """
            import facereg
            @facereg.hookimpl
            def register_detector(): return []
            """,
            "there is no hook 'register_detector': did you mean register_detectors",
        ),
        (
            """
            import facereg
            @facereg.hookimpl
            def register_detectors(registry): return []
            """,
            "registry",
        ),
        (
            """
            import facereg
            @facereg.hookimpl
            def register_detectors(): return 1 / 0
            """,
            r"register_detectors\(\): ZeroDivisionError",
        ),
        (
            """
            import facereg
            @facereg.hookimpl
            def register_detectors(): return 7
            """,
            r"register_detectors\(\) must return a list of classes",
        ),
        (
            """
            import facereg
            @facereg.hookimpl
            def register_detectors(): return [dict]
            """,
            "is not a subclass of facereg.Detector",
        ),
        (
            """
            import facereg
            class Mine(facereg.Sink):
                name = "mine"
                def write(self, result): pass
            @facereg.hookimpl
            def register_detectors(): return [Mine]
            """,
            "is not a subclass of facereg.Detector",
        ),
        (
            """
            import facereg
            class Mine(facereg.Detector):
                name = "mine"
            @facereg.hookimpl
            def register_detectors(): return [Mine]
            """,
            "Mine does not define detect",
        ),
        (DETECTOR.format(name="My Detector"), "Mine.name is 'My Detector'; it must be a word"),
        (DETECTOR.format(name="mine").replace("*, size", "size"), "write a \\* before it"),
        (DETECTOR.format(name="mine").replace(": int", ": 'Nope'"), "cannot be resolved"),
        (
            """
            import facereg
            class Mine(facereg.Source):
                name = "mine"
                def frames(self): return iter(())
            @facereg.hookimpl
            def register_sources(): return [Mine]
            """,
            r"must take spec, as \(self, spec\)",
        ),
        ("import facereg\napi_version = 99", "made for plugin API 99, and this facereg has 1"),
        ("import facereg\napi_version = 'new'", "must be a whole number"),
        (
            """
            import facereg
            @facereg.hookimpl
            def register_views(): return {"Mine!": print}
            """,
            "a view is named 'Mine!'",
        ),
        (
            """
            import facereg
            @facereg.hookimpl
            def register_views(): return [print]
            """,
            r"register_views\(\) must return a dict",
        ),
        (
            """
            import facereg
            @facereg.hookimpl
            def register_views(): return {"mine": lambda: None}
            """,
            "view mine must take the result",
        ),
    ],
)
def test_a_broken_file_is_told_in_a_line(
    write: Write, capsys: pytest.CaptureFixture[str], code: str, message: str
) -> None:
    path = write(code)

    with pytest.raises(PluginError, match=message) as error:
        Registry([path])
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)

    assert main(["plugins", "--plugin", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"gone\.py: no such file"):
        Registry([tmp_path / "gone.py"])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PluginError, match=r"its name must end in \.py"):
        Registry([tmp_path / "notes.txt"])


def test_a_broken_file_leaves_no_half_of_it(write: Write) -> None:
    path = write(DETECTOR.format(name="mine") + "\n    raise ValueError('late')")

    with pytest.raises(PluginError, match="late"):
        Registry([path])
    assert "facereg_plugin_plugin" not in sys.modules


def test_one_name_twice_in_a_layer_names_both(write: Write) -> None:
    one = write(DETECTOR.format(name="mine"), "one.py")
    other = write(DETECTOR.format(name="mine"), "other.py")

    with pytest.raises(PluginError, match="two detectors are named mine") as error:
        Registry([one, other])
    assert str(one) in str(error.value) and str(other) in str(error.value)


def test_one_name_twice_in_a_file_is_told(write: Write) -> None:
    path = write(DETECTOR.format(name="mine").replace("[Mine]", "[Mine, type('M', (Mine,), {})]"))

    with pytest.raises(PluginError, match="two detectors are named mine"):
        Registry([path])


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


# Views


VIEWS = """
    import facereg

    def mine(result):
        return {picture}

    def tint(result, ids):
        picture = result.frame.image.copy()
        picture[...] = len(ids)
        return picture

    @facereg.hookimpl
    def register_views():
        return {{"mine": mine, "tint": tint}}
"""


def test_a_view_of_a_plugin_is_drawn_by_every_picture_sink(
    write: Write, tmp_path: Path, face_clip: Path
) -> None:
    path = write(VIEWS.format(picture="255 - result.frame.image"))
    arguments = ["run", str(face_clip), "--plugin", str(path), "--view", "mine", "--quiet"]

    assert main([*arguments, "-o", str(tmp_path / "out.mp4")]) == 0

    assert (tmp_path / "out.mp4").is_file()
    result = some_result(0)
    assert np.array_equal(Registry([path]).view("mine")(result), 255 - result.frame.image)


def test_a_view_may_take_regions(write: Write) -> None:
    registry = Registry([write(VIEWS.format(picture="None"))])

    assert registry.view("tint:eyes+nose")(some_result(0)).max() == 3
    with pytest.raises(UsageError, match="'tint' needs regions"):
        registry.view("tint")
    with pytest.raises(UsageError, match="'mine' takes no regions"):
        registry.view("mine:eyes")


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("None", r"drew None, not \(h, w, 3\) uint8"),
        ("result.frame.image / 2", "float64"),
        ("result.frame.image[:, :, 0]", r"an array \(48, 64\) uint8"),
    ],
)
def test_a_view_that_fails_is_named_with_its_frame(
    write: Write, picture: str, message: str
) -> None:
    path = write(VIEWS.format(picture=picture))
    with pytest.raises(PluginError, match=message) as error:
        Registry([path]).view("mine")(some_result(4))
    assert f"view mine ({path}), frame 4: " in str(error.value)


def test_a_view_cannot_hand_out_the_frame_itself(write: Write) -> None:
    registry = Registry([write(VIEWS.format(picture="result.frame.image"))])
    result = some_result(0)

    picture = registry.view("mine")(result)
    picture[...] = 0

    assert result.frame.image.any()


def test_a_second_registry_takes_no_view_away(write: Write, tmp_path: Path) -> None:
    with_plugin = Registry([write(VIEWS.format(picture="255 - result.frame.image"))])
    another = Registry([write(VIEWS.format(picture="result.frame.image.copy()"), "b.py")])
    result = some_result(0)

    assert np.array_equal(with_plugin.view("mine")(result), 255 - result.frame.image)
    assert np.array_equal(another.view("mine")(result), result.frame.image)
    with pytest.raises(UsageError, match="unknown view 'mine'"):
        Registry().view("mine")


def test_a_sink_draws_with_the_views_of_its_own_registry(write: Write, tmp_path: Path) -> None:
    first = Registry([write(VIEWS.format(picture="255 - result.frame.image"))])
    Registry([write(VIEWS.format(picture="result.frame.image.copy()"), "b.py")])
    result = some_result(0)
    sink = first.build("sink", f"images:{tmp_path / 'out'},view=mine")

    feed(sink, SourceInfo("memory", result.frame.width, result.frame.height), [result])

    picture = cv2.imread(str(tmp_path / "out" / "000000.png"))
    np.testing.assert_array_equal(picture, 255 - result.frame.image)


OPTIONS = """
    import facereg

    def tint(result, *, level: int = 3, name="x"):
        picture = result.frame.image.copy()
        picture[...] = level + 10 * len(result.faces)
        return picture

    @facereg.hookimpl
    def register_views():
        return {"tint": tint}
"""


def test_a_view_takes_options_as_components_do(write: Write) -> None:
    registry = Registry([write(OPTIONS)])
    result = some_result(0)
    faces = len(result.faces)

    assert registry.view("tint:level=4")(result).max() == 4 + 10 * faces
    assert registry.view(f"tint:except={result.faces[0].id}")(result).max() == 3 + 10 * (faces - 1)
    assert list(registry.find("view", "tint").options()) == ["only", "except", "level", "name"]
    with pytest.raises(UsageError, match="view tint: level=x: must be a whole number"):
        registry.view("tint:level=x")
    with pytest.raises(UsageError, match="view tint: no option 'levl': did you mean level"):
        registry.view("tint:levl=3")


def test_a_view_is_drawn_for_chosen_faces_or_without_some() -> None:
    with pytest.raises(UsageError, match="view blur: takes only= or except=, not both"):
        Registry().view("blur:face,only=1,except=2")
