"""Schedules as pure functions, so that a resume has nothing to restore."""

import math


def cosine(high: float, low: float, part: float) -> float:
    """Half a cosine from ``high`` at ``part`` 0 to ``low`` at 1 (SGDR, arXiv 1608.03983, eq. 5)."""
    return low + (high - low) * (1 + math.cos(math.pi * part)) / 2
