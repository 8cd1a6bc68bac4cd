"""Settings that an untrusted run folder may not decide alone when its run is resumed.

No operators are loaded and no path out of the working directory is followed unless the command line repeats them.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.shell_quoting import quote_command, quote_value

_PATHS = ("space", "cell", "data.root", "data.valid", "data.cache")


def settings_to_repeat(config: Mapping[str, Any]) -> list[str]:
    """Return the settings, as ``key=value``, that the command line must repeat: see :func:`check_repeated`."""
    values = {key: _value(config, key) for key in ("ops", *_PATHS)}
    return [
        f"{key}={quote_value(value)}"
        for key, value in values.items()
        if isinstance(value, str) and (key == "ops" or _leaves_working_directory(value))
    ]


def check_repeated(stored: Mapping[str, Any], keys: Collection[str], folder: Path) -> None:
    """Raise :class:`InputError` unless the command line's ``keys`` repeat what ``stored`` may not decide alone.

    That is a file of operators, which would be executed, and every path that is absolute or contains ``..``.
    """
    missing = [word for word in settings_to_repeat(stored) if word.partition("=")[0] not in keys]
    if missing:
        command = quote_command([f"resume={quote_value(folder)}", *missing])
        raise InputError(f"resume={folder}: names code or paths outside of it; to trust them, repeat them: {command}")


def require_repeated(run: Path, needed: Sequence[str], given: Sequence[str]) -> None:
    """Raise :class:`InputError` unless ``given``, the words of ``--set``, have the keys of ``needed``, of a run."""
    keys = {word.partition("=")[0] for word in given}
    if missing := [word for word in needed if word.partition("=")[0] not in keys]:
        command = quote_command(["--set", *missing, *given])
        raise InputError(f"{run}: names code or paths outside of it; to trust them, repeat them: {command}")


def _leaves_working_directory(value: str) -> bool:
    return any(part.startswith(("/", "~")) or ".." in Path(part).parts for part in map(str.strip, value.split("+")))


def _value(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
