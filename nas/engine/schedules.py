"""Schedules as pure functions, so that a resume has nothing to restore."""

import math


def cosine(high: float, low: float, part: float) -> float:
    """Return half a cosine's value at ``part`` (0..1), from ``high`` to ``low`` (SGDR, arXiv 1608.03983, eq. 5)."""
    return low + (high - low) * (1 + math.cos(math.pi * part)) / 2
