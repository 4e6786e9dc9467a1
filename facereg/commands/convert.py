"""``facereg convert``: mask dumps to other tools' formats, and their masks to a dataset."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import output
from ..errors import FaceregError, SinkError, SourceError, UsageError
from ..formats import dataset
from ..formats.labelled import NOBODY, Category, Picture
from ..masks.dump import MaskDump
from ..regions import COLORS

log = logging.getLogger(__name__)

#: The formats; each is a module of `facereg.formats`.
FORMATS = ("coco", "cvat", "voc", "datumaro", "davis", "mots", "labelstudio")

#: Those that hold no regions, only people: they cannot be read.
ONE_WAY = ("mots",)


def run(args: argparse.Namespace) -> int:
    """Convert. Returns the exit code."""
    if (args.to is None) == (args.source_format is None):
        raise UsageError("facereg convert: say --to FORMAT or --from FORMAT")
    if args.to is not None and (args.map or args.images):
        raise UsageError("--map and --images belong to --from")
    with _new_folder(Path(args.out)) as folder:
        if args.to is not None:
            count = _export(Path(args.source), folder, args.to)
        else:
            count = _import(args, folder)
    log.info("%s: %d pictures", args.out, count)
    return 0


@contextlib.contextmanager
def _new_folder(path: Path) -> Iterator[Path]:
    """Make a folder that gets its name when all is in it.

    Raises:
        SinkError: the name is taken, or something cannot be written.
    """
    output.check_parent(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise SinkError(f"{path} exists; name a new folder")
    part = path.with_name(output.temporary_name(path.name, word="part"))
    try:
        part.mkdir()
        yield part
        if path.exists():
            path.rmdir()
        output.move_into_place(part, path, overwrite=False)
    except OSError as e:
        raise SinkError(f"{path}: {e.strerror or e}") from e
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _export(source: Path, folder: Path, kind: str) -> int:
    counter = itertools.count()
    with MaskDump(source) as dump:
        categories = _categories(dump)
        found = _pictures(dump, needs_people=kind in ONE_WAY)
        pictures = (picture for picture, _ in zip(found, counter, strict=False))
        importlib.import_module(f"facereg.formats.{kind}").write(folder, pictures, categories)
    return next(counter) - 1


def _categories(dump: MaskDump) -> list[Category]:
    """Return the classes of a dump but its background, each with a colour."""
    found = []
    for known in dump.manifest["classes"]:
        number = int(known["id"])
        color = COLORS[number] if number < len(COLORS) else _color(number)
        if number:
            found.append(Category(number, str(known["name"]), color))
    return found


def _color(number: int) -> tuple[int, int, int]:
    return (number * 67 % 256, number * 149 % 256, number * 211 % 256)


def _pictures(dump: MaskDump, *, needs_people: bool) -> Iterator[Picture]:
    taken: set[str] = set()
    knows = needs_people or bool(dump.manifest.get("instances"))
    for line in dump.frames:
        index, faces = line["index"], line["faces"]
        name = Path(line["name"]).stem if "name" in line else f"{index:06d}"
        name = name if name not in taken else f"{name}_{index:06d}"
        taken.add(name)
        labels, people = dump[index], None
        if knows:
            people = dump.instances(index)
        elif len(faces) == 1:
            people = np.where(labels > 0, faces[0]["id"], NOBODY).astype(np.int32)
        yield Picture(index, name, labels, people)


def _import(args: argparse.Namespace, folder: Path) -> int:
    source, kind = Path(args.source), args.source_format
    if kind in ONE_WAY:
        raise UsageError(f"--from {kind}: it holds people and no regions, so nobody can learn them")
    if not source.exists():
        raise SourceError(f"{source}: No such file or directory")
    try:
        names, pictures = importlib.import_module(f"facereg.formats.{kind}").read(source)
        table = dataset.class_table(names, dict(args.map or ()))
        if args.images:
            pictures = _with_images(pictures, Path(args.images))
        count = dataset.write(folder, pictures, table)
    except FaceregError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, SyntaxError, AttributeError) as e:
        reason = " ".join(str(e).split())[:200]
        raise SourceError(f"{source}: not as {kind} writes it: {reason}") from e
    if not count:
        raise SourceError(f"{source}: contains no masks")
    return count


def _with_images(pictures: Iterator[Picture], folder: Path) -> Iterator[Picture]:
    """Find pictures in a folder by the names that they have without ending."""
    by_name: dict[str, Any] = {path.stem: path for path in sorted(folder.rglob("*.*"))}
    for picture in pictures:
        yield replace(picture, image=by_name.get(picture.name, picture.image))
