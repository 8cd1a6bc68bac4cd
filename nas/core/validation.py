"""Validation of settings."""

import math

from nas.core.errors import InputError
from nas.core.limits import MAX_CELLS, MAX_CHANNELS


def require_sizes(channels: int, cells: int) -> None:
    """Raise :class:`InputError` for a network of absurd size."""
    require("channels", channels, channels <= MAX_CHANNELS, f"must be at most {MAX_CHANNELS:,}")
    require("cells", cells, cells <= MAX_CELLS, f"must be at most {MAX_CELLS}")


def require_batch_size(batch_size: int) -> None:
    """Raise :class:`InputError` for batches in which BatchNorm has nothing to compare."""
    require("batch_size", batch_size, batch_size >= 2, "must be at least 2: BatchNorm compares images")


def require(name: str, value: object, holds: bool, rule: str) -> None:
    """Raise :class:`InputError` with the value and the rule unless the rule holds and the value is finite."""
    if not holds or (isinstance(value, float) and not math.isfinite(value)):
        raise InputError(f"{name}={value}: {rule}")
