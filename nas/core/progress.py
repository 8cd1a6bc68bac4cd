"""A line that says how far a long work has come."""

import sys
import time


class StatusLine:
    """One line on standard error, rewritten in place on a terminal; elsewhere a new line every few seconds."""

    def __init__(self, every: float = 10.0) -> None:
        self.terminal = sys.stderr.isatty()
        self.every = 0.2 if self.terminal else every
        self.shown = time.monotonic()

    def due(self) -> bool:
        """Whether the line is old enough to be worth making a new one."""
        return time.monotonic() - self.shown >= self.every

    def show(self, text: str, last: bool = False) -> None:
        """Show ``text`` now; the ``last`` one stays."""
        self.shown = time.monotonic()
        start, end = ("\r", "\x1b[K" + "\n" * last) if self.terminal else ("", "\n")
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """``seconds`` as people say it: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
