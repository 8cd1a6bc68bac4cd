"""Frozen dataclasses from plain data (YAML, command line); every error names its key."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from nas.core.errors import InputError
from nas.core.formatting import format_value
from nas.core.registry import nearest

Settings = TypeVar("Settings")

_MAX_INTEGER = 2**63
_TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string", type(None): "null"}


def build(kind: type[Settings], data: Mapping[str, Any], prefix: str = "") -> Settings:
    """Return an instance of the dataclass ``kind`` from ``data``; nested dataclasses come from nested mappings.

    Raises :class:`InputError` for an unknown key (with the nearest known ones), a missing key, and a value of another
    type: ``epochs=ten: must be a whole number``. Whole numbers become floats as needed; nothing else is converted.
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for key in data:
        if key not in fields:
            raise InputError(f"unknown key {prefix}{key}: {nearest(str(key), fields)}")
    for name, field in fields.items():
        if name not in data and field.default is field.default_factory is dataclasses.MISSING:
            raise InputError(f"{prefix}{name} is missing")
    values = {key: _convert(hints[key], value, f"{prefix}{key}") for key, value in data.items()}
    return kind(**values)


def dotted_keys(kind: type[Any]) -> list[str]:
    """Return the keys of a dataclass and of those nested in it: ``epochs``, ``weights.lr``, …"""
    keys = []
    for name, hint in typing.get_type_hints(kind).items():
        keys.append(name)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            keys += [f"{name}.{inner}" for inner in dotted_keys(hint)]
    return keys


def _convert(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise InputError(f"{key}={value}: is a group of settings; allowed: {key}.<name>=<value>")
        return build(typing.cast("type[Any]", hint), value, f"{key}.")
    if typing.get_origin(hint) is Mapping:  # checked by whoever knows its keys
        if not isinstance(value, Mapping):
            raise InputError(f"{key}={value}: is a group of settings; allowed: {key}.<name>=<value>")
        return {str(name): dict(item) if isinstance(item, Mapping) else item for name, item in value.items()}
    parts = [part for part in typing.get_args(hint) if typing.get_origin(part) is tuple]
    if parts and value is None:  # a list or null
        return None
    if parts or typing.get_origin(hint) is tuple:
        hint = parts[0] if parts else hint
        if not isinstance(value, list | tuple):
            raise InputError(f"{key}={value}: must be a list, [a,b]")
        return tuple(_convert(typing.get_args(hint)[0], item, key) for item in value)
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(value) is int and abs(value) >= _MAX_INTEGER:
        raise InputError(f"{key}={format_value(value)}: must be below 2**63")
    if type(value) in allowed:
        return value
    if float in allowed and type(value) is int:
        return float(value)
    given = "null" if value is None else value
    raise InputError(f"{key}={given}: must be {' or '.join(_TYPES[kind] for kind in allowed)}")
