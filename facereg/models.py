"""Find models and their cards, and verify their checksums.

A model is ``NAME.safetensors`` beside its card ``NAME.json``, which may list files of the same
network for ONNX Runtime. Models lie in ``models/`` of a checkout, or in ``share/facereg/models`` of
an installation. This module reads no weights, so it needs neither torch nor safetensors.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import site
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import ModelError, SourceError, UsageError, nearest

#: Environment variable: the user's folders of models, separated as in PATH; they come first.
ENVIRONMENT = "FACEREG_MODELS"

#: Largest side of a crop in pixels.
MAX_CROP_SIZE = 2048

_REQUIRED = (
    "architecture",
    "config",
    "classes",
    "input_size",
    "mean",
    "std",
    "crop_scale",
    "sha256",
)


@dataclass(frozen=True)
class Model:
    """A weight file and its card.

    Attributes:
        name: what users call it.
        path: the ``.safetensors`` file.
        card: the content of ``NAME.json``.
    """

    name: str
    path: Path
    card: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Checksum of the weight file according to the card."""
        return str(self.card["sha256"])

    @property
    def state(self) -> Literal["ok", "missing", "damaged"]:
        """Whether the weight file is there and has the card's checksum."""
        if not self.path.is_file():
            return "missing"
        return "ok" if sha256_of(self.path) == self.sha256 else "damaged"

    def verify(self, path: Path | None = None) -> Path:
        """Return the weight file, or another file that the card lists, if its checksum is right.

        Args:
            path: a file from `file`; None is the weight file.

        Raises:
            ModelError: it is missing or damaged.
        """
        path = path or self.path
        promised = self.sha256 if path == self.path else self.card["files"][path.name]
        if not path.is_file():
            raise ModelError(f"{path}: the model file is missing; install facereg again")
        if sha256_of(path) != promised:
            raise ModelError(
                f"{path}: damaged: its SHA-256 is not the one in {self.name}.json; "
                "install facereg again, or pass weights=FILE for a model of your own"
            )
        return path

    def file(self, suffix: str) -> Path | None:
        """Return another file of this model that the card lists, by its ending, or None."""
        for name in map(str, self.card.get("files", {})):
            if name.endswith(suffix):
                return self.path.parent / name
        return None


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def folders() -> list[Path]:
    """List the folders that are searched for models, in order."""
    named = [Path(p) for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p]
    checkout = Path(__file__).resolve().parent.parent / "models"
    share = Path("share") / "facereg" / "models"
    installed = [Path(sysconfig.get_path("data")) / share, Path(site.getuserbase()) / share]
    return [*named, checkout, *installed]


def find_models() -> list[Model]:
    """List every model that has a card, by name; the first folder that has a name wins."""
    found: dict[str, Model] = {}
    for card in _cards():
        found.setdefault(card.stem, Model(card.stem, card.with_suffix(".safetensors"), _read(card)))
    return [found[name] for name in sorted(found)]


def _cards() -> Iterator[Path]:
    for folder in folders():
        yield from sorted(folder.glob("*.json"))


def find_model(name: str) -> Model:
    """Look a model up by name.

    Raises:
        UsageError: there is no model of that name.
        ModelError: no model is installed at all, or its card cannot be read.
    """
    for card in _cards():
        if card.stem == name:
            return Model(name, card.with_suffix(".safetensors"), _read(card))
    known = [card.stem for card in _cards()]
    if not known:
        looked = ", ".join(map(str, folders()))
        raise ModelError(f"no model is installed (looked in {looked}); install facereg again")
    raise UsageError(f"unknown model {name!r}: {nearest(name, known)}")


def load_card(weights: Path) -> Model:
    """Read the card beside the user's own weight file.

    Raises:
        ModelError: the card is missing, lacks something or holds a wrong value.
    """
    card = weights.with_suffix(".json")
    if not card.is_file():
        raise ModelError(f"{weights}: its card {card.name} must lie beside it")
    return Model(weights.stem, weights, _read(card))


def _read(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise ModelError(f"{path}: not a model card: {e}") from e
    missing = [key for key in _REQUIRED if not isinstance(card, dict) or key not in card]
    if missing:
        raise ModelError(f"{path}: not a model card: it lacks {', '.join(missing)}")
    for key, (fits, wanted) in _RULES.items():
        if key in card and not fits(card[key]):
            raise ModelError(f"{path}: not a model card: {key} is {card[key]!r:.80}, not {wanted}")
    return dict(card)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _are_three_numbers(values: object) -> bool:
    return isinstance(values, list) and len(values) == 3 and all(map(_is_number, values))


def _is_crop_size(value: object) -> bool:
    return type(value) is int and 0 < value <= MAX_CROP_SIZE and value % 32 == 0


def _are_files(files: object) -> bool:
    return isinstance(files, dict) and all(Path(name).name == name for name in files)


#: Key of a card -> whether its value is right, and what is right.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "architecture": (lambda value: value == "pspnet", "'pspnet'"),
    "config": (lambda value: isinstance(value, dict), "a table"),
    "classes": (lambda value: isinstance(value, list), "a list of names"),
    "input_size": (_is_crop_size, f"a multiple of 32 up to {MAX_CROP_SIZE}"),
    "mean": (_are_three_numbers, "three numbers"),
    "std": (lambda value: _are_three_numbers(value) and 0 not in value, "three numbers but 0"),
    "crop_scale": (lambda value: _is_number(value) and value > 0, "a positive number"),
    "sha256": (lambda value: isinstance(value, str), "a checksum"),
    "files": (_are_files, "checksums by names of files in the same folder"),
}


#: The clip that comes with facereg, in a checkout or an installation.
EXAMPLE = Path("examples") / "astronaut.mp4"


def example() -> Path:
    """Find the clip that comes with facereg.

    Raises:
        SourceError: it is not installed.
    """
    checkout = Path(__file__).resolve().parents[1]
    for root in (checkout, Path(sysconfig.get_path("data")) / "share" / "facereg"):
        if (root / EXAMPLE).is_file():
            return root / EXAMPLE
    raise SourceError(f"{EXAMPLE} is not installed; name a SOURCE to measure with")
