"""Load plugins: import files, call the hooks of modules, and check what they register."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pluggy

from .. import hookspecs
from ..components import Detector, FindView, Segmenter, Sink, Source
from ..errors import FaceregError, PluginError, UsageError, nearest
from .docstrings import option_meanings
from .options import Option

Base = type[Source] | type[Detector] | type[Segmenter] | type[Sink]

#: Kind of component -> its base class and the hook that registers it.
KINDS: dict[str, tuple[Base | None, str]] = {
    "source": (Source, "register_sources"),
    "detector": (Detector, "register_detectors"),
    "segmenter": (Segmenter, "register_segmenters"),
    "sink": (Sink, "register_sinks"),
    "view": (None, "register_views"),
}

_HOOKS = tuple(hook for _, hook in KINDS.values())
_NAME = r"[a-z0-9][a-z0-9_-]*"
_NOTHING: Mapping[str, Any] = types.MappingProxyType({})

#: The options of every view: the ids of the faces that it is drawn for.
_FACES = {name: Option(name, tuple[int, ...] | None, None) for name in ("only", "except")}
_FACES_MEAN = {
    "only": "ids of the faces that the view is for, such as 1+3; all by default.",
    "except": "ids of the faces that it is not for.",
}


@dataclass(frozen=True)
class Component:
    """A registered class, or view function, and where it came from.

    Attributes:
        kind: source, detector, segmenter, sink or view.
        name: what users call it.
        cls: the class; a view's function.
        layer: built-in, package, folder or file.
        origin: the distribution and its version, or the file.
    """

    kind: str
    name: str
    cls: Any
    layer: str
    origin: str

    def options(self) -> dict[str, Option]:
        """List the options by name: the keyword-only parameters of the constructor or function.

        Every view has two more, ``only`` and ``except``.
        """
        own = {p.name: p for p in self._keywords() if p.type != FindView}
        return {**_FACES, **own} if self.kind == "view" else own

    def option_meanings(self) -> dict[str, str]:
        """Say what each documented option means, in a line."""
        own = option_meanings(self.cls)
        return {**_FACES_MEAN, **own} if self.kind == "view" else own

    def _keywords(self) -> list[Option]:
        function = self.cls if self.kind == "view" else self.cls.__init__
        keywords = [
            p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY
        ]
        if not keywords:
            return []
        annotated = function if inspect.isroutine(function) else type(function).__call__
        hints = typing.get_type_hints(annotated)
        return [
            Option(p.name, hints.get(p.name) or _type_of(p.default), p.default) for p in keywords
        ]

    def values(
        self, options: dict[str, str], given: Mapping[str, Any] = _NOTHING
    ) -> dict[str, Any]:
        """Turn the user's option texts into values, and add those of the caller.

        Raises:
            UsageError: an unknown or missing option, or a wrong value.
        """
        known = self.options()
        values: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        for key in values.keys() - known:
            raise UsageError(f"{self.kind} {self.name}: takes no {key!r}; leave it out")
        for key in options:
            if key not in known:
                hint = nearest(key, known) if known else "it has no options"
                raise UsageError(f"{self.kind} {self.name}: no option {key!r}: {hint}")
        for key, text in options.items():
            try:
                values[key] = known[key].parse(text)
            except ValueError as e:
                raise UsageError(f"{self.kind} {self.name}: {key}={text}: {e}") from None
        missing = [o.name for o in known.values() if o.required and o.name not in values]
        if missing:
            raise UsageError(f"{self.kind} {self.name}: needs the option {missing[0]}=…")
        return values

    def build(
        self,
        options: dict[str, str],
        *args: str,
        find_view: FindView | None = None,
        **given: Any,
    ) -> Any:
        """Make an instance from the user's option texts, and from values of the caller's.

        Args:
            options: what the user wrote, by name.
            *args: what the constructor takes by position.
            find_view: for a constructor that wants it.
            **given: values for options; None leaves an option at its default.

        Raises:
            UsageError: an unknown or missing option, or a wrong value.
            PluginError: the constructor failed.
        """
        values = self.values(options, given)
        if find_view is not None:
            values |= {p.name: find_view for p in self._keywords() if p.type == FindView}
        try:
            return self.cls(*args, **values)
        except FaceregError:
            raise
        except (Exception, SystemExit) as e:
            raise PluginError(
                f"{self.kind} {self.name} ({self.origin}): {type(e).__name__}: {e}"
            ) from e


def _type_of(default: Any) -> Any:
    """Return the type of an option without annotation: its default's."""
    return next((kind for kind in (bool, int, float, Path) if isinstance(default, kind)), str)


def import_file(path: Path) -> types.ModuleType:
    """Import a plugin file as a module of its own, in sys.modules before it runs.

    Raises:
        PluginError: there is no such file, or running it failed.
    """
    if not path.is_file():
        raise PluginError(f"plugin {path}: no such file")
    name = f"facereg_plugin_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    if getattr(sys.modules.get(name), "__file__", str(path)) != str(path):  # of another folder
        name += f"_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin {path}: not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as e:  # the user's file may raise anything
        del sys.modules[name]
        raise PluginError(f"plugin {path}: {type(e).__name__}: {_one_line(e)}") from e
    return module


def collect(module: object, layer: str, origin: str) -> list[Component]:
    """Call the hooks of one plugin, and check each component that it registers.

    Args:
        module: the plugin.
        layer: where it is from, one of `LAYERS`.
        origin: the distribution and its version, or the file.

    Raises:
        PluginError: it needs a newer facereg, has an unknown hook, registers nothing, or registers
            something that is no component.
    """
    _check_version(module, origin)
    manager = pluggy.PluginManager("facereg")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except pluggy.PluginValidationError as e:
        raise PluginError(f"{origin}: {_misnamed(module) or _one_line(e)}") from e
    found: list[Component] = []
    for kind, (base, hook) in KINDS.items():
        for answer in _answers(manager, hook, origin):
            if base is None:
                found += _views(answer, layer, origin)
            else:
                found += _classes(kind, base, answer, layer, origin)
    if not found:
        raise PluginError(
            f"{origin}: registers nothing; it needs a function marked @facereg.hookimpl and named "
            f"{', '.join(_HOOKS)}"
        )
    return found


def _check_version(module: object, origin: str) -> None:
    version = getattr(module, "api_version", hookspecs.API_VERSION)
    if not isinstance(version, int):
        raise PluginError(f"{origin}: api_version is {version!r}; it must be a whole number")
    if version > hookspecs.API_VERSION:
        raise PluginError(
            f"{origin}: made for plugin API {version}, and this facereg has "
            f"{hookspecs.API_VERSION}: upgrade facereg"
        )


def _misnamed(module: object) -> str:
    """Name a marked function that is no hook, and the nearest hook; empty if there is none."""
    for name in dir(module):
        if name not in _HOOKS and hasattr(getattr(module, name), "facereg_impl"):
            return f"there is no hook {name!r}: {nearest(name, _HOOKS, 1)}"
    return ""


def _answers(manager: pluggy.PluginManager, hook: str, origin: str) -> Iterable[object]:
    try:
        return typing.cast(Iterable[object], getattr(manager.hook, hook)())
    except FaceregError:
        raise
    except Exception as e:  # a plugin's hook may raise anything
        raise PluginError(f"{origin}: {hook}(): {type(e).__name__}: {_one_line(e)}") from e


def _classes(kind: str, base: Base, answer: object, layer: str, origin: str) -> list[Component]:
    if not isinstance(answer, Iterable):
        raise PluginError(f"{origin}: register_{kind}s() must return a list of classes: [{kind}]")
    return [_component(kind, base, cls, layer, origin) for cls in answer]


def _component(kind: str, base: Base, cls: Any, layer: str, origin: str) -> Component:
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise PluginError(f"{origin}: {cls!r} is not a subclass of facereg.{base.__name__}")
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise PluginError(
            f"{origin}: {cls.__name__}.name is {name!r}; it must be a word of a-z, 0-9, _ and -"
        )
    if inspect.isabstract(cls):
        lacking = ", ".join(sorted(cls.__abstractmethods__))
        raise PluginError(f"{origin}: {cls.__name__} does not define {lacking}")
    component = Component(kind, name, cls, layer, origin)
    _check_constructor(component)
    return component


def _check_constructor(component: Component) -> None:
    """Refuse a constructor with options that users cannot give."""
    cls, origin = component.cls, component.origin
    _check_options(component, f"{cls.__name__}.__init__")
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    extra = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if component.kind == "source":
        if cls.__init__ is object.__init__ or not extra:
            raise PluginError(f"{origin}: {cls.__name__}.__init__ must take spec, as (self, spec)")
        extra = extra[1:]
    if extra:
        raise PluginError(
            f"{origin}: {cls.__name__}.__init__ takes {extra[0]!r} by position; options are "
            f"keyword-only: write a * before it"
        )


def _check_options(component: Component, who: str) -> None:
    try:
        component.options()
    except Exception as e:  # evaluating a plugin's annotation may raise anything
        raise PluginError(
            f"{component.origin}: {who} has an annotation that cannot be resolved: {e}"
        ) from e


def _views(answer: object, layer: str, origin: str) -> list[Component]:
    if not isinstance(answer, Mapping):
        raise PluginError(f"{origin}: register_views() must return a dict of names and functions")
    found = []
    for name, function in answer.items():
        if not isinstance(name, str) or not re.fullmatch(_NAME, name):
            raise PluginError(
                f"{origin}: a view is named {name!r}; it must be a word of a-z, 0-9, _ and -"
            )
        if not callable(function):
            raise PluginError(f"{origin}: view {name}: {function!r} is not a function")
        takes_regions(function, f"{origin}: view {name}")
        component = Component("view", name, function, layer, origin)
        _check_options(component, f"view {name}")
        found.append(component)
    return found


def takes_regions(function: Callable[..., Any], who: str) -> bool:
    """Return whether a view takes two arguments, result and class ids, or the result alone.

    Raises:
        PluginError: it takes neither one argument nor two.
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind in kinds]
    if len(needed) not in (1, 2):
        raise PluginError(f"{who} must take the result, or the result and class ids")
    return len(needed) == 2


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
