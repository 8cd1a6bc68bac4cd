"""Renamed names and settings: the old ones keep working, and say what they are called now.

A module whose public name was renamed:

    __getattr__ = renamed_attributes(__name__, {"blueprint": "network_spec"})

A mapping of settings, from the command line or a stored ``config.yaml``:

    settings = rename_settings(settings, {"weights.momentum": "weight_optimizer.momentum"})
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from nas.core.errors import InputError
from nas.core.terminal import print_lines

# Settings of search.py and retrain.py that were renamed: old dotted key (a setting or a group) -> new one.
RENAMED_SETTINGS: dict[str, str] = {}

_warned: set[tuple[str, str]] = set()


def renamed_attributes(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` (PEP 562) that resolves the old ``names`` of ``module`` with a FutureWarning, once each.

    ``names`` maps each old name to the new one in the same module, or to ``other.module:name``.
    """

    def get_attribute(old: str) -> Any:
        if old not in names:
            raise AttributeError(f"module {module!r} has no attribute {old!r}")
        place, _, new = names[old].rpartition(":")
        if (module, old) not in _warned:
            _warned.add((module, old))
            warnings.warn(f"{module}.{old} is now {place or module}.{new}", FutureWarning, stacklevel=2)
        return getattr(__import__(place or module, fromlist=[new]), new)

    return get_attribute


def rename_settings(settings: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of nested ``settings`` with old dotted keys renamed, one line on stderr for each.

    ``names`` maps old dotted keys to new ones; a key may be a leaf or a whole group. Raises :class:`InputError` if the
    old and the new key are both set to different values.
    """
    renamed = _copy(settings)
    for old, new in names.items():
        group, leaf = _parent(renamed, old)
        if group is None or leaf not in group:
            continue
        value = group.pop(leaf)
        target, new_leaf = _make_parent(renamed, new)
        if target.get(new_leaf, value) != value:
            raise InputError(f"{old}={value}: is now {new}, which is set to {target[new_leaf]}; leave {old} out")
        target[new_leaf] = value
        _remove_empty(renamed, old)
        shown = "…" if isinstance(value, dict) else value
        print_lines(f"{old}={shown} is now {new}={shown}", file=sys.stderr)
    return renamed


def _copy(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in settings.items()}


def _parent(settings: dict[str, Any], key: str) -> tuple[dict[str, Any] | None, str]:
    *groups, leaf = key.split(".")
    for name in groups:
        inner = settings.get(name)
        if not isinstance(inner, dict):
            return None, leaf
        settings = inner
    return settings, leaf


def _make_parent(settings: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *groups, leaf = key.split(".")
    for name in groups:
        if not isinstance(settings.get(name), dict):
            settings[name] = {}
        settings = settings[name]
    return settings, leaf


def _remove_empty(settings: dict[str, Any], key: str) -> None:
    """Remove the groups of ``key`` that renaming has left empty."""
    while "." in key:
        key = key.rpartition(".")[0]
        group, leaf = _parent(settings, key)
        if group is None or group.get(leaf) != {}:
            return
        del group[leaf]
