"""Status lines and progress of long operations."""

import contextlib
import datetime
import os
import sys
import time
from typing import Self

from nas.core.terminal import end_status, erase_status, is_terminal, print_lines, print_status

_LINES = 20  # outside a terminal, the pauses between lines grow to this part of the elapsed time


class StatusLine:
    """Line on stderr: rewritten in place on a terminal, otherwise printed anew now and then; none if ``quiet``.

    On a terminal it never takes more than one line. Elsewhere, such as in a log file, the pauses grow with the time,
    from ``every`` seconds on, and ``stamped`` lines end with the elapsed time and the time of day.
    """

    def __init__(self, every: float = 10.0, quiet: bool = False, stamped: bool = False) -> None:
        self.quiet, self.stamped = quiet, stamped
        self.terminal = is_terminal(sys.stderr)
        self.every = 0.2 if self.terminal else every
        self.start = self.shown = time.monotonic()

    def due(self) -> bool:
        """Return whether it is time for a new line."""
        now = time.monotonic()
        pause = self.every if self.terminal else max(self.every, (now - self.start) / _LINES)
        return not self.quiet and now - self.shown >= pause

    def show(self, text: str, last: bool = False) -> None:
        """Show ``text`` now; the ``last`` one remains on the terminal, whole, on several lines if need be."""
        if self.quiet:
            return
        self.shown = time.monotonic()
        if self.stamped and not self.terminal:
            elapsed = duration(self.shown - self.start)
            text = f"{text} | elapsed {elapsed} | {datetime.datetime.now():%H:%M:%S}"
        try:
            if self.terminal and not last:
                print_status(text, terminal_columns())
            else:
                erase_status()
                print_lines(*(_wrapped(text) if self.terminal else [text]), file=sys.stderr, flush=True)
        except OSError:  # a run outlives its terminal
            if not discard_dead_output():
                raise

    def end(self) -> None:
        """End the line, so that what follows, such as a traceback, begins on a line of its own."""
        with contextlib.suppress(OSError):
            end_status()


def terminal_columns() -> int:
    """Return the width of the terminal on stderr, 80 if it is not known."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _wrapped(text: str) -> list[str]:
    """Return ``text`` on as many lines as the terminal needs, broken between its parts."""
    columns, lines = terminal_columns() - 1, [""]
    for part in text.split(" | "):
        longer = f"{lines[-1]} | {part}" if lines[-1] else part
        if lines[-1] and len(longer) > columns:
            lines.append(f"    {part}")
        else:
            lines[-1] = longer
    return lines


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
        done, total = self.done // self.scale, self.total // self.scale or "?"
        text = f"{self.label}: {done}/{total} {self.unit}"
        if self.done == 0:
            return text
        rate = self.done / max(time.monotonic() - self.start, 1e-3)
        left = f", {duration((self.total - self.done) / rate)} left" if self.total > self.done else ""
        return f"{text}, {rate / self.scale:.0f}/s{left}"
