"""The manifest says how a dump was made; a value that cannot be meant is named."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import pytest

from facereg.components import Run
from facereg.errors import SourceError
from facereg.masks.manifest import MANIFEST, Manifest, make_manifest, read_manifest
from tests.masks.dumps import RUN
from tests.sinks.results import info


def write(folder: Path, **values: object) -> None:
    manifest = make_manifest(info(), RUN, "ffv1", ("labels",))
    (folder / MANIFEST).write_text(json.dumps({**manifest.values, **values}))


def test_a_manifest_is_read_as_it_was_made(tmp_path: Path):
    made = make_manifest(info(rate="30000/1001"), RUN, "ffv1", ("labels", "instances"))
    (tmp_path / MANIFEST).write_bytes(made.completed(7, complete=True).encode())
    read = read_manifest(tmp_path)
    assert (read.format, read.kinds, read.size) == ("ffv1", ("labels", "instances"), (120, 160))
    assert (read.rate, read.complete) == (Fraction(30000, 1001), True)
    assert read.values["frames"] == 7


def test_what_made_the_results_may_be_any_mapping(tmp_path: Path):
    run = Run(MappingProxyType({"model": MappingProxyType({"name": "x", 1: {"a": 2}})}))
    values = json.loads(make_manifest(info(), run, "png", ("labels",)).encode())
    assert values["model"] == {"name": "x", "1": {"a": 2}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": ["png"]}, "its format is ['png']"),
        ({"rate": "1/0"}, "its rate is 1/0"),
        ({"rate": None}, "its rate is None"),
        ({"rate": "1e99"}, "its rate is 1e99"),
        ({"source": {"width": 10**12, "height": 10**12}}, "its source is {'width': 10000000"),
        ({"source": {"width": True, "height": 1}}, "its source is "),
        ({"source": None}, "its source is None"),
        ({"classes": [{"id": "1", "name": "skin"}]}, "its classes is "),
        ({"instances": "yes"}, "its instances is yes"),
        ({"complete": 1}, "its complete is 1"),
        ({"complete": True, "frames": "7"}, "its frames is 7"),
        ({"format_version": 2}, "format 2 is newer than this facereg, which reads 1"),
        ({"format_version": "1"}, "not a manifest of a mask dump"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named(
    tmp_path: Path, values: dict[str, object], message: str
):
    write(tmp_path, **values)
    with pytest.raises(SourceError) as caught:
        read_manifest(tmp_path)
    assert message in str(caught.value)


def test_a_manifest_of_gigabytes_is_not_read(tmp_path: Path):
    with (tmp_path / MANIFEST).open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(SourceError, match="larger than"):
        read_manifest(tmp_path)


def test_a_name_that_is_not_utf8_is_written(tmp_path: Path):
    text = Manifest({"name": "\udcff ä"}).encode()
    assert json.loads(text.decode()) == {"name": "\udcff ä"}
