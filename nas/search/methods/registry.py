"""The registry of search methods: a method is one file with a registered function from its settings to a Method."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import Registry, nearest
from nas.core.source_files import user_file
from nas.search.method import Method, compose_methods

MethodFactory = Callable[[Any], Method]


@dataclass(frozen=True)
class NoSettings:
    """The settings of a method that has none."""


@dataclass(frozen=True)
class MethodEntry:
    """A registered method: the dataclass of its own settings, and the search settings that it changes."""

    name: str
    build: MethodFactory
    settings: type[Any]
    changes: Mapping[str, object]
    paper: str
    error: str
    when: str


methods: Registry[MethodEntry] = Registry("method")


def register_method(
    name: str,
    *,
    settings: type[Any] = NoSettings,
    changes: Mapping[str, object] | None = None,
    paper: str = "",
    error: str = "",
    when: str = "",
) -> Callable[[MethodFactory], MethodFactory]:
    """Register the decorated function ``(settings) -> Method`` as the search method ``name``.

    ``settings`` is a frozen dataclass with defaults, the keys of ``methods.<name>``. ``changes`` are search settings by
    their dotted names, such as ``{"alphas.lr": 6e-4}``: they win over a preset, and what the user sets wins over them.
    ``paper`` is the source as listings show it, ``error`` the test error in percent that it reports for cells of the
    DARTS space on CIFAR-10, ``when`` a line on when to take the method. Raises :class:`InputError` for a name that is
    taken, and for settings that are not a dataclass of which every field has a default.
    """
    whole = dataclasses.is_dataclass(settings) and all(
        f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
        for f in dataclasses.fields(settings)
    )
    if not whole:
        raise InputError(f"method {name!r}: settings must be a dataclass of which every field has a default")

    def register(build: MethodFactory) -> MethodFactory:
        methods.register(name, MethodEntry(name, build, settings, changes or {}, paper, error, when))
        return build

    return register


def list_methods() -> list[str]:
    """Return the names of all registered search methods, in order of registration."""
    return list(methods)


def method_names(spec: str) -> list[str]:
    """Return the names in ``spec``, such as ``pc_darts+sdarts_rs``; raise :class:`InputError` for a malformed one."""
    names = [name.strip() for name in spec.split("+")] if isinstance(spec, str) else [""]
    if not all(names):
        raise InputError(
            f"method={format_value(spec)}: a name is missing; allowed: {', '.join(methods)}, composed with +"
        )
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"method={spec}: {name} is named twice")
        if name not in methods:
            raise InputError(f"method={format_value(spec)}: unknown method {name!r}: {nearest(name, methods)}")
    return names


def method_files(spec: str) -> list[Path]:
    """Return the files that define those methods of ``spec`` that do not ship with this package."""
    return [file for name in method_names(spec) if (file := user_file(methods[name].build)) is not None]


def method_settings(spec: str, typed: Collection[str] = ()) -> dict[str, object]:
    """Return the search settings that the methods of ``spec`` change, by dotted name, without those ``typed`` by users.

    Raises :class:`InputError` if two methods want different values.
    """
    wanted: dict[str, tuple[object, str]] = {}
    for name in method_names(spec):
        for key, value in methods[name].changes.items():
            if key in typed:
                continue
            first, by = wanted.setdefault(key, (value, name))
            if first != value:
                raise InputError(f"method={spec}: {by} sets {key}={first}, {name} {value}; give {key}=<value>")
    return {key: value for key, (value, _) in wanted.items()}


def build_method(spec: str, own: Mapping[str, Mapping[str, Any]] | None = None) -> Method:
    """Return the method ``spec``: names of registered methods, composed with ``+``.

    ``own`` maps names to the settings of these methods that differ from their defaults. Raises :class:`InputError` for
    unknown names and settings, and for methods that contradict each other.
    """
    names, own = method_names(spec), own or {}
    for name in own:
        if name not in methods:
            raise InputError(f"methods.{name}: unknown method; {nearest(name, methods)}")
    built = [
        replace(methods[name].build(_own_settings(methods[name], own.get(name, {}))), name=name)
        for name in names
        if name != "darts" or len(names) == 1
    ]
    return compose_methods(built)


def _own_settings(entry: MethodEntry, given: Mapping[str, Any]) -> Any:
    """Return the settings of a method; numbers become floats where the default is one, nothing else is converted."""
    known = {f.name: f for f in dataclasses.fields(entry.settings)}
    if not isinstance(given, Mapping):
        raise InputError(f"methods.{entry.name}={format_value(given)}: allowed: methods.{entry.name}.<setting>=<value>")
    defaults, values = entry.settings(), {}
    for key, value in given.items():
        where = f"methods.{entry.name}.{key}"
        if key not in known:
            raise InputError(f"{where}: unknown setting; {nearest(key, known)}")
        default = getattr(defaults, key)
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        if default is not None and type(value) is not type(default):
            raise InputError(f"{where}={format_value(value)}: must be of the kind of {format_value(default)}")
        values[key] = value
    return entry.settings(**values)
