"""Checks of settings: what was given, and what is allowed."""

import math

from nas.core.errors import InputError
from nas.core.limits import MAX_CELLS, MAX_CHANNELS


def require_sizes(channels: int, cells: int) -> None:
    """Raise :class:`InputError` for a network that nobody means."""
    require("channels", channels, channels <= MAX_CHANNELS, f"must be at most {MAX_CHANNELS:,}")
    require("cells", cells, cells <= MAX_CELLS, f"must be at most {MAX_CELLS}")


def require(name: str, value: object, holds: bool, rule: str) -> None:
    """Raise :class:`InputError` with what was given and what is allowed, unless the rule holds; infinity never does."""
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{name}={value}: {rule}")
