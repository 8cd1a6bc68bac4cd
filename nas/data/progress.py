"""A progress line on standard error for work that keeps the user waiting."""

import time
from typing import Self

from nas.core.progress import StatusLine, duration


class Progress:
    """``label: done/total unit, rate, time left``: on a terminal in place, elsewhere a line every 5 seconds.

    Used in a ``with`` statement, which shows the line a last time. ``total`` may be 0 for "unknown"; shown are
    amounts divided by ``scale``.
    """

    def __init__(self, label: str, total: int, unit: str = "images", scale: int = 1) -> None:
        self.label, self.total, self.unit, self.scale = label, total, unit, scale
        self.done = 0
        self.start = time.monotonic()
        self.line = StatusLine(every=5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.show(self._text(), last=True)

    def advance(self, count: int) -> None:
        """Say that ``count`` more are done."""
        self.done += count
        if self.line.due():
            self.line.show(self._text())

    def _text(self) -> str:
        rate = max(self.done / max(time.monotonic() - self.start, 1e-3), 1e-3)
        left = duration(max(self.total - self.done, 0) / rate)
        done, total = self.done // self.scale, self.total // self.scale or "?"
        return f"{self.label}: {done}/{total} {self.unit}, {rate / self.scale:.0f}/s, {left} left"
