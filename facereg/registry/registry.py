"""Find, list and build components by name.

Built-ins are named here by dotted strings and registered through the same hooks as plugins, so that
importing this module imports none of them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import os
import re
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..components import Source, View
from ..errors import FaceregError, PluginError, UsageError, hide_secrets, nearest
from .drawing import Drawing, drawing
from .loading import KINDS, Component, collect, import_file
from .options import Option, split_chain, split_spec

__all__ = ["KINDS", "LAYERS", "Component", "Failure", "Option", "Registry", "split_spec"]

log = logging.getLogger(__name__)

ENTRY_POINTS = "facereg"

#: Environment variables: folders of plugin files, and names of plugins that are not loaded.
FOLDERS, DISABLED = "FACEREG_PLUGINS", "FACEREG_DISABLE_PLUGINS"

BUILTINS = (
    "facereg.sources.file",
    "facereg.sources.images",
    "facereg.sources.rtsp",
    "facereg.sources.webcam",
    "facereg.plugins.mtcnn",
    "facereg.plugins.haar",
    "facereg.plugins.yunet",
    "facereg.plugins.centerface",
    "facereg.plugins.deepface",
    "facereg.plugins.pspnet.segmenter",
    "facereg.plugins.replay",
    "facereg.views",
    "facereg.sinks.people",
    "facereg.sinks.mp4",
    "facereg.sinks.masks",
    "facereg.sinks.images",
    "facereg.sinks.stats",
    "facereg.sinks.window",
)

#: The detector that runs several others and merges what they find; built for ``NAME+NAME``.
CHAIN = "facereg.plugins.chain"

#: Where a component may come from; a later layer overrides an earlier one.
LAYERS = ("built-in", "package", "folder", "file")


@dataclass(frozen=True)
class Failure:
    """A plugin that is not loaded.

    Attributes:
        origin: the distribution and its version, or the file.
        reason: why, in a line.
        disabled: whether the user disabled it.
    """

    origin: str
    reason: str
    disabled: bool = False


class Registry:
    """Every component that can be named. Registries are independent of one another.

    Attributes:
        failures: plugins that were skipped, and why.

    >>> Registry().build("detector", "mtcnn:min_face=80").name
    'mtcnn'
    """

    def __init__(self, files: Iterable[str | Path] = ()) -> None:
        """Load the built-ins, the installed packages, the user's folders and the given files.

        ``FACEREG_PLUGINS`` lists folders, as ``PATH`` does; every ``*.py`` in them is a plugin.
        ``FACEREG_DISABLE_PLUGINS`` lists names that are not loaded, separated by commas: of a
        distribution, an entry point, a file, or the module of a built-in.

        Raises:
            PluginError: one of the given files is broken, or two of them use the same name.
        """
        self.failures: list[Failure] = []
        self._found: dict[tuple[str, str], Component] = {}
        self._views: dict[str, Drawing] = {}
        self._disabled = _Disabled(os.environ.get(DISABLED, ""))
        for name in BUILTINS:
            if not self._refuses("facereg", name.rpartition(".")[2]):
                self._add(functools.partial(importlib.import_module, name), "built-in", "facereg")
        self._load_packages()
        self._load_folders()
        for file in files:
            self._add(functools.partial(import_file, Path(file)), "file", str(file))
        self._disabled.warn_of_unknown()

    def _load_packages(self) -> None:
        """Load each installed entry point on its own, so that a broken one affects no other."""
        for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
            name = entry.dist.name if entry.dist else entry.value
            origin = f"{name} {entry.dist.version}" if entry.dist else name
            if not self._refuses(origin, name, entry.name):
                self._try(entry.load, "package", origin)

    def _load_folders(self) -> None:
        """Load every Python file of the folders in ``FACEREG_PLUGINS``."""
        for folder in filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)):
            try:
                path = Path(folder).expanduser()
                files = sorted(p for p in path.iterdir() if p.suffix == ".py" and p.name[0] != "_")
            except (OSError, RuntimeError) as e:  # RuntimeError: ~name of an unknown user
                reason = e.strerror if isinstance(e, OSError) else e
                self._skip(folder, f"cannot be read as a folder of plugins: {reason} ({FOLDERS})")
                continue
            for file in files:
                if not self._refuses(str(file), file.stem):
                    self._try(functools.partial(import_file, file), "folder", str(file))

    def _refuses(self, origin: str, *names: str) -> bool:
        if not self._disabled.has(names):
            return False
        self.failures.append(Failure(origin, f"{names[-1]} is in {DISABLED}", disabled=True))
        return True

    def _try(self, load: Callable[[], object], layer: str, origin: str) -> None:
        try:
            self._add(load, layer, origin)
        except PluginError as e:
            self._skip(origin, str(e))
        except (Exception, SystemExit) as e:  # a plugin's module may raise anything
            self._skip(origin, f"{type(e).__name__}: {e}")

    def _skip(self, origin: str, reason: str) -> None:
        reason = " ".join(reason.split()).removeprefix(f"{origin}: ")
        self.failures.append(Failure(origin, reason.removeprefix(f"plugin {origin}: ")))
        log.warning("plugin %s is not loaded: %s", origin, self.failures[-1].reason)

    def _add(self, load: Callable[[], object], layer: str, origin: str) -> None:
        """Load one plugin, and register all of its components or none."""
        found: dict[tuple[str, str], Component] = {}
        for component in collect(load(), layer, origin):
            key = component.kind, component.name
            self._check_duplicate(component, found.get(key) or self._found.get(key))
            found[key] = component
        self._found.update(found)

    def _check_duplicate(self, new: Component, old: Component | None) -> None:
        if old is None:
            return
        if old.layer == new.layer:
            raise PluginError(
                f"two {new.kind}s are named {new.name}: from {old.origin} and from {new.origin}"
            )
        log.info("%s %s from %s replaces the %s one", new.kind, new.name, new.origin, old.layer)

    def components(self, kind: str | None = None) -> list[Component]:
        """List all components, or those of one kind, by kind and name."""
        found = [c for c in self._found.values() if kind in (None, c.kind)]
        return sorted(found, key=lambda c: (list(KINDS).index(c.kind), c.name))

    def find(self, kind: str, name: str) -> Component:
        """Look a component up.

        Raises:
            UsageError: there is none; the message names the nearest ones.
        """
        try:
            return self._found[kind, name]
        except KeyError:
            known = [c.name for c in self.components(kind)]
            raise UsageError(f"unknown {kind} {name!r}: {nearest(name, known)}") from None

    def build(self, kind: str, spec: str, **given: Any) -> Any:
        """Build a detector, segmenter or sink from ``name:option=value,…``.

        ``name:rest`` gives ``rest`` to the option ``path`` if there is one. Detectors may be
        chained as ``name+name``, each with its own options.

        Args:
            kind: detector, segmenter or sink.
            spec: what the user wrote.
            **given: values for options; None leaves an option at its default.

        Raises:
            UsageError: an unknown name or option, or a wrong value.
            PluginError: a constructor failed.
        """
        parts = self._parts(kind, spec)
        if len(parts) == 1:
            return self._build(kind, spec, given)
        built: list[Any] = []
        try:
            built += (self._build(kind, part, given) for part in parts)
        except BaseException:
            for detector in built:
                detector.close()
            raise
        return importlib.import_module(CHAIN).ChainDetector(built)

    def check(self, kind: str, spec: str) -> None:
        """Check what `build` would be given, without building anything.

        Raises:
            UsageError: an unknown name or option, or a wrong value.
        """
        for part in self._parts(kind, spec):
            component, options = self._read(kind, part)
            component.values(options)

    def _parts(self, kind: str, spec: str) -> list[str]:
        """Split a chain of detectors."""
        names = [c.name for c in self.components(kind)]
        return split_chain(spec, names) if kind == "detector" else [spec]

    def _build(self, kind: str, spec: str, given: dict[str, Any]) -> Any:
        component, options = self._read(kind, spec)
        return component.build(options, find_view=self.view, **given)

    def _read(self, kind: str, spec: str) -> tuple[Component, dict[str, str]]:
        name, rest, options = split_spec(spec)
        component = self.find(kind, name)
        if rest:
            if "path" not in component.options():
                raise UsageError(f"{kind} {spec!r}: options are written {name}:option=value,…")
            if "path" in options:
                raise UsageError(f"{kind} {spec!r}: the path is given twice")
            options["path"] = rest
        return component, options

    def view(self, spec: str) -> View:
        """Find the view that ``NAME:REGION+REGION,option=value`` means.

        Returns:
            A function from a `facereg.FrameResult` to a new (h, w, 3) uint8 BGR picture.

        Raises:
            UsageError: an unknown view, region or option, or regions for a view that takes none.

        >>> draw = Registry().view("blur:face,margin=0.2")
        """
        if spec not in self._views:
            name, regions, options = split_spec(spec)
            self._views[spec] = drawing(self.find("view", name), regions, options)
        return self._views[spec]

    @property
    def hides_faces(self) -> bool:
        """Whether a view that hides faces has been asked for."""
        return any(view.hides for view in self._views.values())

    @property
    def draws_soft_edges(self) -> bool:
        """Whether a view that needs probabilities has been asked for."""
        return any(view.is_soft for view in self._views.values())

    def absent_faces(self) -> dict[str, tuple[int, ...]]:
        """List the views that name faces which no result had: the view -> the ids."""
        used = {spec: view.absent for spec, view in self._views.items()}
        return {spec: absent for spec, absent in used.items() if absent}

    def open_source(self, spec: str, **given: Any) -> Source:
        """Open the source that a spec names.

        ``NAME:rest,option=value`` is the source of that name. Anything else goes to the first
        source that matches it, plugins' before built-ins.

        Raises:
            UsageError: no source matches.
        """
        component, place, options = self._find_source(spec)
        return typing.cast(Source, component.build(options, place, **given))

    def check_source(self, spec: str) -> None:
        """Check that some source is meant, without opening it.

        Raises:
            UsageError: none matches, an unknown option, or a wrong value.
        """
        component, _, options = self._find_source(spec)
        component.values(options)

    def _find_source(self, spec: str) -> tuple[Component, str, dict[str, str]]:
        """Return the source that a spec names, the place that it reads, and its options."""
        name, colon, rest = spec.partition(":")
        if colon and not rest.startswith("//") and ("source", name) in self._found:
            _, place, options = split_spec(spec)
            return self.find("source", name), place, options
        sources = sorted(self.components("source"), key=lambda c: -LAYERS.index(c.layer))
        for component in sources:
            if _matches(component, spec):
                return component, spec, {}
        raise UsageError(
            f"{hide_secrets(spec)}: neither an existing file or folder, nor a camera, a URL or "
            f"NAME:… of a source ({', '.join(c.name for c in self.components('source'))})"
        )


class _Disabled:
    """The names that the user disabled, and which of them were found."""

    def __init__(self, text: str) -> None:
        self._names = {_normal(name): name.strip() for name in text.split(",") if name.strip()}
        self._met: set[str] = set()

    def has(self, names: Iterable[str]) -> bool:
        hit = self._names.keys() & {_normal(name) for name in names}
        self._met |= hit
        return bool(hit)

    def warn_of_unknown(self) -> None:
        for name in self._names.keys() - self._met:
            log.warning("%s: there is no plugin %r", DISABLED, self._names[name])


def _normal(name: str) -> str:
    """Normalise a name as package indexes do."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _matches(component: Component, spec: str) -> bool:
    try:
        return bool(component.cls.matches(spec))
    except FaceregError:
        raise
    except Exception as e:
        raise PluginError(
            f"source {component.name} ({component.origin}): matches(): {type(e).__name__}: {e}"
        ) from e
