"""Quoting of values in commands that are printed to be pasted into a shell."""

import re
import shlex
from pathlib import Path

_KEYWORDS = ("true", "false", "null", "nan", "inf")  # to Hydra these are not text


def quote_value(value: str | Path) -> str:
    """Return a path, or several joined with ``+``, quoted as Hydra reads a value in ``key=value``; not for a shell."""
    value = str(value)
    if re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_./+-]*", value) and value.lower() not in _KEYWORDS:
        return value
    value = re.sub(r'\\+(?="|$)', lambda backslashes: 2 * backslashes[0], value)  # elsewhere a backslash is itself
    value = re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + r"\${", value)  # no interpolation
    return '"' + value.replace('"', r"\"") + '"'


def quote_setting(key: str, value: str | Path) -> str:
    """Return ``key=value`` quoted for Hydra and then for a shell, in which ``$(...)`` in a path would run."""
    return shlex.quote(f"{key}={quote_value(value)}")
