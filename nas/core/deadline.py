"""Stopping before the time is up."""

import time


class Deadline:
    """``minutes`` from ``start`` (``time.monotonic``); None never comes.

    A step is only begun while twice the longest step so far still fits in front of a reserve for starting up and for
    the checkpoint: 10 seconds, of short times a quarter.
    """

    def __init__(self, minutes: float | None, start: float | None = None) -> None:
        begun = time.monotonic() if start is None else start
        self.end = None if minutes is None else begun + 60 * minutes - min(10.0, 15 * minutes)
        self.longest = 0.0
        self._step_begun: float | None = None

    def reached(self) -> bool:
        """Whether the next step might not end in time; called in front of every step, it also times them."""
        now = time.monotonic()
        if self._step_begun is not None:
            self.longest = max(self.longest, now - self._step_begun)
        self._step_begun = now
        return self.end is not None and now + 2 * self.longest > self.end

    def pause(self) -> None:
        """What comes next is no step."""
        self._step_begun = None
