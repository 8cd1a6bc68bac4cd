"""The file in which a user's own function is defined."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.core.paths import PACKAGE


def user_file(function: Callable[..., Any]) -> Path | None:
    """Return the file that defines ``function``; None if it ships with this package or has no file."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        source = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:  # a callable object
        source = None
    file = None if source is None else Path(source).resolve()
    return None if file is None or not file.is_file() or file.is_relative_to(PACKAGE) else file
