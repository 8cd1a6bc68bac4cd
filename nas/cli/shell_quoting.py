"""Values as the command line takes them."""

import re
from pathlib import Path


def quote_value(value: str | Path) -> str:
    """A path, or several joined with ``+``, as a value on the command line, quoted as Hydra reads it."""
    value = str(value)
    if re.fullmatch(r"[\w./+-]+", value):
        return value
    value = re.sub(r'\\+(?="|$)', lambda backslashes: 2 * backslashes[0], value)  # elsewhere a backslash is itself
    return '"' + value.replace('"', r"\"").replace("${", r"\${") + '"'
