"""What users write behind a component's name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from facereg.components import Sink
from facereg.errors import UsageError
from facereg.registry.options import Option, split_chain
from facereg.registry.registry import Component, Registry, split_spec


class EverySink(Sink):
    """Takes every type of option."""

    name = "every"

    def __init__(
        self,
        *,
        path: Path = Path("x"),
        count: int | None = None,
        rate: float = 1.0,
        on: bool = False,
        way: Literal["fast", "slow"] = "fast",
        level: Literal[1, 2] = 1,
        names: tuple[str, ...] = (),
        size: tuple[int, int] = (1, 1),
        parts: list[int] = [],  # noqa: B006
        either: int | str = 0,
        several: Sequence[float] = (),
    ) -> None:
        self.given = {k: v for k, v in locals().items() if k not in ("self", "__class__")}

    def write(self, result: object) -> None:
        pass


EVERY = Component("sink", "every", EverySink, "file", "test")


class PlainSink(Sink):
    """Has no annotations."""

    name = "plain"

    def __init__(self, *, count=3, rate=0.5, on=False, folder=Path(), word="x", nothing=None):  # type: ignore[no-untyped-def]
        self.given = {k: v for k, v in locals().items() if k != "self"}

    def write(self, result):  # type: ignore[no-untyped-def]
        pass


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("count", "7", 7), ("rate", "2", 2.0), ("on", "no", False), ("folder", "a", Path("a")),
        ("word", "7", "7"), ("nothing", "7", "7"),
    ],
)  # fmt: skip
def test_an_option_without_annotation_has_the_type_of_its_default(
    option: str, text: str, value: object
) -> None:
    component = Component("sink", "plain", PlainSink, "file", "test")
    given = component.build({option: text}).given[option]
    assert given == value and type(given) is type(value)
    with pytest.raises(UsageError, match="count=many: must be a whole number"):
        component.build({"count": "many"})


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("path", "a,b c.mp4", Path("a,b c.mp4")),
        ("path", "~/x", Path.home() / "x"),
        ("count", "7", 7),
        ("count", "none", None),
        ("rate", "2.5e-1", 0.25),
        ("on", "yes", True),
        ("on", "False", False),
        ("way", "slow", "slow"),
        ("level", "2", 2),
        ("names", "eyes+lips", ("eyes", "lips")),
        ("size", "640+480", (640, 480)),
        ("parts", "1+2", [1, 2]),
        ("either", "x", "x"),
        ("either", "3", 3),
        ("several", "1+2.5", (1.0, 2.5)),
    ],
)
def test_an_option_has_the_type_of_its_annotation(option: str, text: str, value: object) -> None:
    given = EVERY.build({option: text}).given[option]

    assert given == value and type(given) is type(value)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("count", "2.5", "count=2.5: must be a whole number"),
        ("rate", "nan", "rate=nan: must be a number"),
        ("rate", "inf", "rate=inf: must be a number"),
        ("on", "maybe", "on=maybe: must be yes or no"),
        ("way", "fsat", "way=fsat: did you mean fast"),
        ("size", "640", r"size=640: must be 2 values with \+ between them"),
        ("parts", "1+x", r"parts=1\+x: must be a whole number"),
        ("cuont", "1", "no option 'cuont': did you mean count"),
    ],
)
def test_a_value_that_cannot_be_is_told(option: str, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"sink every: {message}"):
        EVERY.build({option: text})


def test_values_of_the_caller_need_no_text() -> None:
    built = EVERY.build({"rate": "2"}, count=3, on=None)

    assert (built.given["rate"], built.given["count"], built.given["on"]) == (2.0, 3, False)


def test_an_option_without_default_is_needed() -> None:
    with pytest.raises(UsageError, match="sink mp4: needs the option path=…"):
        Registry().build("sink", "mp4")


def test_a_bare_rest_is_the_path(tmp_path: Path) -> None:
    registry = Registry()

    assert registry.build("sink", f"mp4:{tmp_path}/a,b.mp4,crf=20").path == tmp_path / "a,b.mp4"
    with pytest.raises(UsageError, match="the path is given twice"):
        registry.build("sink", "mp4:a.mp4,path=b.mp4")
    with pytest.raises(UsageError, match="options are written mtcnn:option=value"):
        registry.build("detector", "mtcnn:fast")


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("mtcnn", ("mtcnn", "", {})),
        ("mtcnn:score=0.5", ("mtcnn", "", {"score": "0.5"})),
        (
            "x:/a/b,c.mp4,crf=3,view=blur:eyes",
            ("x", "/a/b,c.mp4", {"crf": "3", "view": "blur:eyes"}),
        ),
        ("x:path=a,b,c=d", ("x", "", {"path": "a,b", "c": "d"})),
        ("x:", ("x", "", {})),
    ],
)
def test_specs_are_split(spec: str, parts: object) -> None:
    assert split_spec(spec) == parts


def test_an_option_twice_is_told() -> None:
    with pytest.raises(UsageError, match="option 'a' is given twice"):
        split_spec("x:a=1,a=2")


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("a", ["a"]),
        ("a+b", ["a", "b"]),
        ("a:x=1+b:y=2,z=3+a", ["a:x=1", "b:y=2,z=3", "a"]),
        ("a:x=1+2+b", ["a:x=1+2", "b"]),
        ("a:x=b2+bc", ["a:x=b2+bc"]),
        ("no+b", ["no", "b"]),
    ],
)
def test_chains_are_split_at_names(spec: str, parts: list[str]) -> None:
    assert split_chain(spec, ["a", "b"]) == parts


def test_options_are_described() -> None:
    described = [option.describe() for option in EVERY.options().values()]

    assert described[1:3] == ["count: int | None = None", "rate: float = 1.0"]
    assert Option("path", Path).describe() == "path: Path"
