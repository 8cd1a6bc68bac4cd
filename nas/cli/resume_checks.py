"""What a run folder may lead to by itself when a run is taken up again: it may come from a stranger.

Nothing is executed that only the folder names, and no path is followed out of the working directory: the user says
these things again.
"""

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.shell_quoting import quote_setting, quote_value

PATHS = ("space", "cell", "data.root", "data.cache")


def settings_to_repeat(config: Mapping[str, Any]) -> list[str]:
    """What of a configuration the command line must say again, as ``key=value``: see :func:`check_repeated`."""
    found = {key: _value(config, key) for key in ("ops", *PATHS)}
    return [
        f"{key}={quote_value(value)}"
        for key, value in found.items()
        if isinstance(value, str) and (key == "ops" or _leads_out(value))
    ]


def check_repeated(stored: Mapping[str, Any], keys: Collection[str], folder: Path) -> None:
    """Raise :class:`InputError` unless the command line's ``keys`` name what ``stored`` may not say alone.

    That is a file of operators, which would be executed, and every path that is absolute or has ``..`` in it.
    """
    needed = [word for word in settings_to_repeat(stored) if word.partition("=")[0] not in keys]
    if needed:
        command = " ".join([quote_setting("resume", folder), *map(shlex.quote, needed)])
        raise InputError(f"resume={folder}: names code or paths outside of it; to trust them, repeat them: {command}")


def _leads_out(value: str) -> bool:
    return any(part.startswith(("/", "~")) or ".." in Path(part).parts for part in map(str.strip, value.split("+")))


def _value(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
