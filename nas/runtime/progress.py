"""Status lines and progress of long operations."""

import os
import sys
import time
from typing import Self

from nas.core.formatting import escape_unprintable


class StatusLine:
    """Line on stderr: rewritten in place on a terminal, otherwise printed anew every few seconds; none if ``quiet``."""

    def __init__(self, every: float = 10.0, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.every = 0.2 if self.terminal else every
        self.shown = time.monotonic()

    def due(self) -> bool:
        """Return whether it is time for a new line."""
        return not self.quiet and time.monotonic() - self.shown >= self.every

    def show(self, text: str, last: bool = False) -> None:
        """Show ``text`` now; the ``last`` one remains on the terminal."""
        if self.quiet:
            return
        self.shown = time.monotonic()
        start, end = ("\r", "\x1b[K" + "\n" * last) if self.terminal else ("", "\n")
        try:
            print(f"{start}{escape_unprintable(text)}", end=end, file=sys.stderr, flush=True)
        except OSError:  # a run outlives its terminal
            if not discard_dead_output():
                raise


def discard_dead_output() -> bool:
    """Send stdout and stderr to the null device if their terminal is gone; return whether either was."""
    dead = []
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")  # fails on a terminal that has hung up
        except OSError:
            dead.append(descriptor)
    if dead:
        null = os.open(os.devnull, os.O_WRONLY)
        for descriptor in dead:
            os.dup2(null, descriptor)
        os.close(null)
    return bool(dead)


def duration(seconds: float) -> str:
    """Return ``seconds`` for people: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Progress line ``label: done/total unit, rate, time left``, at most every 5 seconds outside a terminal.

    Use it in a ``with`` statement, which shows the final line. ``total`` may be 0 for "unknown"; amounts are divided
    by ``scale`` before they are shown. Nothing is shown if it is ``quiet``.
    """

    def __init__(self, label: str, total: int, unit: str = "images", scale: int = 1, quiet: bool = False) -> None:
        self.label, self.total, self.unit, self.scale = label, total, unit, scale
        self.done = 0
        self.start = time.monotonic()
        self.line = StatusLine(5.0, quiet)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.show(self._text(), last=True)

    def advance(self, count: int) -> None:
        """Count ``count`` more as done."""
        self.done += count
        if self.line.due():
            self.line.show(self._text())

    def _text(self) -> str:
        rate = max(self.done / max(time.monotonic() - self.start, 1e-3), 1e-3)
        left = duration(max(self.total - self.done, 0) / rate)
        done, total = self.done // self.scale, self.total // self.scale or "?"
        return f"{self.label}: {done}/{total} {self.unit}, {rate / self.scale:.0f}/s, {left} left"
