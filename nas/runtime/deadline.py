"""Stopping before the time is up, or when somebody asks for it."""

import time
from collections.abc import Callable


class Deadline:
    """``minutes`` from ``start`` (``time.monotonic``), None never comes; or sooner, when ``asked`` says so.

    A step is only begun while twice the longest step so far still fits in front of a reserve for starting up and for
    the checkpoint: 10 seconds, of short times a quarter.
    """

    def __init__(
        self, minutes: float | None, start: float | None = None, asked: Callable[[], bool] | None = None
    ) -> None:
        begun = time.monotonic() if start is None else start
        self.end = None if minutes is None else begun + 60 * minutes - min(10.0, 15 * minutes)
        self.asked = asked
        self.longest = 0.0
        self._step_begun: float | None = None

    def reached(self) -> bool:
        """Whether the next step might not end in time; called in front of every step, it also times them."""
        now = time.monotonic()
        if self._step_begun is not None:
            self.longest = max(self.longest, now - self._step_begun)
        self._step_begun = now
        if self.asked is not None and self.asked():
            return True
        return self.end is not None and now + 2 * self.longest > self.end

    def pause(self) -> None:
        """What comes next is no step."""
        self._step_begun = None
