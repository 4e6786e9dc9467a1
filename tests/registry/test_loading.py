"""A plugin file is loaded whole, or not at all."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facereg.checks import describe_component
from facereg.cli import main
from facereg.errors import PluginError
from facereg.registry.registry import Registry
from tests.registry.plugins import DETECTOR, found

Write = Callable[..., Path]
Install = Callable[..., Path]


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


@pytest.mark.slow
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
    assert str(path) not in {getattr(m, "__file__", None) for m in sys.modules.values()}


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


def test_files_of_one_name_are_told_apart(write: Write) -> None:
    code = """
        import facereg

        class Mine(facereg.Detector):
            name = "{name}"
            def detect(self, frame):
                return 1 / 0

        @facereg.hookimpl
        def register_detectors():
            return [Mine]
    """
    paths = [write(code.format(name=name), "same.py", name) for name in ("one", "two")]
    registry = Registry(paths)

    for name, path in zip(("one", "two"), paths, strict=True):
        detector = registry.build("detector", name)
        assert describe_component("detector", detector) == f"detector {name} ({path})"
