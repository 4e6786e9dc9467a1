"""Find a shipped model and its card, and verify its checksum.

A model is ``NAME.safetensors`` beside its card ``NAME.json``; ``NAME.onnx`` is the same network for
ONNX Runtime. Models lie in ``models/`` of a checkout, or in ``share/facereg/models`` of an
installation.
"""

from __future__ import annotations

import hashlib
import json
import os
import site
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import ModelError, SourceError, UsageError, nearest

#: Folders that a user adds, separated as in PATH; looked in first.
ENVIRONMENT = "FACEREG_MODELS"

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
    """A weight file and what its card says of it.

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
        """Checksum that the card promises for the weight file."""
        return str(self.card["sha256"])

    @property
    def state(self) -> Literal["ok", "missing", "damaged"]:
        """Whether the weight file is there and is what the card says."""
        if not self.path.is_file():
            return "missing"
        return "ok" if sha256_of(self.path) == self.sha256 else "damaged"

    def verify(self, path: Path | None = None) -> Path:
        """Return the weight file, or another file that the card lists, if its checksum is right.

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
        """Name another file of this model that the card lists, by its ending, or None."""
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
    """List the folders that models may lie in, first the ones that win."""
    named = [Path(p) for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p]
    checkout = Path(__file__).resolve().parent.parent / "models"
    share = Path("share") / "facereg" / "models"
    installed = [Path(sysconfig.get_path("data")) / share, Path(site.getuserbase()) / share]
    return [*named, checkout, *installed]


def find_models() -> list[Model]:
    """List every model that has a card, by name; of equal names the first folder's wins."""
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
        UsageError: there is none of that name.
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
    """Read the card that lies beside a weight file of the user's own.

    Raises:
        ModelError: the card is missing or lacks something.
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
    return dict(card)


#: The clip that comes with facereg, below a checkout or an installation.
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
