"""Stopping before the time is up."""

import time


class Deadline:
    """``minutes`` from ``start`` (``time.monotonic``); None never comes.

    A step is only begun while twice the longest step so far, and a checkpoint's time, still fit in.
    """

    def __init__(self, minutes: float | None, start: float | None = None) -> None:
        self.start = time.monotonic() if start is None else start
        self.end = None if minutes is None else self.start + 60 * minutes
        self.longest = 0.0
        self.reserve = 1.0
        self._begun: float | None = None

    def reached(self) -> bool:
        """Whether the next step might not end in time; called in front of every step, it also times them."""
        now = time.monotonic()
        if self._begun is not None:
            self.longest = max(self.longest, now - self._begun)
        self._begun = now
        return self.end is not None and now + 2 * self.longest + self.reserve > self.end

    def pause(self) -> None:
        """What comes next is no step."""
        self._begun = None
