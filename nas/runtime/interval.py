"""Intervals in steps or minutes."""

import re
import time
from dataclasses import dataclass

from nas.core.errors import InputError
from nas.core.formatting import format_value


@dataclass(frozen=True)
class Interval:
    """Interval of ``steps`` steps or ``seconds`` seconds; if both are None, it never ends."""

    steps: int | None = None
    seconds: float | None = None


def read_interval(name: str, given: int | str | None) -> Interval:
    """Return the interval of the setting ``name``: ``200`` (steps), ``10min``, or None for never.

    Raises :class:`InputError` for anything else.
    """
    if given is None:
        return Interval()
    text = str(given)
    if re.fullmatch(r"[1-9]\d{0,17}", text, re.ASCII):
        return Interval(steps=int(text))
    minutes = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?min", text, re.ASCII)
    if minutes is None or float(minutes[1]) == 0:
        raise InputError(f"{name}={format_value(given)}: must be a number of steps (200), minutes (10min), or null")
    return Interval(seconds=60 * float(minutes[1]))


class Clock:
    """Clock of an :class:`Interval`. Steps count from the start of the epoch, minutes from the last restart."""

    def __init__(self, interval: Interval) -> None:
        self.interval = interval
        self.restart()

    def restart(self) -> None:
        """Start a new interval."""
        self.begun = time.monotonic()

    def due(self, step: int) -> bool:
        """Return whether the interval is over after ``step`` steps of the epoch."""
        steps, seconds = self.interval.steps, self.interval.seconds
        if steps is not None:
            return step % steps == 0
        return seconds is not None and time.monotonic() - self.begun >= seconds
